package turn

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// configs are what the fuzzed machine is set to.
func configs() []Options {
	resume := func(s *Settings, _ *Models) { s.Interruption.FalseTimeout = ms(300); s.TranscriptionTimeout = ms(700) }
	words := func(s *Settings, _ *Models) {
		s.Interruption.MinWords = 2
		s.MaxTurnWords = 3
		s.MaxTurnDuration = time.Second
	}
	noVAD := func(_ *Settings, m *Models) { m.VAD = NoVAD }
	away := func(s *Settings, _ *Models) { s.AwayTimeout = time.Second; s.AECWarmup = time.Second }
	return []Options{
		options(resume), options(words, away), options(noVAD), options(detect(BySTT), resume), options(detect(BySTT), noVAD),
		options(detect(Manual), resume), options(detect(Manual), noVAD), options(detect(TextDetector), words), audioOptions(away),
		realtimeOptions(), realtimeOptions(resume), adaptiveOptions(resume), adaptiveOptions(boundary(Off, ms(200)), words),
	}
}

// ledger counts what must not get lost or come twice.
type ledger struct {
	t                 *testing.T
	m                 *Machine
	finals            map[string]string // where each went
	commits           map[uint64]bool   // whether each was answered
	turn              uint64
	predict           uint64
	paused            uint64
	holding, silenced bool
}

func (l *ledger) goes(text, where string) {
	for _, word := range strings.Fields(text) {
		if old, ok := l.finals[word]; ok {
			require.Empty(l.t, old, "%s went to %s and to %s", word, old, where)
			l.finals[word] = where
		}
	}
}

func (l *ledger) take(f Effect) {
	switch f := f.(type) {
	case EndTurn:
		require.Greater(l.t, f.Turn, l.turn, "a turn ends once")
		l.turn = f.Turn
		require.GreaterOrEqual(l.t, f.TranscriptionDelay, time.Duration(0))
		l.goes(f.Transcript, "a turn")
	case Dropped:
		l.goes(f.Text, "nowhere")
	case CommitDone:
		answered, ok := l.commits[f.ID]
		require.True(l.t, ok && !answered, "a commit is answered once")
		l.commits[f.ID] = true
	case Predict:
		require.Greater(l.t, f.ID, l.predict)
		l.predict = f.ID
	case Pause:
		require.Zero(l.t, l.paused)
		require.NotZero(l.t, f.Speech)
		l.paused = f.Speech
	case Unpause:
		require.Equal(l.t, l.paused, f.Speech)
		l.paused = 0
	case HoldReplies:
		require.NotEqual(l.t, l.holding, f.On)
		l.holding = f.On
	case SilenceInput:
		require.NotEqual(l.t, l.silenced, f.On)
		l.silenced = f.On
	case Interrupt:
		require.NotZero(l.t, f.Speech)
		require.True(l.t, l.m.current.Interrupted)
	}
}

