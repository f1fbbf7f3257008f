package livekit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	pb "github.com/livekit/protocol/livekit"
	agentpb "github.com/livekit/protocol/livekit/agent"

	agents "github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
)

// A wire is a link from one place to another, which may fail.
type wire struct {
	from string
	to   *roomRemotes
	mu   sync.Mutex
	n    uint64
	err  error
}

func (w *wire) send(_ context.Context, _ string, m *agentpb.AgentSessionMessage) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return w.err
	}
	data, err := proto.Marshal(m)
	if err != nil {
		return err
	}
	got := &agentpb.AgentSessionMessage{}
	if err := proto.Unmarshal(data, got); err != nil {
		return err
	}
	w.n++
	w.to.take(w.from, w.n, got, time.Now())
	return nil
}

func (w *wire) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.err = err
}

// A remotePair is a session, its host and a remote session of it.
type remotePair struct {
	session      *agents.AgentSession
	host         *remoteHost
	remote       *RemoteSession
	toHost, back *wire
	log          bytes.Buffer
}

func remotely(t *testing.T, steps []agenttest.Step, f func(t *testing.T, p *remotePair)) {
	synctest.Test(t, func(t *testing.T) {
		p := &remotePair{session: agents.NewSession(agents.Options{LLM: agenttest.NewLLM(t, steps...)})}
		var here, there roomRemotes
		p.toHost, p.back = &wire{from: "user", to: &here}, &wire{from: "agent", to: &there}
		ready := make(chan struct{})
		close(ready)
		p.host = newRemoteHost(p.back, ready, p.session, slog.New(slog.NewTextHandler(&p.log, nil)))
		here.add(p.host)
		p.remote = newRemoteSession(p.toHost, &there, "agent")
		tool := agents.ToolFunc("look_up", "Look it up.", func(context.Context, struct{}) (string, error) { return "found", nil })
		first := &agents.Agent{ID: "first", Instructions: "Be kind.", Tools: []agents.Tool{tool}}
		require.NoError(t, p.session.Start(t.Context(), first, agents.IO{}))
		f(t, p)
		require.NoError(t, p.session.Close())
		p.host.close()
		p.host.close()
		p.remote.Close()
		p.remote.Close()
	})
}

func texts(items []*agentpb.ChatContext_ChatItem) (all []string) {
	for _, i := range items {
		switch i := i.GetItem().(type) {
		case *agentpb.ChatContext_ChatItem_Message:
			all = append(all, i.Message.GetRole().String()+" "+i.Message.GetContent()[0].GetText())
		case *agentpb.ChatContext_ChatItem_FunctionCall:
			all = append(all, "call "+i.FunctionCall.GetName())
		case *agentpb.ChatContext_ChatItem_FunctionCallOutput:
			all = append(all, "output "+i.FunctionCallOutput.GetOutput())
		case *agentpb.ChatContext_ChatItem_AgentHandoff:
			all = append(all, "to "+i.AgentHandoff.GetNewAgentId())
		case *agentpb.ChatContext_ChatItem_AgentConfigUpdate:
			all = append(all, "config")
		}
	}
	return all
}

