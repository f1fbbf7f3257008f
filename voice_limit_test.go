package agents_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
)

// A user who talks for too long without the agent having a say. The agents of these scenarios answer with nothing,
// unless a scenario says otherwise.

// exceeded is what OnUserTurnExceeded was told, and when.
type exceeded struct {
	at                      time.Duration
	transcript, accumulated string
	words                   int
	duration                time.Duration
}

// limits starts a session that tells when the user talked for too long.
func limits(t *testing.T, limit agents.UserTurnLimit, script agenttest.VoiceScript, a *agents.Agent, steps ...agenttest.Step) (*agenttest.VoiceSession, *[]exceeded) {
	t.Helper()
	opts := voiceOptions(agenttest.NewLLM(t, append(steps, agenttest.Any().Empty().Always())...), agenttest.NewTTS(t, agenttest.SpokenAny(100*ms)))
	opts.Turn.UserTurnLimit = limit
	var got []exceeded
	begun := time.Now()
	next := a.OnUserTurnExceeded
	a.OnUserTurnExceeded = func(ctx context.Context, s *agents.AgentSession, e agents.UserTurnExceeded) error {
		got = append(got, exceeded{time.Since(begun), e.Transcript, e.AccumulatedTranscript, e.Words, e.Duration})
		if next != nil {
			return next(ctx, s, e)
		}
		return nil
	}
	return agenttest.StartVoice(t, opts, a, script), &got
}

// toAnAgentThatIsNotTold gives the floor to an agent that is not to be told that the user talked for too long.
func toAnAgentThatIsNotTold(t *testing.T, v *agenttest.VoiceSession) {
	require.NoError(t, v.UpdateAgent(&agents.Agent{ID: "other", OnUserTurnExceeded: func(context.Context, *agents.AgentSession, agents.UserTurnExceeded) error {
		t.Error("it was told")
		return nil
	}}))
}

// T89–T93, core 50 and 51: what the user said counts until the agent has had a say.
func TestUserTurnExceeded(t *testing.T) {
	const three, four = "one two three", "four five six"
	words := agents.UserTurnLimit{Words: 5}
	for _, c := range []struct {
		name  string
		limit agents.UserTurnLimit
		voice []agenttest.VoicePart
		steps []agenttest.Step
		do    func(t *testing.T, v *agenttest.VoiceSession) // at 3.5 s
		exit  time.Duration                                 // how long the agent takes to leave
		want  []exceeded
	}{
		{ // T89: told when the turn has ended, and the agent had nothing to say.
			name: "words", limit: words, voice: []agenttest.VoicePart{speaks(0.5, 3, "one two three four five six seven eight nine ten")},
			want: []exceeded{{sec(3.5), "one two three four five six seven eight nine ten", "one two three four five six seven eight nine ten", 10, 2700 * ms}},
		},
		{ // T89
			name: "time", limit: agents.UserTurnLimit{Duration: time.Second}, voice: []agenttest.VoicePart{speaks(0.5, 3.5, three)},
			want: []exceeded{{sec(4), three, three, 3, 3200 * ms}},
		},
		{ // T89
			name: "neither", voice: []agenttest.VoicePart{speaks(0.5, 3, "one two three four five six seven eight nine ten")},
		},
		{ // T90
			name: "the agent speaks in between", limit: words, voice: []agenttest.VoicePart{speaks(0.5, 1.5, three), speaks(6, 7, four)},
			steps: []agenttest.Step{answers(three, "Go on.")},
		},
		{ // T91
			name: "the agent has nothing to say", limit: words, voice: []agenttest.VoicePart{speaks(0.5, 1.5, three), speaks(6, 7, four)},
			want: []exceeded{{sec(7.5), four, three + " " + four, 6, 6700 * ms}},
		},
		{ // T92
			name: "the turn is cleared", limit: words, voice: []agenttest.VoicePart{speaks(0.5, 1.5, three), speaks(6, 7, four)},
			do: func(t *testing.T, v *agenttest.VoiceSession) { require.NoError(t, v.ClearUserTurn()) },
		},
		{ // T91: the agent was about to have a say each time, and the user went on before the first word.
			name: "the agent is interrupted", limit: words, voice: []agenttest.VoicePart{speaks(0.5, 1.5, three), speaks(2.05, 3, four)},
			steps: []agenttest.Step{answers(three, "Go on."), agenttest.OnUser(four).Empty()},
			want:  []exceeded{{sec(3.5), four, three + " " + four, 6, 2700 * ms}},
		},
		{ // T93: the floor changes hands before the agent is about to have a say,
			name: "during a handoff", limit: words, voice: []agenttest.VoicePart{speaks(0.5, 3.4, "one two three four five six").Delay(300 * ms)},
			exit: 2 * time.Second,
			do:   toAnAgentThatIsNotTold,
		},
		{ // or while it is.
			name: "a handoff", limit: words, voice: []agenttest.VoicePart{speaks(0.5, 3.4, "one two three four five six").Delay(50 * ms)},
			do: toAnAgentThatIsNotTold,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				v, got := limits(t, c.limit, agenttest.Voice(c.voice...), &agents.Agent{OnExit: func(ctx context.Context, _ *agents.AgentSession) error {
					sleep(ctx, c.exit)
					return nil
				}}, c.steps...)
				v.Until(sec(3.5))
				if c.do != nil {
					c.do(t, v)
				}
				v.Until(sec(15))
				require.Equal(t, c.want, *got, v.Log())
			})
		})
	}
}

