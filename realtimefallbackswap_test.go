package agents_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
)

const second = time.Second

func saidBy(id string, role agents.Role, text string) *agents.ChatMessage {
	return &agents.ChatMessage{ItemMeta: agents.ItemMeta{ID: id}, Role: role, Content: []agents.Content{agents.Text(text)}}
}

// transcript lists the items of a context.
func transcripts(c *agents.ChatContext) (lines []string) {
	for _, item := range c.Items() {
		switch item := item.(type) {
		case *agents.ChatMessage:
			line := fmt.Sprintf("%s %s: %s", item.ID, item.Role, item.Text())
			if item.Interrupted {
				line += " …"
			}
			lines = append(lines, line)
		case *agents.FunctionCall:
			lines = append(lines, "call "+item.Name)
		case *agents.FunctionCallOutput:
			lines = append(lines, "output "+item.Output)
		}
	}
	return lines
}

func look() *agents.FunctionTool {
	return agents.ToolFunc("look", "Look.", func(context.Context, struct{}) (string, error) { return "", nil })
}

// The next member knows what the session was told and what was said: to the user as far as it was heard.
func TestFallbackRealtimeTellsTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		voice := agenttest.ParseVoice(t, `s500 v1000"Where is it?" s3000 v500"And now?" s2000`)
		a := agenttest.NewRealtime(t, agenttest.RealtimeOptions{Name: "a", Voice: voice},
			agenttest.OnInstructions("Greet").Turn().Speak("Good day to you.", second),
			agenttest.OnUser("Where is it?").Turn().Speak("Let me look.", second).Speak("Unheard.", second),
			agenttest.OnUser("And now?").Turn().Speak("It is here somewhere.", 2*second).CutAt(second))
		b := realtimeNamed(t, "b")
		s := tapeRealtime(t, fallbackOf(t, agents.RealtimeFallbackOptions{}, a, b), agents.RealtimeOptions{
			Instructions: "Be brief.", Context: agents.NewChatContext(saidBy("before", agents.RoleUser, "Earlier.")),
			Tools: []agents.Tool{look()}, TurnDetection: agents.On,
		})
		greet := agents.RealtimeRequest{ID: "greet", Instructions: "Greet."}
		require.NoError(t, s.Generate(greet))
		time.Sleep(460 * time.Millisecond)
		instructions := "Be kind."
		require.NoError(t, s.Update(t.Context(), agents.RealtimeUpdate{Instructions: &instructions, Tools: &[]agents.Tool{}, ToolChoice: agents.NoTools}))
		mic := agenttest.NewMic(voice)
		for n := range 300 {
			f, err := mic.ReadFrame(t.Context())
			require.NoError(t, err)
			require.NoError(t, s.SendAudio(f))
			if n == 150 { // 3 s
				require.NoError(t, s.Truncate(agents.RealtimeTruncation{MessageID: "a1_msg2", AudioEnd: 500 * time.Millisecond, Text: "Let me"}))
				require.NoError(t, s.Truncate(agents.RealtimeTruncation{MessageID: "a1_msg3"}))
			}
		}
		time.Sleep(second)
		require.Len(t, b.Sessions(), 1)
		got := b.Sessions()[0]
		require.Equal(t, "Be kind.", got.Instructions)
		require.Empty(t, got.Tools)
		require.Equal(t, agents.NoTools, got.ToolChoice)
		require.Equal(t, agents.On, got.TurnDetection)
		require.Equal(t, []string{"before user: Earlier.", "a1_msg1 assistant: Good day to you.", "a1_user1 user: Where is it?",
			"a1_msg2 assistant: Let me …", "a1_user2 user: And now?", "a1_msg4 assistant: It is here …"}, transcripts(got.Context))
	})
}