// Worker 33. What a remote session asks is answered.
func TestARemoteSessionIsAnswered(t *testing.T) {
	steps := []agenttest.Step{agenttest.OnUser("what is it").Call("look_up", `{}`), agenttest.OnOutput("look_up").Say("it is this").Usage(agents.LLMUsage{PromptTokens: 7, CompletionTokens: 5})}
	remotely(t, steps, func(t *testing.T, p *remotePair) {
		ctx := t.Context()
		require.NoError(t, p.remote.WaitForReady(ctx))
		items, err := p.remote.RunInput(ctx, "what is it")
		require.NoError(t, err)
		require.Equal(t, []string{"call look_up", "output found", "ASSISTANT it is this"}, texts(items))
		items, err = p.remote.ChatHistory(ctx)
		require.NoError(t, err)
		require.Subset(t, texts(items), []string{"to first", "config", "USER what is it", "call look_up", "ASSISTANT it is this"})
		info, err := p.remote.AgentInfo(ctx)
		require.NoError(t, err)
		require.Equal(t, "first", info.GetId())
		require.Equal(t, "Be kind.", info.GetInstructions())
		require.Equal(t, []string{"look_up"}, info.GetTools())
		require.Equal(t, texts(items), texts(info.GetChatCtx()))
		state, err := p.remote.State(ctx)
		require.NoError(t, err)
		require.Equal(t, agentpb.AgentState_AS_LISTENING, state.GetAgentState())
		require.Equal(t, agentpb.UserState_US_LISTENING, state.GetUserState())
		require.Equal(t, "first", state.GetAgentId())
		usage, err := p.remote.Usage(ctx)
		require.NoError(t, err)
		require.Len(t, usage.GetModelUsage(), 1)

		var refused *RemoteError
		_, err = p.remote.RunInput(ctx, " ")
		require.ErrorAs(t, err, &refused)
		require.Contains(t, refused.Message, "empty")
		yes, no := true, false
		update := func(in *agentpb.SessionRequest_UpdateIO_Input) error {
			_, err := p.remote.Do(ctx, &agentpb.SessionRequest{Request: &agentpb.SessionRequest_UpdateIo{UpdateIo: &agentpb.SessionRequest_UpdateIO{Input: in}}})
			return err
		}
		require.NoError(t, update(nil))
		require.NoError(t, update(&agentpb.SessionRequest_UpdateIO_Input{VideoEnabled: &no}))
		require.Error(t, update(&agentpb.SessionRequest_UpdateIO_Input{VideoEnabled: &yes}))
		_, err = p.remote.Do(ctx, &agentpb.SessionRequest{})
		require.ErrorAs(t, err, &refused)
		resp, err := p.remote.Do(ctx, &agentpb.SessionRequest{Request: &agentpb.SessionRequest_GetFrameworkInfo_{}})
		require.NoError(t, err)
		require.Equal(t, "parley", resp.GetGetFrameworkInfo().GetSdk())
		require.NoError(t, p.session.Close())
		_, err = p.remote.RunInput(ctx, "is anybody there")
		require.ErrorAs(t, err, &refused)
	})
}

// Worker 33, T125. A run that ends while the host closes is answered; one that takes longer is given up, and told by
// its name.
func TestRequestsEndWithTheHost(t *testing.T) {
	for _, c := range []struct {
		takes, closing time.Duration
		answered       bool
	}{{2 * time.Second, 1500 * ms, true}, {time.Minute, remoteGrace, false}} {
		t.Run(c.takes.String(), func(t *testing.T) {
			remotely(t, []agenttest.Step{agenttest.Any().Say("late").TTFT(c.takes)}, func(t *testing.T, p *remotePair) {
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				done := make(chan error, 1)
				go func() {
					_, err := p.remote.RunInput(ctx, "hello")
					done <- err
				}()
				time.Sleep(500 * ms)
				begun := time.Now()
				p.host.close()
				require.Equal(t, c.closing, time.Since(begun))
				require.Equal(t, !c.answered, strings.Contains(p.log.String(), "run_input"))
				err := <-done
				require.Equal(t, c.answered, err == nil, "%v", err)
				require.ErrorIs(t, p.remote.Ping(ctx), context.DeadlineExceeded, "no more is taken")
			})
		})
	}
}

