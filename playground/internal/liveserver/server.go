// Package liveserver runs a LiveKit server in the process, for tests and for the playground: ready in about 0.1 s, on
// free ports of the loopback interface, several at once if need be.
package liveserver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"github.com/livekit/livekit-server/pkg/config"
	"github.com/livekit/livekit-server/pkg/routing"
	"github.com/livekit/livekit-server/pkg/service"
	"github.com/livekit/livekit-server/pkg/telemetry/prometheus"
	"github.com/livekit/protocol/auth"
	"github.com/livekit/protocol/livekit"
	"github.com/livekit/protocol/logger"
)

// The credentials of every server. They protect nothing: it listens on the loopback interface only.
const (
	APIKey    = "playground"
	APISecret = "a-secret-of-at-least-32-characters"
)

// Options say where a server listens and which keys it knows. The zero value is free ports and the credentials above alone.
type Options struct {
	// Ports are where it listens: those of a server that was stopped or killed bring it back at the same address.
	Ports Ports
	// Keys are further credentials, a secret of at least 32 characters for each key.
	Keys map[string]string
}

// Ports are those of one server, on the loopback interface.
type Ports struct{ HTTP, RTCTCP, RTCUDP int }

// A Server is a running LiveKit server.
type Server struct {
	URL  string // ws://127.0.0.1:…
	Port int

	server *service.LivekitServer
	done   chan error
	stop   sync.Once
}

var quiet sync.Once

// Start starts a server on free ports and waits until it answers.
func Start(ctx context.Context) (*Server, error) { return StartWith(ctx, Options{}) }

// StartWith is Start with options.
func StartWith(ctx context.Context, o Options) (*Server, error) {
	// The server's logger is one of the whole process.
	quiet.Do(func() { logger.SetLogger(logger.LogRLogger(logr.Discard()), "livekit") })
	keys := map[string]string{APIKey: APISecret}
	maps.Copy(keys, o.Keys)
	o.Keys = keys
	if o.Ports != (Ports{}) {
		return start(ctx, o)
	}
	// Another process may take a port between its choice and its use.
	for attempt := 0; ; attempt++ {
		var s *Server
		var err error
		if o.Ports, err = FreePorts(); err == nil {
			s, err = start(ctx, o)
		}
		if err == nil || attempt == 4 || ctx.Err() != nil {
			return s, err
		}
	}
}

func start(ctx context.Context, o Options) (*Server, error) {
	keys, err := json.Marshal(o.Keys) // which is YAML, too
	if err != nil {
		return nil, fmt.Errorf("liveserver: %w", err)
	}
	conf, err := config.NewConfig(fmt.Sprintf(`
port: %d
bind_addresses: [127.0.0.1]
keys: %s
rtc:
  tcp_port: %d
  udp_port: %d
  node_ip: 127.0.0.1
  use_external_ip: false
  enable_loopback_candidate: true
`, o.Ports.HTTP, keys, o.Ports.RTCTCP, o.Ports.RTCUDP), true, nil, nil)
	if err != nil {
		return nil, fmt.Errorf("liveserver: %w", err)
	}
	node, err := routing.NewLocalNode(conf)
	if err != nil {
		return nil, fmt.Errorf("liveserver: %w", err)
	}
	if err := prometheus.Init(string(node.NodeID()), node.NodeType()); err != nil {
		return nil, fmt.Errorf("liveserver: %w", err)
	}
	server, err := service.InitializeServer(conf, node)
	if err != nil {
		return nil, fmt.Errorf("liveserver: %w", err)
	}
	s := &Server{
		URL: fmt.Sprintf("ws://127.0.0.1:%d", o.Ports.HTTP), Port: o.Ports.HTTP,
		server: server, done: make(chan error, 1),
	}
	go func() { s.done <- server.Start() }()
	poll := time.NewTicker(2 * time.Millisecond)
	defer poll.Stop()
	for !server.IsRunning() {
		select {
		case err := <-s.done:
			if err == nil {
				err = errors.New("ended at once")
			}
			return nil, fmt.Errorf("liveserver: %w", err)
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-poll.C:
		}
	}
	return s, nil
}

// Stop ends the server, and so every room, at once.
func (s *Server) Stop() {
	s.stop.Do(func() {
		s.server.Stop(true)
		<-s.done
	})
}

// HTTP is the address of the server's API.
func (s *Server) HTTP() string { return fmt.Sprintf("http://127.0.0.1:%d", s.Port) }

// A Participant is whom a token is for.
type Participant struct {
	Room, Identity string
	Kind           livekit.ParticipantInfo_Kind
	Attributes     map[string]string
	// Agents are dispatched when the participant creates the room.
	Agents []*livekit.RoomAgentDispatch
}

// Token lets a participant join a room and do anything there.
func Token(p Participant) string {
	yes := true
	token := auth.NewAccessToken(APIKey, APISecret).SetIdentity(p.Identity).SetKind(p.Kind).SetValidFor(time.Hour).
		SetAttributes(p.Attributes).
		SetVideoGrant(&auth.VideoGrant{
			RoomJoin: true, Room: p.Room, Agent: p.Kind == livekit.ParticipantInfo_AGENT, CanUpdateOwnMetadata: &yes,
		})
	if len(p.Agents) > 0 {
		token.SetAgents(p.Agents...)
	}
	jwt, err := token.ToJWT()
	if err != nil {
		panic(err) // the secret is a constant
	}
	return jwt
}

// FreePorts returns ports that nobody uses. They are all held until the last is known, so that they differ.
func FreePorts() (Ports, error) {
	var ports Ports
	for _, port := range []*int{&ports.HTTP, &ports.RTCTCP} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return Ports{}, fmt.Errorf("liveserver: %w", err)
		}
		defer l.Close()
		*port = l.Addr().(*net.TCPAddr).Port
	}
	u, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		return Ports{}, fmt.Errorf("liveserver: %w", err)
	}
	defer u.Close()
	ports.RTCUDP = u.LocalAddr().(*net.UDPAddr).Port
	return ports, nil
}