// T89, T91: without OnUserTurnExceeded the agent cuts in, and is not interrupted. It knows what the user said, which is
// in the history once, although the turn may end only after that.
func TestAgentCutsIn(t *testing.T) {
	const many = "one two three four five six"
	cut := func(last string) agenttest.Step {
		return agenttest.When(func(req agents.ChatRequest) bool {
			items := req.Context.Items()
			m, ok := items[len(items)-1].(*agents.ChatMessage)
			before, said := items[len(items)-2].(*agents.ChatMessage)
			return ok && said && strings.Contains(m.Text(), "Cut in politely") && before.Role == agents.RoleUser && before.Text() == last
		}).TTFT(100 * ms).For(300 * ms).Say("Let me ask you something.")
	}
	for _, c := range []struct {
		name   string
		change func(*agents.Options)
		commit float64
		states []string
		want   string
	}{
		{
			"after the turn", asIs, 0, []string{"thinking 3.5s", "listening 3.5s", "thinking 3.5s", "speaking 4s", "thinking 6.5s", "listening 6.5s"},
			"user: " + many + "\nassistant: Let me ask you something.\nuser: seven eight\n",
		},
		{
			"within the turn", manual, 6.2, []string{"thinking 3.5s", "speaking 4s", "thinking 6.5s", "listening 6.5s"},
			"assistant: Let me ask you something.\nuser: " + many + " seven eight\n",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				script := agenttest.Voice(speaks(0.5, 3, many), speaks(4, 5.9, "seven eight"))
				opts := voiceOptions(agenttest.NewLLM(t, cut(many), agenttest.Any().Empty().Always()), agenttest.NewTTS(t, agenttest.SpokenAny(100*ms)))
				c.change(&opts)
				opts.Turn.UserTurnLimit.Words = 5
				opts.Turn.Interruption.DiscardAudio = agents.Off
				v := agenttest.StartVoice(t, opts, &agents.Agent{}, script)
				if c.commit > 0 {
					v.Until(sec(c.commit))
					_, err := v.CommitUserTurn(t.Context())
					require.NoError(t, err)
				}
				v.Until(sec(15))
				require.Equal(t, []string{"2.5s"}, v.Playouts(), v.Log())
				require.Equal(t, c.states, v.AgentStates()[1:], v.Log())
				require.Equal(t, c.want, transcript(v.History()), v.Log())
			})
		})
	}
}

// While OnUserTurnExceeded runs it is not run again. Afterwards the user may talk for too long once more.
func TestSlowUserTurnExceeded(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		script := agenttest.Voice(speaks(0.5, 2, "one two three"), speaks(4, 5, "four five six"), speaks(8, 9, "seven eight nine"))
		a := &agents.Agent{OnUserTurnExceeded: func(ctx context.Context, _ *agents.AgentSession, _ agents.UserTurnExceeded) error {
			timer := time.NewTimer(4 * time.Second)
			defer timer.Stop()
			select {
			case <-timer.C:
				return errors.New("too late")
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}}
		v, got := limits(t, agents.UserTurnLimit{Words: 3}, script, a)
		v.Until(sec(20))
		require.Len(t, *got, 2, v.Log())
		require.Equal(t, sec(2.5), (*got)[0].at)
		require.Equal(t, sec(9.5), (*got)[1].at)
		require.Equal(t, "user: one two three\nuser: four five six\nuser: seven eight nine\n", transcript(v.History()), v.Log())
		errs := 0
		for _, e := range v.Recorded() {
			if e, ok := e.(*agents.ErrorOccurred); ok {
				require.Equal(t, "OnUserTurnExceeded of agent", e.Source)
				errs++
			}
		}
		require.Equal(t, 2, errs)
	})
}