// T108: audio that comes during a swap is lost. Positions go on, and the end of what the user says is told.
func TestFallbackRealtimeDropsAudio(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		voice := agenttest.ParseVoice(t, `s500 v1000"one two three four" s1000 v500"five" s1000`)
		a := agenttest.NewRealtime(t, agenttest.RealtimeOptions{Name: "a", Voice: voice})
		a.Faults(agenttest.CutAt(700 * time.Millisecond))
		b := agenttest.NewRealtime(t, agenttest.RealtimeOptions{Name: "b", Voice: voice, ConnectTime: 290 * time.Millisecond},
			agenttest.OnUser("four").Turn().Empty(), agenttest.OnUser("five").Turn().Empty())
		s := tapeRealtime(t, fallbackOf(t, agents.RealtimeFallbackOptions{}, a, b), agents.RealtimeOptions{})
		mic := agenttest.NewMic(voice)
		for range 200 {
			f, err := mic.ReadFrame(t.Context())
			require.NoError(t, err)
			require.NoError(t, s.SendAudio(f))
		}
		require.Equal(t, 700*time.Millisecond, a.Audio())
		require.Equal(t, 4*second-980*time.Millisecond, b.Audio())
		s.want(t, "560 speech from 500ms", `700 problem of "": agenttest: converse: connection failed`, "700 speech to 700ms, transcription false",
			"990 swapped true, regenerate true", "1040 speech from 0s", "2000 speech to 1.5s, transcription true", `2000 b1_user1 heard "four" from 0s`,
			"2200 b1_resp1 for \"\"", "2200 b1_resp1 done", "2560 speech from 2.5s", "3500 speech to 3s, transcription true", `3500 b1_user2 heard "five" from 2.5s`,
			"3700 b1_resp2 for \"\"", "3700 b1_resp2 done")
	})
}

// A turn of the user's that nothing was said to is answered by the next member, which knows what was said.
func TestFallbackRealtimeAnswersTheUser(t *testing.T) {
	for _, test := range []struct {
		name       string
		regenerate agents.Toggle
		want       []string
	}{
		{"by default", 0, append([]string{"2001 swapped true, regenerate false"}, helloOf(2001, "b1", "")...)},
		{"unless told otherwise", agents.Off, []string{"2001 swapped true, regenerate false"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				voice := agenttest.ParseVoice(t, `s500 v1000"Hello?" s3000`)
				a := agenttest.NewRealtime(t, agenttest.RealtimeOptions{Name: "a", Voice: voice}, agenttest.OnUser("Hello?").Turn().Speak("x", second).FirstOutput(time.Millisecond).CutAt(0))
				b := realtimeNamed(t, "b", agenttest.OnUser("Hello?").Turn().Speak("Hello there.", second).Always())
				s := tapeRealtime(t, fallbackOf(t, agents.RealtimeFallbackOptions{RegenerateOnSwap: test.regenerate}, a, b), agents.RealtimeOptions{})
				mic := agenttest.NewMic(voice)
				for range 150 {
					f, err := mic.ReadFrame(t.Context())
					require.NoError(t, err)
					require.NoError(t, s.SendAudio(f))
				}
				s.want(t, append([]string{"560 speech from 500ms", "2000 speech to 1.5s, transcription true", `2000 a1_user1 heard "Hello?" from 500ms`,
					`2001 problem of "": agenttest: converse: connection failed`}, test.want...)...)
			})
		})
	}
}

// swapping returns a session that changes from a to b, which takes a second.
func swapping(t *testing.T, b agenttest.RealtimeOptions, turns ...agenttest.RealtimeTurn) (*realtimeTape, *agenttest.Realtime) {
	a := agenttest.NewRealtime(t, agenttest.RealtimeOptions{Name: "a", Capabilities: b.Capabilities})
	a.Faults(agenttest.CutAt(time.Millisecond))
	b.Name, b.ConnectTime = "b", second
	next := agenttest.NewRealtime(t, b, turns...)
	s := tapeRealtime(t, fallbackOf(t, agents.RealtimeFallbackOptions{}, a, next), agents.RealtimeOptions{Instructions: "Be brief."})
	require.NoError(t, s.SendAudio(agents.Silence(time.Millisecond, 16000, 1)))
	synctest.Wait()
	return s, next
}

const swapProblem = `0 problem of "": agenttest: converse: connection failed`