func FuzzMachine(f *testing.F) {
	f.Add([]byte{0, 0, 1, 2, 8, 2, 15, 31, 4, 9, 12, 200, 3, 90, 77, 250})
	f.Add([]byte{3, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35})
	f.Add([]byte{8, 0, 13, 14, 0, 2, 40, 1, 3, 200, 2, 9, 41, 99, 100, 101})
	f.Add([]byte{11, 18, 19, 0, 1, 10, 36, 5, 37, 38, 2, 11, 11, 20})
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) == 0 || len(data) > 400 {
			return
		}
		all := configs()
		s := newSim(t, all[int(data[0])%len(all)])
		s.skip = nil
		l := &ledger{t: t, m: s.m, finals: map[string]string{}, commits: map[uint64]bool{}}
		words, commits, speech := 0, uint64(0), uint64(0)
		clock := 0.0
		s.tap = l.take
		feed := func(e Event, wait float64) {
			clock += wait
			s.run(clock, on(clock, e))
			held := ""
			for _, h := range s.m.hold.events {
				if h.Type == STTFinal {
					held += " " + h.Text
				}
			}
			pending := strings.Fields(s.m.user.transcript + held)
			in := map[string]bool{}
			for _, w := range pending {
				if _, ok := l.finals[w]; ok {
					require.False(t, in[w], "%s is twice in the turn", w)
					in[w] = true
				}
			}
			for w, where := range l.finals {
				require.Equal(t, where == "", in[w], "%s is in %q, and waits: %v", w, where, in[w])
			}
			require.Equal(t, l.paused, s.m.Paused())
		}
		word := func() string {
			words++
			w := fmt.Sprintf("w%d", words)
			l.finals[w] = ""
			return w
		}
		for i := 1; i < len(data); i++ {
			b := data[i]
			wait := float64(b>>5) * 70
			var e Event
			switch b % 32 {
			case 0:
				e = VADStart{Speech: ms(50)}
			case 1:
				e = VADInference{Speaking: true, Speech: ms(600), RawSpeech: ms(300)}
			case 2:
				e = VADEnd{Speech: ms(600), Silence: ms(250)}
			case 3:
				e = VADInference{Speaking: true, Speech: ms(600), RawSilence: ms(300)}
			case 4:
				e = VADGone{}
			case 5:
				e = STT{Type: STTFinal, Text: word()}
			case 6:
				e = STT{Type: STTFinal, Text: word(), Start: ms(max(clock-400, 1)), End: ms(max(clock-200, 2))}
			case 7:
				e = STT{Type: STTInterim, Text: "i"}
			case 8:
				e = STT{Type: STTPreflight, Text: "p q"}
			case 9:
				e = STT{Type: STTStart}
			case 10:
				e = STT{Type: STTEnd}
			case 11:
				e = Prediction{ID: l.predict, Probability: float64(b>>5) / 8}
			case 12:
				e = PredictionFailed{ID: l.predict}
			case 13:
				commits++
				l.commits[commits] = false
				e = Commit{ID: commits, Timeout: ms(float64(b>>5) * 100), SkipReply: b>>5&1 == 1}
			case 14:
				e = Clear{}
			case 15:
				e = TurnSettled{}
			case 16:
				e = TurnLimitHandled{}
			case 17, 18:
				speech++
				e = Current{Speech: speech, Interruptible: b>>5 != 0}
			case 19:
				e = Current{}
			case 20:
				e = AgentIs{State: []AgentState{AgentListening, AgentThinking, AgentSpeaking, AgentSpeaking}[b>>5&3], Idle: b>>5&3 == 0}
			case 21:
				e = AgentStarts{}
			case 22:
				e = AgentEnds{}
			case 23:
				e = Output{Audio: b>>5 != 0, Pausable: b>>5 != 1}
			case 24:
				e = FirstFrame{Speech: speech}
			case 25:
				e = ClearPause{Interrupt: b>>5&1 == 1}
			case 26:
				e = Verdict{Interruption: b>>5&1 == 1, AgentEnded: b>>5&2 == 2, Start: at(max(clock-300, 0))}
			case 27:
				e = []Event{VerdictsFail{}, RealtimeSpeech{true}, RealtimeSpeech{}, InputOff{}, AudioBegins{at(clock)}, Linked{}, Linked{true}, UserWrote{}}[b>>5]
			case 28:
				e = Scheduling{Blocked: b>>5 == 0}
			case 29:
				e = []Event{AnsweringMachine{true}, AnsweringMachine{}, Tools{1}, Tools{}, Claim{true}, Claim{}, Tools{}, Claim{}}[b>>5]
			case 30:
				e = Configure{all[int(b>>5)%len(all)]}
			case 31:
				e = Current{Speech: s.m.current.Speech, Interruptible: s.m.current.Interruptible, Interrupted: b>>5 != 0 && s.m.current.Speech != 0}
			}
			feed(e, wait)
		}
		// The user stops, the loop settles everything: nothing may hang.
		feed(VADEnd{Speech: ms(100), Silence: ms(250)}, 10)
		feed(VADGone{}, 10)
		feed(InputOff{}, 10)
		for s.m.unsettled > 0 {
			feed(TurnSettled{}, 1)
		}
		feed(UserWrote{}, 10000)
		for s.m.unsettled > 0 {
			feed(TurnSettled{}, 1)
		}
		feed(UserWrote{}, 10000)
		require.Zero(t, s.m.Paused(), "a pause ends")
		require.False(t, s.m.Deciding(), "a decision is made")
		require.False(t, l.holding, "replies are not held for ever")
		feed(Close{}, 1)
		for w, where := range l.finals {
			require.NotEmpty(t, where, w)
		}
		for id, answered := range l.commits {
			require.True(t, answered, id)
		}
		require.Nil(t, s.m.Step(at(clock+1), VADStart{}))
	})
}

// What comes for every frame allocates nothing.
func TestFramesDoNotAllocate(t *testing.T) {
	m := New(options())
	now := t0
	m.Step(now, Current{Speech: 1, Interruptible: true})
	m.Step(now, VADStart{Speech: ms(50)})
	m.Step(now, VADInference{Speaking: true, Speech: ms(600), RawSpeech: ms(300)})
	require.Zero(t, testing.AllocsPerRun(100, func() {
		now = now.Add(ms(32))
		m.Step(now, VADInference{Speaking: true, Speech: ms(600), RawSpeech: ms(300)})
	}))
}