// Worker 34. Events come in order, each with what it is about, and those that cannot be sent harm nobody.
func TestEventsReachARemoteSessionInOrder(t *testing.T) {
	steps := []agenttest.Step{agenttest.Any().Call("look_up", `{}`), agenttest.Any().Say("it is this"), agenttest.Any().Say("again")}
	remotely(t, steps, func(t *testing.T, p *remotePair) {
		_, err := p.session.Run(t.Context(), "what is it")
		require.NoError(t, err)
		synctest.Wait()
		var names []string
		last := time.Time{}
		for len(p.remote.events) > 0 {
			e, err := p.remote.NextEvent(t.Context())
			require.NoError(t, err)
			m := e.ProtoReflect()
			names = append(names, string(m.WhichOneof(m.Descriptor().Oneofs().ByName("event")).Name()))
			require.False(t, e.GetCreatedAt().AsTime().Before(last))
			last = e.GetCreatedAt().AsTime()
		}
		var kinds []string
		for _, n := range names {
			if n != "session_usage_updated" && (len(kinds) == 0 || kinds[len(kinds)-1] != n) {
				kinds = append(kinds, n)
			}
		}
		t.Log(kinds)
		require.Subset(t, kinds, []string{"agent_state_changed", "conversation_item_added", "tool_execution_updated", "function_tools_executed"})

		p.back.fail(errors.New("gone"))
		_, err = p.session.Run(t.Context(), "again")
		require.NoError(t, err)
		synctest.Wait()
		require.Empty(t, p.remote.events)
		require.Equal(t, 1, strings.Count(p.log.String(), "could not be sent"))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = p.remote.NextEvent(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})
}

// Worker 34. That nothing can be sent yet is waited out, and is the error if it lasts; requests end with their context,
// after a minute and with the remote session.
func TestARemoteSessionWaitsAndGivesUp(t *testing.T) {
	remotely(t, nil, func(t *testing.T, p *remotePair) {
		gone := errors.New("not yet")
		p.toHost.fail(gone)
		begun := time.Now()
		time.AfterFunc(1200*ms, func() { p.toHost.fail(nil) })
		require.NoError(t, p.remote.WaitForReady(t.Context()))
		require.Equal(t, 1500*ms, time.Since(begun))
		p.toHost.fail(gone)
		begun = time.Now()
		require.ErrorIs(t, p.remote.WaitForReady(t.Context()), gone)
		require.Equal(t, remoteReady, time.Since(begun))
		p.toHost.fail(nil)

		p.back.fail(gone)
		begun = time.Now()
		require.ErrorIs(t, p.remote.Ping(t.Context()), context.DeadlineExceeded)
		require.Equal(t, remoteTimeout, time.Since(begun))
		time.AfterFunc(time.Second, p.remote.Close)
		begun = time.Now()
		require.ErrorIs(t, p.remote.Ping(t.Context()), ErrRemoteClosed)
		require.Equal(t, time.Second, time.Since(begun))
		require.ErrorIs(t, p.remote.WaitForReady(t.Context()), ErrRemoteClosed)
		_, err := p.remote.NextEvent(t.Context())
		require.ErrorIs(t, err, ErrRemoteClosed)
		require.Empty(t, p.remote.pending)
	})
}

// Worker 35. A request that breaks its handler is an internal error, and no more than that; too many at once are refused.
func TestARequestThatPanicsIsAnInternalError(t *testing.T) {
	remotely(t, nil, func(t *testing.T, p *remotePair) {
		p.host.stats = func() ([]*structpb.Struct, []*structpb.Struct) { panic("secret") }
		var refused *RemoteError
		stats := &agentpb.SessionRequest{Request: &agentpb.SessionRequest_GetRtcStats{}}
		_, err := p.remote.Do(t.Context(), stats)
		require.ErrorAs(t, err, &refused)
		require.Equal(t, "internal error", refused.Message)

		hold := make(chan struct{})
		p.host.stats = func() ([]*structpb.Struct, []*structpb.Struct) { <-hold; return nil, nil }
		var running sync.WaitGroup
		for range maxRequests {
			running.Go(func() {
				_, err := p.remote.Do(t.Context(), &agentpb.SessionRequest{Request: &agentpb.SessionRequest_GetRtcStats{}})
				require.NoError(t, err)
			})
		}
		synctest.Wait()
		require.ErrorAs(t, p.remote.Ping(t.Context()), &refused)
		require.Contains(t, refused.Message, "too many")
		close(hold)
		running.Wait()
		require.NoError(t, p.remote.Ping(t.Context()))
	})
}

// T125. Messages that are sent at once do not interleave, and what is too long, or cannot be sent, is an error.
func TestMessagesAreSentOneAfterAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		room := NewRoom(nil)
		l := newRoomLink(room)
		ask := func(size int) *agentpb.AgentSessionMessage {
			return &agentpb.AgentSessionMessage{Message: &agentpb.AgentSessionMessage_Request{Request: &agentpb.SessionRequest{RequestId: strings.Repeat("x", size)}}}
		}
		require.ErrorIs(t, l.send(t.Context(), "", ask(1)), ErrRemoteNotConnected)
		close(room.joined)
		var packets []*pb.DataPacket
		l.publish = func(p *pb.DataPacket, to string) error {
			require.Equal(t, "agent", to)
			time.Sleep(time.Millisecond)
			packets = append(packets, p)
			return nil
		}
		var all sync.WaitGroup
		for range 10 {
			all.Go(func() { require.NoError(t, l.send(t.Context(), "agent", ask(40_000))) })
		}
		all.Wait()
		require.Len(t, packets, 10*5)
		for i, p := range packets {
			id := packets[i-i%5].GetStreamHeader().GetStreamId()
			require.True(t, strings.HasPrefix(id, "AS_"))
			require.Equal(t, fmt.Sprint(i/5+1), packets[i-i%5].GetStreamHeader().GetAttributes()[attributeOrder])
			switch i % 5 {
			case 0:
			case 4:
				require.Equal(t, id, p.GetStreamTrailer().GetStreamId())
			default:
				require.Equal(t, id, p.GetStreamChunk().GetStreamId())
				require.EqualValues(t, i%5-1, p.GetStreamChunk().GetChunkIndex())
			}
		}
		require.ErrorIs(t, l.send(t.Context(), "", ask(remoteBytes)), errTooLong)
		why := errors.New("why")
		l.publish = func(*pb.DataPacket, string) error { return why }
		require.ErrorIs(t, l.send(t.Context(), "", ask(1)), why)
		room.wasLeft()
		require.ErrorIs(t, l.send(t.Context(), "", ask(1)), ErrRemoteNotConnected)
	})
}

