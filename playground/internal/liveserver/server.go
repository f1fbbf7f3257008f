// Package liveserver runs a LiveKit server in the process, for tests and for the playground: ready in about 0.1 s, on
// free ports of the loopback interface, several at once if need be.
package liveserver

import (
	"context"
	"errors"
	"fmt"
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

// A Server is a running LiveKit server.
type Server struct {
	URL  string // ws://127.0.0.1:…
	Port int

	server *service.LivekitServer
	done   chan error
	stop   sync.Once
}

var quiet sync.Once

// Start starts a server and waits until it answers.
func Start(ctx context.Context) (*Server, error) {
	// The server's logger is one of the whole process.
	quiet.Do(func() { logger.SetLogger(logger.LogRLogger(logr.Discard()), "livekit") })
	// Another process may take a port between its choice and its use.
	for attempt := 0; ; attempt++ {
		s, err := start(ctx)
		if err == nil || attempt == 4 || ctx.Err() != nil {
			return s, err
		}
	}
}

func start(ctx context.Context) (*Server, error) {
	ports, err := freePorts()
	if err != nil {
		return nil, err
	}
	conf, err := config.NewConfig(fmt.Sprintf(`
port: %d
bind_addresses: [127.0.0.1]
keys: {%s: %s}
rtc:
  tcp_port: %d
  udp_port: %d
  node_ip: 127.0.0.1
  use_external_ip: false
  enable_loopback_candidate: true
`, ports[0], APIKey, APISecret, ports[1], ports[2]), true, nil, nil)
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
		URL: fmt.Sprintf("ws://127.0.0.1:%d", ports[0]), Port: ports[0],
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
}

// Token lets a participant join a room and do anything there.
func Token(p Participant) string {
	yes := true
	token := auth.NewAccessToken(APIKey, APISecret).SetIdentity(p.Identity).SetKind(p.Kind).SetValidFor(time.Hour).
		SetAttributes(p.Attributes).
		SetVideoGrant(&auth.VideoGrant{
			RoomJoin: true, Room: p.Room, Agent: p.Kind == livekit.ParticipantInfo_AGENT, CanUpdateOwnMetadata: &yes,
		})
	jwt, err := token.ToJWT()
	if err != nil {
		panic(err) // the secret is a constant
	}
	return jwt
}

// freePorts returns two ports for TCP and one for UDP. They are all held until the last is known, so that they differ.
func freePorts() ([3]int, error) {
	var ports [3]int
	for i := range 2 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return ports, fmt.Errorf("liveserver: %w", err)
		}
		defer l.Close()
		ports[i] = l.Addr().(*net.TCPAddr).Port
	}
	u, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		return ports, fmt.Errorf("liveserver: %w", err)
	}
	defer u.Close()
	ports[2] = u.LocalAddr().(*net.UDPAddr).Port
	return ports, nil
}
