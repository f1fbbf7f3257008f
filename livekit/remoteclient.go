package livekit

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	agentpb "github.com/livekit/protocol/livekit/agent"
)

const (
	remoteTimeout   = 60 * time.Second
	remoteReady     = 5 * time.Second
	remotePing      = 500 * time.Millisecond
	remoteEventsMax = 1024
)

// ErrRemoteClosed is returned by the methods of a [RemoteSession] that was closed.
var ErrRemoteClosed = errors.New("livekit: the remote session was closed")

// A RemoteError is what a session answers to a request that failed.
type RemoteError struct{ Message string }

func (e *RemoteError) Error() string { return "livekit: the session answered: " + e.Message }

// A RemoteSession watches and leads the session of an agent in a room, from another place in the room.
//
//	remote, err := livekit.NewRemoteSession(room, "agent")
//	defer remote.Close()
//	err = remote.WaitForReady(ctx)
//	items, err := remote.RunInput(ctx, "What is the weather like?")
//
// All methods are safe for concurrent use. A request takes at most a minute, and less if its context says so.
type RemoteSession struct {
	link    remoteLink
	peers   *roomRemotes
	agent   string
	n       atomic.Uint64
	events  chan *agentpb.AgentSessionEvent
	dropped atomic.Int64

	mu      sync.Mutex
	pending map[string]chan *agentpb.SessionResponse
	closed  chan struct{}
	once    sync.Once
}

// NewRemoteSession returns the session of the participant with an identity, who need not be there yet. The room may be
// joined later.
func NewRemoteSession(room *Room, agent string) (*RemoteSession, error) {
	if err := room.listen(); err != nil {
		return nil, err
	}
	return newRemoteSession(newRoomLink(room), &room.remotes, agent), nil
}

func newRemoteSession(link remoteLink, peers *roomRemotes, agent string) *RemoteSession {
	r := &RemoteSession{
		link: link, peers: peers, agent: agent, events: make(chan *agentpb.AgentSessionEvent, remoteEventsMax),
		pending: map[string]chan *agentpb.SessionResponse{}, closed: make(chan struct{}),
	}
	peers.add(r)
	return r
}

// receive implements remotePeer.
func (r *RemoteSession) receive(from string, m *agentpb.AgentSessionMessage) {
	if from != r.agent {
		return
	}
	if e := m.GetEvent(); e != nil {
		select {
		case r.events <- e:
		default:
			r.dropped.Add(1)
		}
		return
	}
	if resp := m.GetResponse(); resp != nil {
		r.mu.Lock()
		waiting := r.pending[resp.GetRequestId()]
		delete(r.pending, resp.GetRequestId())
		r.mu.Unlock()
		if waiting != nil {
			waiting <- resp // it has room for one
		}
	}
}

// NextEvent waits for the next event of the session. Events come in order. Those that nobody has taken when there are a
// thousand of them are dropped, see [RemoteSession.Dropped].
func (r *RemoteSession) NextEvent(ctx context.Context) (*agentpb.AgentSessionEvent, error) {
	if isClosed(r.closed) {
		return nil, ErrRemoteClosed
	}
	select {
	case e := <-r.events:
		return e, nil
	case <-r.closed:
		return nil, ErrRemoteClosed
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// Dropped is how many events were dropped because nobody took them.
func (r *RemoteSession) Dropped() int64 { return r.dropped.Load() }

// Do sends a request, whose id it sets, and waits for the answer. What the session answers to a request that failed is a
// [RemoteError]. The methods below are shorter.
func (r *RemoteSession) Do(ctx context.Context, req *agentpb.SessionRequest) (*agentpb.SessionResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, remoteTimeout)
	defer cancel()
	req.RequestId = "req_" + strconv.FormatUint(r.n.Add(1), 10)
	answer := make(chan *agentpb.SessionResponse, 1)
	r.mu.Lock()
	r.pending[req.RequestId] = answer
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		delete(r.pending, req.RequestId)
		r.mu.Unlock()
	}()
	if isClosed(r.closed) {
		return nil, ErrRemoteClosed
	}
	m := &agentpb.AgentSessionMessage{Message: &agentpb.AgentSessionMessage_Request{Request: req}}
	if err := r.link.send(ctx, r.agent, m); err != nil {
		return nil, err
	}
	select {
	case resp := <-answer:
		if resp.Error != nil {
			return nil, &RemoteError{resp.GetError()}
		}
		return resp, nil
	case <-r.closed:
		return nil, ErrRemoteClosed
	case <-ctx.Done():
		return nil, fmt.Errorf("livekit: %s: %w", remoteName(req), context.Cause(ctx))
	}
}