// What comes during a swap: requests wait, updates hold for the next member, interruptions end what waits, the rest is
// lost.
func TestFallbackRealtimeDuringASwap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, b := swapping(t, agenttest.RealtimeOptions{}, hello)
		s.ask(t, "w")
		require.NoError(t, s.Interrupt())
		s.ask(t, "x")
		require.NoError(t, s.SendAudio(agents.Silence(second, 16000, 1)))
		require.NoError(t, s.CommitAudio())
		require.NoError(t, s.ClearAudio())
		require.NoError(t, s.UserActivity())
		require.NoError(t, s.RealtimeSession.(agents.VideoSender).SendVideo(&agents.Image{URL: "x"}))
		require.NoError(t, s.Truncate(agents.RealtimeTruncation{MessageID: "x", Text: "y"}))
		short, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		kind, kinder := "Be kind.", "Be kinder."
		require.ErrorIs(t, s.Update(short, agents.RealtimeUpdate{Instructions: &kind}), context.DeadlineExceeded)
		begin := time.Now()
		require.NoError(t, s.Update(t.Context(), agents.RealtimeUpdate{Instructions: &kinder, Context: agents.NewChatContext(saidBy("u", agents.RoleUser, "Hi."))}))
		require.Equal(t, 500*time.Millisecond, time.Since(begin))
		time.Sleep(second)
		s.want(t, slices.Concat([]string{swapProblem, `0 fallback_1 for "w"`, "0 fallback_1 done, cancelled", "1000 swapped true, regenerate false"}, helloOf(1000, "b1", "x"))...)
		require.Equal(t, []string{"open", "update instructions context tools", "generate x"}, b.Asked())
		require.Equal(t, "Be kinder.", *b.Updates()[0].Instructions)
		require.Equal(t, []string{"u user: Hi."}, transcripts(b.Updates()[0].Context))
		require.Zero(t, b.Audio())
	})
}

// A member that cannot be told what was said during the swap has failed like one that cannot be opened.
func TestFallbackRealtimeCannotCatchUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, b := swapping(t, agenttest.RealtimeOptions{})
		b.FailUpdates(errGone)
		kind := "Be kind."
		require.ErrorIs(t, s.Update(t.Context(), agents.RealtimeUpdate{Instructions: &kind}), agents.ErrConnection)
		s.want(t, swapProblem, "1000 fallback: converse: all 2 models failed: connection failed: agenttest: converse: connection failed; gone")
	})
}

func outputs(reply bool) *agents.ChatContext {
	return agents.NewChatContext(&agents.FunctionCall{ItemMeta: agents.ItemMeta{ID: "c"}, CallID: "a1_call1", Name: "look", Arguments: "{}"},
		&agents.FunctionCallOutput{ItemMeta: agents.ItemMeta{ID: "o"}, CallID: "a1_call1", Name: "look", Output: "a key", ReplyRequired: reply})
}

// If one member answers the outputs of tools by itself, the session may count on it: the others are asked to.
func TestFallbackRealtimeAutoToolReply(t *testing.T) {
	auto := func(c *agents.RealtimeCapabilities) { c.AutoToolReply = true }
	for _, test := range []struct {
		name  string
		of    func(*agents.RealtimeCapabilities)
		reply bool
		want  []string
		asked []string
	}{
		{"by itself", auto, true, helloOf(0, "a1", ""), []string{"open", "update context"}},
		{"asked", nil, true, helloOf(0, "a1", ""), []string{"open", "update context", "generate fallback_1"}},
		{"no reply is wanted", nil, false, nil, []string{"open", "update context"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := agenttest.NewRealtime(t, agenttest.RealtimeOptions{Name: "a", Capabilities: test.of}, agenttest.OnOutput("look").Turn().Speak("Hello there.", second).Always())
				b := agenttest.NewRealtime(t, agenttest.RealtimeOptions{Name: "b", Capabilities: auto})
				s := tapeRealtime(t, fallbackOf(t, agents.RealtimeFallbackOptions{}, a, b), agents.RealtimeOptions{})
				require.NoError(t, s.Update(t.Context(), agents.RealtimeUpdate{Context: outputs(test.reply)}))
				time.Sleep(second)
				s.want(t, test.want...)
				require.Equal(t, test.asked, a.Asked())
			})
		})
	}
}