// Messages are given as numbers, and a + before one lets 600 ms pass first. What comes out of order is put in order, what
// is lost is waited for a while, and what is too late comes late. A ! cannot be read.
func TestMessagesArePutInOrder(t *testing.T) {
	for _, c := range []struct{ name, come, given string }{
		{"in order", "1 2 3", "1 2 3"},
		{"begun in the middle", "7 8 9", "7 8 9"},
		{"two exchanged", "1 3 2 4", "1 2 3 4"},
		{"one is lost", "1 3 + 4 + 5 6", "1 3 4 5 6"},
		{"one is lost, and no more come", "1 3", "1 3"},
		{"one is late", "1 3 + 4 + 5 2 6", "1 3 4 5 2 6"},
		{"one cannot be read", "1 2! 3", "1 3"},
		{"without numbers", "0 0 0", "0 0 0"},
		{"the sender begins anew", "500 501 + 1 2", "500 501 1 2"},
		{"two exchanged at the beginning", "2 1 3", "1 2 3"},
		{"two exchanged of one who was there before", "8 7 + 9", "7 8 9"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var o remoteOrder
			now := time.Unix(0, 0)
			var given []string
			give := func(all []*agentpb.AgentSessionMessage) {
				for _, m := range all {
					given = append(given, m.GetRequest().GetRequestId())
				}
			}
			for _, word := range strings.Fields(c.come + " + +") {
				if word == "+" {
					now = now.Add(600 * ms)
					give(o.release(now))
					continue
				}
				var n uint64
				_, err := fmt.Sscan(strings.TrimSuffix(word, "!"), &n)
				require.NoError(t, err)
				m := &agentpb.AgentSessionMessage{Message: &agentpb.AgentSessionMessage_Request{Request: &agentpb.SessionRequest{RequestId: word}}}
				if strings.HasSuffix(word, "!") {
					m = nil
				}
				give(o.push(n, m, now))
			}
			require.Equal(t, c.given, strings.Join(given, " "))
		})
	}
	var o remoteOrder
	o.push(1, nil, time.Unix(0, 0))
	require.Empty(t, o.held)
	for n := range uint64(1000) {
		o.push(n+3, nil, time.Unix(0, 0))
		require.LessOrEqual(t, len(o.held), maxRemoteHeld)
	}
}

