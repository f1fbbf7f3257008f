package agenttest

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-voice/agents"
)

func TestRealtimeFaults(t *testing.T) {
	voice := ParseVoice(t, `s500 v1000"Hello." s1500`)
	heard := []string{"560 speech from 500ms", `1600 rt1_user1 heard "Hello." final false from 500ms`}
	tests := []struct {
		name  string
		fault VoiceFault
		want  []string
	}{
		{"stall", StallAt(1700 * ms), heard},
		{"cut", CutAt(1700 * ms), append(heard[:2:2], "1700 agenttest: converse: connection failed")},
		{"reconnect", ReconnectAt(1700 * ms), append(heard[:2:2], "2000 reconnected", "2000 speech to 1.5s, transcription true",
			`2000 item rt1_user1 after "" user "Hello."`, `2000 rt1_user1 heard "Hello." final true from 500ms`, `2000 rt1_resp1 for ""`,
			"2200 rt1_resp1 done, cancelled false, error <nil>")},
		{"reconnect while it speaks", ReconnectAt(2100 * ms), append(heard[:2:2], "2000 speech to 1.5s, transcription true",
			`2000 item rt1_user1 after "" user "Hello."`, `2000 rt1_user1 heard "Hello." final true from 500ms`, `2000 rt1_resp1 for ""`,
			"2100 rt1_resp1 done, cancelled true, error <nil>", "2400 reconnected")},
		{"garbage", GarbageAt(1700 * ms), append(heard[:2:2], "1700 agenttest.strangeEvent", `1700 nobody's "\x00\xff" at -1h0m0s`, "1700 nobody's bad frame",
			"1700 nobody's done", "1700 nobody's done, cancelled false, error <nil>", "2000 speech to 1.5s, transcription true",
			`2000 item rt1_user1 after "" user "Hello."`, `2000 rt1_user1 heard "Hello." final true from 500ms`, `2000 rt1_resp1 for ""`,
			"2200 rt1_resp1 done, cancelled false, error <nil>")},
		{"late", Late(100 * ms), []string{"660 speech from 500ms", `1700 rt1_user1 heard "Hello." final false from 500ms`, "2100 speech to 1.5s, transcription true",
			`2100 item rt1_user1 after "" user "Hello."`, `2100 rt1_user1 heard "Hello." final true from 500ms`, `2100 rt1_resp1 for ""`,
			"2300 rt1_resp1 done, cancelled false, error <nil>"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := NewRealtime(t, RealtimeOptions{Voice: voice}, OnUser("Hello.").Turn().Empty().Always())
				m.Faults(test.fault)
				s := openRealtime(t, m, agents.RealtimeOptions{})
				log := logRealtime(s)
				mic := NewMic(voice)
				for range 150 {
					f, err := mic.ReadFrame(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					if err := s.SendAudio(f); err != nil {
						if test.fault.kind != cutFault || !errors.Is(err, agents.ErrConnection) {
							t.Fatal(err)
						}
					}
				}
				log.want(t, test.want...)
			})
		})
	}
}

// While the provider is silent, what waits for it ends with its own context, and what it was asked comes to nothing.
func TestRealtimeStallsFromTheBeginning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewRealtime(t, RealtimeOptions{}, Any().Turn().Speak("Hello.", time.Second).Always())
		m.Faults(StallAt(0))
		s := openRealtime(t, m, agents.RealtimeOptions{})
		log := logRealtime(s)
		ask(t, s, agents.RealtimeRequest{ID: "a"})
		begin := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := s.Update(ctx, agents.RealtimeUpdate{}); !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != time.Second {
			t.Errorf("the update returns %v after %v", err, time.Since(begin))
		}
		time.AfterFunc(time.Second, func() { _ = s.Close() })
		if err := s.Update(t.Context(), agents.RealtimeUpdate{}); !errors.Is(err, agents.ErrStreamClosed) || time.Since(begin) != 2*time.Second {
			t.Errorf("closed, the update returns %v after %v", err, time.Since(begin))
		}
		<-log.ended
		log.want(t, "2000 agents: stream closed")
	})
}

func TestRealtimeEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewRealtime(t, RealtimeOptions{ConnectTime: 100 * ms}, Any().Turn().Speak("Hello.", time.Second))
		m.Faults(Refuse(StatusError(401)), VoiceFault{}, VoiceFault{})
		begin := time.Now()
		if _, err := m.Session(t.Context(), agents.RealtimeOptions{}); err == nil || time.Since(begin) != 100*ms {
			t.Errorf("refused: %v after %v", err, time.Since(begin))
		}
		gone := errors.New("gone")
		ctx, cancel := context.WithCancelCause(t.Context())
		s, err := m.Session(ctx, agents.RealtimeOptions{})
		if err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(5*ms, func() { cancel(gone) })
		if ev, err := s.Recv(); err != gone {
			t.Errorf("cancelled: %v, %v", ev, err)
		}
		if s.Interrupt() != gone || s.Close() != nil || s.Interrupt() != agents.ErrStreamClosed || s.Close() != nil {
			t.Error("the end is not kept to")
		}
		if _, err := m.Session(ctx, agents.RealtimeOptions{}); err != gone {
			t.Errorf("after the end of the context: %v", err)
		}
		s = openRealtime(t, m, agents.RealtimeOptions{})
		log := logRealtime(s)
		if err := s.SendAudio(agents.Silence(20*ms, 16000, 1)); err != nil {
			t.Error(err)
		}
		if err := s.SendAudio(agents.Silence(20*ms, 8000, 1)); !errors.Is(err, agents.ErrAudioFormat) {
			t.Errorf("a frame of another format gives %v", err)
		}
		img := &agents.Image{URL: "https://example.com/a.png"}
		if err := s.(agents.VideoSender).SendVideo(img); err != nil || len(m.Images()) != 1 || m.Images()[0] != img {
			t.Errorf("the picture: %v", err)
		}
		ask(t, s, agents.RealtimeRequest{ID: "a"})
		time.Sleep(210 * ms)
		_ = s.Close()
		<-log.ended
		if got := log.text(); got[len(got)-1] != "210 agents: stream closed" {
			t.Errorf("came: %q", got)
		}
	})
}

func TestRealtimeCannot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewRealtime(t, RealtimeOptions{Capabilities: func(c *agents.RealtimeCapabilities) { *c = agents.RealtimeCapabilities{} }},
			Any().Turn().Speak("Hello.", time.Second).Call("look", "{}"))
		s := openRealtime(t, m, agents.RealtimeOptions{})
		log := logRealtime(s)
		text := ""
		for what, err := range map[string]error{
			"say":          s.Generate(agents.RealtimeRequest{ID: "a", Say: "x"}),
			"choice":       s.Generate(agents.RealtimeRequest{ID: "a", ToolChoice: agents.NoTools}),
			"tools":        s.Generate(agents.RealtimeRequest{ID: "a", Tools: []agents.Tool{}}),
			"truncate":     s.Truncate(agents.RealtimeTruncation{}),
			"instructions": s.Update(t.Context(), agents.RealtimeUpdate{Instructions: &text}),
			"context":      s.Update(t.Context(), agents.RealtimeUpdate{Context: &agents.ChatContext{}}),
			"new tools":    s.Update(t.Context(), agents.RealtimeUpdate{Tools: &[]agents.Tool{}}),
		} {
			if !errors.Is(err, errors.ErrUnsupported) {
				t.Errorf("%s: %v", what, err)
			}
		}
		ask(t, s, agents.RealtimeRequest{ID: "a"})
		time.Sleep(time.Second)
		ask(t, s, agents.RealtimeRequest{ID: "b"})
		time.Sleep(time.Second)
		log.want(t, `0 rt1_resp1 for "a"`, "200 rt1_msg1 of rt1_resp1, audio false", `200 item rt1_msg1 after "" assistant ""`, `200 rt1_msg1 "Hello."`,
			"200 rt1_msg1 done", "200 rt1_call1 of rt1_resp1 calls look {}", `200 item rt1_call1_item after "rt1_msg1" call look`,
			"200 rt1_resp1 done, cancelled false, error <nil>", `1000 problem "call_open" of "b": agenttest: converse: a call has no output`)
	})
}

func TestRealtimeUpdatesFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewRealtime(t, RealtimeOptions{})
		m.FailUpdates(errRealtime, nil)
		s := openRealtime(t, m, agents.RealtimeOptions{})
		log := logRealtime(s)
		item := &agents.ChatMessage{ItemMeta: agents.ItemMeta{ID: "i"}, Role: agents.RoleUser, Content: []agents.Content{agents.Text("Hi.")}}
		if err := s.Update(t.Context(), agents.RealtimeUpdate{Context: agents.NewChatContext(item)}); err != errRealtime {
			t.Errorf("the first update: %v", err)
		}
		if err := s.Update(t.Context(), agents.RealtimeUpdate{Context: agents.NewChatContext(item)}); err != nil {
			t.Errorf("the second update: %v", err)
		}
		synctest.Wait()
		log.want(t, `0 item i after "" user "Hi."`)
	})
}

func TestRealtimeFailsTheTest(t *testing.T) {
	for _, test := range []struct {
		name string
		do   func(t tb, m *Realtime)
		want string
	}{
		{"nothing", func(tb, *Realtime) {}, ""},
		{"a turn that is left over", func(_ tb, m *Realtime) {
			m.Add(OnSay("x").Speak("x", time.Second), OnUser("y").Turn().Write("z").Times(2))
		},
			"agenttest: turns of the Realtime left over:\n    1. OnSay(\"x\").Speak(\"x\", 1s)\n    2. OnUser(\"y\").Write(\"z\").Times(2), used 0 times"},
		{"a fault that is left over", func(_ tb, m *Realtime) { m.Faults(StallAt(0)) },
			"agenttest: 1 of 1 faults of the Realtime left over after 0 streams"},
		{"a fault that was not reached", func(f tb, m *Realtime) {
			m.Faults(CutAt(time.Second))
			s, _ := m.Session(f.Context(), agents.RealtimeOptions{})
			_ = s.Close()
		}, "agenttest: 1 faults of the Realtime at a position that was not reached"},
		{"a failure that is left over", func(_ tb, m *Realtime) { m.FailUpdates(errRealtime) },
			"agenttest: 1 failures of updates of the Realtime left over"},
		{"a session that is left open", func(f tb, m *Realtime) { _, _ = m.Session(f.Context(), agents.RealtimeOptions{}) },
			"agenttest: 1 of 1 streams of the Realtime were not closed"},
		{"no turn", func(f tb, m *Realtime) {
			s, _ := m.Session(f.Context(), agents.RealtimeOptions{})
			_ = s.Generate(agents.RealtimeRequest{ID: "a"})
			if ev, _ := s.Recv(); ev.(*agents.RealtimeProblem).RequestID != "a" {
				f.Errorf("no problem but %v", ev)
			}
			_ = s.Close()
		}, "agenttest: no turn of the Realtime answers a conversation that ends with\n    nothing\nturns not used up: none"},
		{"an id used twice", func(f tb, m *Realtime) {
			m.Add(Any().Turn().Ignore().Always())
			s, _ := m.Session(f.Context(), agents.RealtimeOptions{})
			_ = s.Generate(agents.RealtimeRequest{ID: "a"})
			_ = s.Generate(agents.RealtimeRequest{ID: "a"})
			_ = s.Close()
		}, `agenttest: Generate was called with the id "a", which is empty or was used before`},
		{"a turn of a step that says something", func(_ tb, m *Realtime) { m.Add(Any().Say("x").Turn().Speak("y", time.Second)) },
			"agenttest: a turn of the Realtime that answers nothing; make it of a step that only says what it answers, such as agenttest.OnUser(text).Turn()"},
		{"a turn that does nothing", func(_ tb, m *Realtime) { m.Add(OnUser("x").Turn()) },
			`agenttest: OnUser("x") does nothing; add Speak, Write, Call or Empty`},
		{"a turn without speed", func(_ tb, m *Realtime) { m.Add(Any().Turn().Speak("y", time.Second).Speed(0)) },
			`agenttest: Any().Speak("y", 1s) has the speed 0`},
	} {
		got := failureOf(t, func(f tb) {
			m := newRealtime(f, RealtimeOptions{})
			test.do(f, m)
			m.check()
		})
		if got != test.want {
			t.Errorf("%s: the failure is\n%s\nwant\n%s", test.name, got, test.want)
		}
	}
}