// Outputs that come during a swap are answered as well, once.
func TestFallbackRealtimeAutoToolReplyAfterASwap(t *testing.T) {
	auto := func(c *agents.RealtimeCapabilities) { c.AutoToolReply = true }
	for _, test := range []struct {
		name  string
		of    func(*agents.RealtimeCapabilities)
		at    time.Duration // when the outputs come
		begin int           // when the model is there
		asked []string
	}{
		{"by itself, as it is told of them", auto, 1500 * time.Millisecond, 2000, []string{"open", "update instructions context tools"}},
		{"asked, as it is told of them", nil, 1500 * time.Millisecond, 2000, []string{"open", "update instructions context tools", "generate fallback_1"}},
		{"asked, as it begins with them", auto, 500 * time.Millisecond, 2000, []string{"open", "generate fallback_1"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := agenttest.NewRealtime(t, agenttest.RealtimeOptions{Name: "a", Capabilities: auto})
				b := agenttest.NewRealtime(t, agenttest.RealtimeOptions{Name: "b", ConnectTime: second})
				c := agenttest.NewRealtime(t, agenttest.RealtimeOptions{Name: "c", ConnectTime: second, Capabilities: test.of}, agenttest.OnOutput("look").Turn().Speak("Hello there.", second))
				a.Faults(agenttest.CutAt(time.Millisecond))
				b.Faults(agenttest.Refuse(agenttest.StatusError(503)))
				s := tapeRealtime(t, fallbackOf(t, agents.RealtimeFallbackOptions{}, a, b, c), agents.RealtimeOptions{})
				require.NoError(t, s.SendAudio(agents.Silence(time.Millisecond, 16000, 1)))
				time.Sleep(test.at)
				require.NoError(t, s.Update(t.Context(), agents.RealtimeUpdate{Context: outputs(true)}))
				time.Sleep(second)
				s.want(t, slices.Concat([]string{swapProblem, `1000 problem of "": agenttest: chat: Service Unavailable (503)`,
					fmt.Sprintf("%d swapped true, regenerate false", test.begin)}, helloOf(test.begin, "c1", ""))...)
				require.Equal(t, test.asked, c.Asked())
			})
		})
	}
}

// After the outputs of a call have come, nothing is on its way that would be answered.
func TestFallbackRealtimeRegeneratesAfterCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := realtimeNamed(t, "a", agenttest.Any().Turn().Call("look", "{}"))
		a.Faults(agenttest.CutAt(second))
		s := tapeRealtime(t, fallbackOf(t, agents.RealtimeFallbackOptions{}, a, realtimeNamed(t, "b")), agents.RealtimeOptions{})
		s.ask(t, "x")
		time.Sleep(500 * time.Millisecond)
		require.NoError(t, s.Update(t.Context(), agents.RealtimeUpdate{Context: outputs(true)}))
		require.NoError(t, s.SendAudio(agents.Silence(second, 16000, 1)))
		s.want(t, `200 a1_resp1 for "x"`, "200 a1_call1 calls look", "200 a1_resp1 done", `500 problem of "": agenttest: converse: connection failed`,
			"500 swapped true, regenerate true")
	})
}

// What makes no sense does not reach the session.
func TestFallbackRealtimeDropsNonsense(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := realtimeNamed(t, "a", agenttest.Any().Turn().Speak("Hello there.", second).Stray())
		a.Faults(agenttest.GarbageAt(time.Millisecond))
		s := tapeRealtime(t, fallbackOf(t, agents.RealtimeFallbackOptions{}, a), agents.RealtimeOptions{})
		s.ask(t, "x")
		time.Sleep(300 * time.Millisecond)
		require.NoError(t, s.SendAudio(agents.Silence(time.Millisecond, 16000, 1)))
		require.NoError(t, s.Interrupt())
		time.Sleep(second)
		s.want(t, `200 a1_resp1 for "x"`, "200 a1_msg1 of a1_resp1", `200 a1_msg1 "Hello "`, "300 a1_msg1 done", "300 a1_resp1 done, cancelled")
		require.Equal(t, 420*time.Millisecond, s.audio)
	})
}

// A member whose sessions hear what no member may tell is kept to what all can.
func TestFallbackRealtimeKeepsToWhatAllCan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		voice := agenttest.ParseVoice(t, `s500 v1000"Hello?" s1000`)
		a := agenttest.NewRealtime(t, agenttest.RealtimeOptions{Name: "a", Voice: voice}, agenttest.OnUser("Hello?").Turn().Empty())
		b := agenttest.NewRealtime(t, agenttest.RealtimeOptions{Name: "b", Capabilities: func(c *agents.RealtimeCapabilities) {
			*c = agents.RealtimeCapabilities{AudioOutput: true, TurnDetection: true}
		}})
		s := tapeRealtime(t, fallbackOf(t, agents.RealtimeFallbackOptions{}, a, b), agents.RealtimeOptions{})
		require.NoError(t, s.SendAudio(voice.Audio()))
		text := ""
		for what, err := range map[string]error{
			"say":          s.Generate(agents.RealtimeRequest{ID: "a", Say: "x"}),
			"choice":       s.Generate(agents.RealtimeRequest{ID: "a", ToolChoice: agents.NoTools}),
			"truncate":     s.Truncate(agents.RealtimeTruncation{}),
			"instructions": s.Update(t.Context(), agents.RealtimeUpdate{Instructions: &text}),
			"context":      s.Update(t.Context(), agents.RealtimeUpdate{Context: &agents.ChatContext{}}),
			"tools":        s.Update(t.Context(), agents.RealtimeUpdate{Tools: &[]agents.Tool{}}),
		} {
			require.ErrorIs(t, err, errors.ErrUnsupported, what)
		}
		time.Sleep(second)
		s.want(t, "0 speech from 500ms", "0 speech to 1.5s, transcription false", `200 a1_resp1 for ""`, "200 a1_resp1 done")
		require.Equal(t, []string{"open"}, a.Asked())
		require.ErrorIs(t, s.SendAudio(agents.Silence(second, 8000, 1)), agents.ErrAudioFormat)
		require.ErrorIs(t, s.SendAudio(agents.AudioFrame{Samples: []int16{1}}), agents.ErrAudioFormat)
	})
}

