package agents

import (
	"context"
	"errors"

	"github.com/parley-voice/agents/internal/endofturn"
)

// defaultTextThreshold parts what the rules hold for unfinished, at most 0.4, from what they hold for finished.
const defaultTextThreshold = 0.5

// maxTextTurnItems is how far back a detector looks for what the agent said last.
const maxTextTurnItems = 16

// TextTurnDetectorOptions configure the detector of [NewTextTurnDetector]. The zero value of each field is its default.
type TextTurnDetectorOptions struct {
	// Threshold is the least probability with which a turn counts as ended: above 0, at most 1, by default 0.5. What
	// is outside of that is the default.
	Threshold float64
	// Language is what is spoken where nobody says, such as "en". The default is that the detector is then not asked.
	Language string
}

// NewTextTurnDetector returns the built-in detector of unfinished sentences, which needs no model. It reads the last
// words: after "my", "because" or "um", a comma, half a telephone number or a name half spelled, more is to come; after
// "okay", "thank you", a full stop or a question it is not. What the agent asked for says how long a number is. It
// takes a few microseconds and knows English, German, Spanish, French, Italian, Portuguese and Dutch; for other
// languages turns end by silence, as without a detector.
//
// It keeps an agent from answering into an obvious pause. It does not understand what is said: a sentence that could
// end where it stops counts as finished. A model that was trained on conversations is better at those.
func NewTextTurnDetector(o TextTurnDetectorOptions) TextTurnDetector {
	d := &textTurnDetector{threshold: o.Threshold, language: o.Language}
	if !(d.threshold > 0 && d.threshold <= 1) {
		d.threshold = defaultTextThreshold
	}
	return d
}

type textTurnDetector struct {
	threshold float64
	language  string
}

var (
	_ TextTurnDetector = (*textTurnDetector)(nil)
	_ ModelInfo        = (*textTurnDetector)(nil)
)

func (d *textTurnDetector) Model() string    { return "builtin-text-turn" }
func (d *textTurnDetector) Provider() string { return "parley" }

func (d *textTurnDetector) Threshold(language string) (float64, bool) {
	if _, ok := d.judge(language); !ok {
		return 0, false
	}
	return d.threshold, true
}

func (d *textTurnDetector) judge(language string) (*endofturn.Judge, bool) {
	if language == "" {
		language = d.language
	}
	return endofturn.For(language)
}

// PredictEndOfTurn gives [errors.ErrUnsupported] for a language that the detector does not know.
func (d *textTurnDetector) PredictEndOfTurn(ctx context.Context, chat *ChatContext, language string) (TurnPrediction, error) {
	if ctx.Err() != nil {
		return TurnPrediction{}, context.Cause(ctx)
	}
	j, ok := d.judge(language)
	if !ok {
		return TurnPrediction{}, errors.ErrUnsupported
	}
	return TurnPrediction{Probability: j.Judge(turnMoment(chat)).Probability}, nil
}

// turnMoment finds what the user said last, once or twice, and what the agent said before that.
func turnMoment(chat *ChatContext) endofturn.Moment {
	var m endofturn.Moment
	said := 0
	for i := chat.Len() - 1; i >= max(0, chat.Len()-maxTextTurnItems); i-- {
		msg, ok := chat.items[i].(*ChatMessage)
		if !ok {
			continue
		}
		switch {
		case msg.Role == RoleAssistant:
			m.Question = msg.Text()
			return m
		case msg.Role == RoleUser && said == 0:
			m.Text = msg.Text()
			said++
		case msg.Role == RoleUser && said == 1:
			m.Before = msg.Text()
			said++
		}
	}
	return m
}