// WaitForReady waits until the session answers, for at most 5 s. That nothing can be sent yet is no error until then.
func (r *RemoteSession) WaitForReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, remoteReady)
	defer cancel()
	var last error
	for {
		ping, done := context.WithTimeout(ctx, remotePing)
		begun := time.Now()
		err := r.Ping(ping)
		done()
		switch {
		case err == nil, errors.Is(err, ErrRemoteClosed):
			return err
		case ctx.Err() != nil && last == nil:
			return err
		case ctx.Err() != nil:
			return fmt.Errorf("livekit: the session is not ready: %w", last)
		}
		last = err
		sleep(ctx, remotePing-time.Since(begun))
	}
}

// Ping asks whether the session answers.
func (r *RemoteSession) Ping(ctx context.Context) error {
	_, err := r.Do(ctx, &agentpb.SessionRequest{Request: &agentpb.SessionRequest_Ping_{Ping: &agentpb.SessionRequest_Ping{}}})
	return err
}

// ChatHistory returns everything in the session's history.
func (r *RemoteSession) ChatHistory(ctx context.Context) ([]*agentpb.ChatContext_ChatItem, error) {
	resp, err := r.Do(ctx, &agentpb.SessionRequest{Request: &agentpb.SessionRequest_GetChatHistory_{GetChatHistory: &agentpb.SessionRequest_GetChatHistory{}}})
	return resp.GetGetChatHistory().GetItems(), err
}

// AgentInfo returns who has the floor, and what their model was told.
func (r *RemoteSession) AgentInfo(ctx context.Context) (*agentpb.SessionResponse_GetAgentInfoResponse, error) {
	resp, err := r.Do(ctx, &agentpb.SessionRequest{Request: &agentpb.SessionRequest_GetAgentInfo_{GetAgentInfo: &agentpb.SessionRequest_GetAgentInfo{}}})
	return resp.GetGetAgentInfo(), err
}

// State returns what the agent and the user are doing.
func (r *RemoteSession) State(ctx context.Context) (*agentpb.SessionResponse_GetSessionStateResponse, error) {
	resp, err := r.Do(ctx, &agentpb.SessionRequest{Request: &agentpb.SessionRequest_GetSessionState_{GetSessionState: &agentpb.SessionRequest_GetSessionState{}}})
	return resp.GetGetSessionState(), err
}

// Usage returns what the session's models were used for.
func (r *RemoteSession) Usage(ctx context.Context) (*agentpb.AgentSessionUsage, error) {
	resp, err := r.Do(ctx, &agentpb.SessionRequest{Request: &agentpb.SessionRequest_GetSessionUsage_{GetSessionUsage: &agentpb.SessionRequest_GetSessionUsage{}}})
	return resp.GetGetSessionUsage().GetUsage(), err
}

// RunInput interrupts the agent, whatever it is doing, has it answer a text, and returns what came of it.
func (r *RemoteSession) RunInput(ctx context.Context, text string) ([]*agentpb.ChatContext_ChatItem, error) {
	resp, err := r.Do(ctx, &agentpb.SessionRequest{Request: &agentpb.SessionRequest_RunInput_{RunInput: &agentpb.SessionRequest_RunInput{Text: text}}})
	return resp.GetRunInput().GetItems(), err
}

// Close forgets the session. Requests that wait return [ErrRemoteClosed]. It may be called again.
func (r *RemoteSession) Close() {
	r.once.Do(func() {
		r.peers.remove(r)
		close(r.closed)
	})
}