// A message after one that was lost is not lost with it, although no more come.
func TestAMessageAfterALostOneComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var peers roomRemotes
		r := newRemoteSession(nil, &peers, "agent")
		event := &agentpb.AgentSessionMessage{Message: &agentpb.AgentSessionMessage_Event{Event: &agentpb.AgentSessionEvent{}}}
		for _, n := range []uint64{1, 3} {
			peers.take("agent", n, event, time.Now())
		}
		begun := time.Now()
		for range 2 {
			_, err := r.NextEvent(t.Context())
			require.NoError(t, err)
		}
		require.Equal(t, remotePatience, time.Since(begun))
		r.Close()
	})
}

// Worker 35. Each event of a session that is told has its counterpart.
func TestEventsHaveCounterparts(t *testing.T) {
	for name, e := range map[string]agents.Event{
		"agent_state_changed":      &agents.AgentStateChanged{New: agents.AgentSpeaking},
		"user_state_changed":       &agents.UserStateChanged{New: agents.UserAway},
		"conversation_item_added":  &agents.ItemAdded{Item: &agents.ChatMessage{}},
		"user_input_transcribed":   &agents.UserInputTranscribed{Transcript: "hi"},
		"function_tools_executed":  &agents.ToolsExecuted{Calls: []*agents.FunctionCall{{}}, Outputs: []*agents.FunctionCallOutput{{}}},
		"tool_execution_updated":   &agents.ToolStarted{Call: &agents.FunctionCall{}},
		"session_usage_updated":    &agents.UsageUpdated{Usage: []agents.ModelUsage{{Kind: "tts"}}},
		"overlapping_speech":       &agents.OverlappingSpeech{Interruption: true},
		"agent_false_interruption": &agents.FalseInterruption{Resumed: true},
		"eot_prediction":           &agents.TurnPredicted{Probability: 1},
		"error":                    &agents.ErrorOccurred{Err: errors.New("Bearer " + canary)},
	} {
		p := remoteEvent(e)
		require.NotNil(t, p, name)
		m := p.ProtoReflect()
		require.Equal(t, name, string(m.WhichOneof(m.Descriptor().Oneofs().ByName("event")).Name()))
		require.NotContains(t, p.String(), "signature")
		require.NotContains(t, p.String(), canary[:20])
	}
	since := time.Unix(100, 0)
	require.True(t, remoteEvent(&agents.UserStateChanged{EventMeta: agents.EventMeta{At: since.Add(time.Second)}, Since: since}).GetCreatedAt().AsTime().Equal(since),
		"when it began, not when it was noticed")
	for name, e := range map[string]agents.Event{
		"started": &agents.ToolStarted{Call: &agents.FunctionCall{}}, "call_updated": &agents.ToolUpdated{},
		"ended": &agents.ToolEnded{Status: agents.ToolFailed, Message: "no"}, "reply_updated": &agents.ToolReplyUpdated{Status: agents.ToolReplySkipped},
	} {
		m := remoteTool(e).ProtoReflect()
		require.Equal(t, name, string(m.WhichOneof(m.Descriptor().Oneofs().ByName("update")).Name()))
	}
	require.Nil(t, remoteEvent(&agents.LLMMetrics{}))
}