// What a member can do it does.
func TestFallbackRealtimePassesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		usage := agents.RealtimeUsage{LLMUsage: agents.LLMUsage{TotalTokens: 7}}
		a := realtimeNamed(t, "a", agenttest.OnInstructions("Greet").Turn().Write("Hello there.").Usage(usage))
		s := tapeRealtime(t, fallbackOf(t, agents.RealtimeFallbackOptions{}, a, realtimeNamed(t, "b")), agents.RealtimeOptions{})
		img := &agents.Image{URL: "https://example.com/a.png"}
		require.NoError(t, s.RealtimeSession.(agents.VideoSender).SendVideo(img))
		require.NoError(t, s.SendAudio(agents.Silence(second, 16000, 1)))
		require.NoError(t, s.CommitAudio())
		require.NoError(t, s.ClearAudio())
		require.NoError(t, s.UserActivity())
		require.NoError(t, s.Generate(agents.RealtimeRequest{ID: "x", Instructions: "Greet."}))
		time.Sleep(second)
		require.NoError(t, s.Truncate(agents.RealtimeTruncation{MessageID: "a1_msg1", Text: "Hello"}))
		require.NoError(t, s.Truncate(agents.RealtimeTruncation{MessageID: "not its own", Text: "Hello"}))
		s.want(t, `200 a1_resp1 for "x"`, "200 a1_msg1 of a1_resp1", `200 a1_msg1 "Hello "`, `200 a1_msg1 "there."`, "200 a1_msg1 done", "200 a1_resp1 used 7", "200 a1_resp1 done")
		require.Equal(t, []*agents.Image{img}, a.Images())
		require.Equal(t, []string{"open", "commit", "clear", "activity", "generate x", "truncate a1_msg1 0s"}, a.Asked())
		require.Len(t, s.items, 1)
	})
}

// A model that is told to prepare, and one without a name, in a fallback.
func TestFallbackRealtimeOfNamelessModels(t *testing.T) {
	m := &nameless{RealtimeModel: agenttest.NewRealtime(t, agenttest.RealtimeOptions{})}
	f := fallbackOf(t, agents.RealtimeFallbackOptions{}, m)
	f.Prewarm(t.Context())
	require.Equal(t, 1, m.warm)
	require.Equal(t, "unknown", f.Model())
	require.Equal(t, "unknown", f.Provider())
}

type nameless struct {
	agents.RealtimeModel
	warm int
}

func (n *nameless) Prewarm(context.Context) { n.warm++ }

// Members may take audio at different rates: it comes at the highest and is brought down for the others.
func TestFallbackRealtimeResamples(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := agenttest.NewRealtime(t, agenttest.RealtimeOptions{Name: "b", Capabilities: func(c *agents.RealtimeCapabilities) { c.SampleRate = 24000 }})
		a := realtimeNamed(t, "a")
		f := fallbackOf(t, agents.RealtimeFallbackOptions{}, a, b)
		s := tapeRealtime(t, f, agents.RealtimeOptions{TurnDetection: agents.Off})
		for range 50 {
			require.NoError(t, s.SendAudio(agents.Silence(20*time.Millisecond, f.Capabilities().SampleRate, 1)))
		}
		require.Less(t, a.Audio(), second)
		require.NoError(t, s.CommitAudio())
		require.Equal(t, second, a.Audio())
	})
}
