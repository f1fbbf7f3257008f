package agents

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTextTurnDetectorLanguages(t *testing.T) {
	for _, tt := range []struct {
		name, language string
		o              TextTurnDetectorOptions
		threshold      float64
		ok             bool
	}{
		{"known", "en", TextTurnDetectorOptions{}, 0.5, true},
		{"of a country", "pt-BR", TextTurnDetectorOptions{}, 0.5, true},
		{"its own threshold", "de", TextTurnDetectorOptions{Threshold: 0.7}, 0.7, true},
		{"a threshold that makes no sense", "de", TextTurnDetectorOptions{Threshold: 30}, 0.5, true},
		{"unknown", "ja", TextTurnDetectorOptions{}, 0, false},
		{"unknown, whatever is spoken otherwise", "ja", TextTurnDetectorOptions{Language: "en"}, 0, false},
		{"nobody says", "", TextTurnDetectorOptions{}, 0, false},
		{"nobody says, but the options", "", TextTurnDetectorOptions{Language: "fr"}, 0.5, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := NewTextTurnDetector(tt.o)
			threshold, ok := d.Threshold(tt.language)
			require.Equal(t, tt.ok, ok)
			require.Equal(t, tt.threshold, threshold)
			_, err := d.PredictEndOfTurn(t.Context(), NewChatContext(), tt.language)
			if tt.ok {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, errors.ErrUnsupported)
			}
		})
	}
}

func TestTextTurnDetectorReadsTheConversation(t *testing.T) {
	chat := func(lines ...string) *ChatContext {
		c := NewChatContext()
		c.AddMessage(RoleSystem, "Ask for a phone number.")
		for _, line := range lines {
			role := RoleUser
			if line[0] == '>' {
				role, line = RoleAssistant, line[1:]
			}
			c.AddMessage(role, line)
		}
		return c
	}
	withCall := chat(">Your phone number?", "415 555 0188")
	withCall.Append(&FunctionCall{CallID: "1", Name: "lookup"}, &FunctionCallOutput{CallID: "1", Name: "lookup"})
	for _, tt := range []struct {
		name string
		chat *ChatContext
		want float64
	}{
		{"nothing was said", chat(), 0.60},
		{"no context at all", nil, 0.60},
		{"finished", chat(">Hello!", "I have a question."), 0.92},
		{"unfinished", chat(">Hello!", "I have a question about the"), 0.08},
		{"half of what was asked for", chat(">Your phone number?", "415 555"), 0.10},
		{"the other half in a second message", chat(">Your phone number?", "415 555", "0188"), 0.95},
		{"the agent spoke in between", chat(">Your phone number?", "415 555", ">Go on.", "0188"), 0.65},
		{"calls are no speech", withCall, 0.95},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, err := NewTextTurnDetector(TextTurnDetectorOptions{}).PredictEndOfTurn(t.Context(), tt.chat, "en")
			require.NoError(t, err)
			require.Equal(t, TurnPrediction{Probability: tt.want}, p)
		})
	}
}

func TestTextTurnDetectorGivesTheCause(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("the user went on")
	cancel(cause)
	_, err := NewTextTurnDetector(TextTurnDetectorOptions{}).PredictEndOfTurn(ctx, NewChatContext(), "en")
	require.Equal(t, cause, err)
}

func BenchmarkTextTurnDetector(b *testing.B) {
	d := NewTextTurnDetector(TextTurnDetectorOptions{})
	chat := NewChatContext()
	for range 20 {
		chat.AddMessage(RoleAssistant, "Thank you. Could you read me the last four digits of your card number?")
		chat.AddMessage(RoleUser, "sure, let me have a look at it, it is four two and then")
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.PredictEndOfTurn(b.Context(), chat, "en-US"); err != nil {
			b.Fatal(err)
		}
	}
}
