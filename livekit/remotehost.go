package livekit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/webrtc/v4"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	agentpb "github.com/livekit/protocol/livekit/agent"

	agents "github.com/parley-voice/agents"
)

const (
	// remoteGrace is how long the end of a host waits for what it is doing.
	remoteGrace = 3 * time.Second
	// maxRequests is how many requests are answered at a time; more are refused.
	maxRequests = 32

	sdkName    = "parley"
	sdkVersion = "0.1.0"
)

var (
	errRemoteInternal = errors.New("internal error")
	errRemoteBusy     = errors.New("too many requests")
	errRemoteEmpty    = errors.New("the text is empty")
	errRemoteVideo    = errors.New("there is no video")
	errRemoteUnknown  = errors.New("unknown request")
)

// A remoteHost tells the room what happens in its session, and does what participants ask it to.
type remoteHost struct {
	link    remoteLink
	session *agents.AgentSession
	log     *slog.Logger
	stats   func() (publisher, subscriber []*structpb.Struct)
	begun   time.Time
	ready   <-chan struct{} // closed once events can be sent; they wait until then

	ctx     context.Context
	cancel  context.CancelFunc
	events  chan struct{} // closed when the last event was sent
	started atomic.Bool   // there were events
	running sync.WaitGroup

	mu     sync.Mutex
	busy   map[*agentpb.SessionRequest]bool
	closed bool
}

// newRemoteHost returns a host that tells of events from now on. It is ended by close.
func newRemoteHost(link remoteLink, ready <-chan struct{}, session *agents.AgentSession, log *slog.Logger) *remoteHost {
	h := &remoteHost{
		link: link, ready: ready, session: session, log: log, begun: time.Now(), events: make(chan struct{}),
		busy: map[*agentpb.SessionRequest]bool{},
	}
	h.ctx, h.cancel = context.WithCancel(context.Background())
	events := session.Events(h.ctx)
	go func() {
		defer close(h.events)
		warned := false
		for e := range events {
			h.started.Store(true)
			p := remoteEvent(e)
			if p == nil {
				continue
			}
			select {
			case <-h.ready:
			case <-h.ctx.Done():
				return
			}
			m := &agentpb.AgentSessionMessage{Message: &agentpb.AgentSessionMessage_Event{Event: p}}
			if err := h.link.send(h.ctx, "", m); err != nil && h.ctx.Err() == nil && !warned {
				warned = true
				h.log.Warn("an event of the session could not be sent", "err", err)
			}
		}
	}()
	return h
}

// receive implements remotePeer.
func (h *remoteHost) receive(from string, m *agentpb.AgentSessionMessage) {
	req := m.GetRequest()
	if req == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return
	}
	refuse := len(h.busy) >= maxRequests
	if len(h.busy) >= 2*maxRequests {
		return // nor is there time to say so
	}
	h.busy[req] = true
	h.running.Go(func() {
		defer func() {
			h.mu.Lock()
			delete(h.busy, req)
			h.mu.Unlock()
		}()
		resp, err := &agentpb.SessionResponse{}, errRemoteBusy
		if !refuse {
			resp, err = h.answer(h.ctx, req)
		}
		if h.ctx.Err() != nil {
			return
		}
		if err != nil {
			text := tokensOnly.err(err).Error()
			resp = &agentpb.SessionResponse{Error: &text}
		}
		resp.RequestId = req.GetRequestId()
		m := &agentpb.AgentSessionMessage{Message: &agentpb.AgentSessionMessage_Response{Response: resp}}
		if err := h.link.send(h.ctx, from, m); err != nil {
			h.log.Warn("a request could not be answered", "request", remoteName(req), "err", err)
		}
	})
}

// answer does what a request asks. The error is for whom it is from.
func (h *remoteHost) answer(ctx context.Context, req *agentpb.SessionRequest) (resp *agentpb.SessionResponse, err error) {
	defer func() {
		if p := recover(); p != nil {
			h.log.Error("a request panicked", "request", remoteName(req), "panic", fmt.Sprint(p))
			resp, err = nil, errRemoteInternal
		}
	}()
	resp = &agentpb.SessionResponse{}
	switch r := req.GetRequest().(type) {
	case *agentpb.SessionRequest_Ping_:
		resp.Response = &agentpb.SessionResponse_Pong_{Pong: &agentpb.SessionResponse_Pong{}}
	case *agentpb.SessionRequest_GetChatHistory_:
		resp.Response = &agentpb.SessionResponse_GetChatHistory{GetChatHistory: &agentpb.SessionResponse_GetChatHistoryResponse{
			Items: remoteItems(h.session.History().Items()),
		}}
	case *agentpb.SessionRequest_GetAgentInfo_:
		history := h.session.History()
		info := remoteInfo(history)
		info.ChatCtx = remoteItems(history.Items())
		resp.Response = &agentpb.SessionResponse_GetAgentInfo{GetAgentInfo: info}
	case *agentpb.SessionRequest_RunInput_:
		items, err := h.run(ctx, r.RunInput.GetText())
		if err != nil {
			return nil, err
		}
		resp.Response = &agentpb.SessionResponse_RunInput{RunInput: &agentpb.SessionResponse_RunInputResponse{Items: items}}
	case *agentpb.SessionRequest_GetSessionState_:
		resp.Response = &agentpb.SessionResponse_GetSessionState{GetSessionState: &agentpb.SessionResponse_GetSessionStateResponse{
			AgentState: remoteAgentState(h.session.AgentState()), UserState: remoteUserState(h.session.UserState()),
			AgentId: remoteInfo(h.session.History()).GetId(), CreatedAt: timestamppb.New(h.begun),
		}}
	case *agentpb.SessionRequest_GetRtcStats:
		stats := &agentpb.SessionResponse_GetRTCStatsResponse{}
		if h.stats != nil {
			stats.PublisherStats, stats.SubscriberStats = h.stats()
		}
		resp.Response = &agentpb.SessionResponse_GetRtcStats{GetRtcStats: stats}
	case *agentpb.SessionRequest_GetSessionUsage_:
		resp.Response = &agentpb.SessionResponse_GetSessionUsage{GetSessionUsage: &agentpb.SessionResponse_GetSessionUsageResponse{
			Usage: remoteUsage(h.session.Usage()), CreatedAt: timestamppb.Now(),
		}}
	case *agentpb.SessionRequest_GetFrameworkInfo_:
		resp.Response = &agentpb.SessionResponse_GetFrameworkInfo{GetFrameworkInfo: &agentpb.SessionResponse_GetFrameworkInfoResponse{
			Sdk: sdkName, SdkVersion: sdkVersion,
		}}
	case *agentpb.SessionRequest_UpdateIo:
		if err := h.updateIO(r.UpdateIo); err != nil {
			return nil, err
		}
		resp.Response = &agentpb.SessionResponse_UpdateIo{UpdateIo: &agentpb.SessionResponse_UpdateIOResponse{}}
	case *agentpb.SessionRequest_FinalizeSimulation_:
		resp.Response = &agentpb.SessionResponse_FinalizeSimulation{FinalizeSimulation: &agentpb.SessionResponse_FinalizeSimulationResponse{}}
	default:
		return nil, errRemoteUnknown
	}
	return resp, nil
}

// run has the agent answer a text, whatever it is doing, and returns what came of it.
func (h *remoteHost) run(ctx context.Context, text string) ([]*agentpb.ChatContext_ChatItem, error) {
	if strings.TrimSpace(text) == "" {
		return nil, errRemoteEmpty
	}
	if err := h.session.ForceInterrupt(ctx); err != nil {
		return nil, err
	}
	result, err := h.session.Run(ctx, text)
	if err != nil {
		return nil, err
	}
	return remoteItems(result.Items()), nil
}

// updateIO switches what is given, and leaves the rest as it is.
func (h *remoteHost) updateIO(u *agentpb.SessionRequest_UpdateIO) error {
	if u.GetInput().GetVideoEnabled() || u.GetOutput().GetVideoEnabled() {
		return errRemoteVideo
	}
	if in := u.GetInput(); in != nil && in.AudioEnabled != nil {
		if err := h.session.SetAudioInput(in.GetAudioEnabled()); err != nil {
			return err
		}
	}
	if out := u.GetOutput(); out != nil && out.AudioEnabled != nil {
		return h.session.SetAudioOutput(out.GetAudioEnabled())
	}
	return nil
}

// close takes no more requests, lets those that run be answered and the last events be sent, for a while, and gives up
// the rest. It is called after the session has closed.
func (h *remoteHost) close() {
	h.mu.Lock()
	first := !h.closed
	h.closed = true
	h.mu.Unlock()
	if !first {
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		h.running.Wait()
		// More events may come at any time unless the session has closed.
		if h.started.Load() && isClosed(h.ready) && h.session.CurrentActivity() == nil {
			<-h.events
		}
	}()
	grace := time.NewTimer(remoteGrace)
	defer grace.Stop()
	select {
	case <-done:
	case <-grace.C:
		h.mu.Lock()
		var names []string
		for req := range h.busy {
			names = append(names, remoteName(req))
		}
		h.mu.Unlock()
		slices.Sort(names)
		h.log.Warn("requests were given up as the session closed", "requests", names)
	}
	h.cancel()
	<-done
	<-h.events
}

// remoteName is what a request is, for people.
func remoteName(req *agentpb.SessionRequest) string {
	m := req.ProtoReflect()
	if f := m.WhichOneof(m.Descriptor().Oneofs().ByName("request")); f != nil {
		return string(f.Name())
	}
	return "unknown"
}

// remoteStats are the statistics of the agent's connections.
func (r *RoomIO) remoteStats() (publisher, subscriber []*structpb.Struct) {
	p := r.room.LocalParticipant
	return structsOf(p.GetPublisherPeerConnection()), structsOf(p.GetSubscriberPeerConnection())
}

func structsOf(pc *webrtc.PeerConnection) (all []*structpb.Struct) {
	if pc == nil {
		return nil
	}
	for _, s := range pc.GetStats() {
		data, err := json.Marshal(s)
		if err != nil {
			continue
		}
		one := &structpb.Struct{}
		if one.UnmarshalJSON(data) == nil {
			all = append(all, one)
		}
	}
	return all
}
