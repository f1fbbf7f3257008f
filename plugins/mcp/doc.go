// Package mcp gives agents the tools of Model Context Protocol servers.
//
// A [Server] is an MCP server to connect to: over HTTP with [NewHTTP], as a child process with [NewCommand], or over any
// transport of the go-sdk with [NewTransport]. [NewToolset] makes its tools those of an agent:
//
//	flights, err := mcp.NewHTTP(mcp.HTTPOptions{
//		URL:         "https://flights.example.com/mcp",
//		Header:      http.Header{"Authorization": {"Bearer " + token}},
//		CallTimeout: agents.Delay(2 * time.Minute),
//	})
//	...
//	agent := &agents.Agent{Tools: []agents.Tool{mcp.NewToolset(mcp.Options{
//		ID:           "flights",
//		Server:       flights,
//		AllowedTools: []string{"get_weather", "book_flight"},
//		Tools: map[string]mcp.ToolOptions{"book_flight": {
//			ToolOptions:    agents.ToolOptions{Cancellable: true, OnDuplicate: agents.ConfirmDuplicate},
//			ReportProgress: true,
//		}},
//	})}}
//
// # Lifetime and sharing
//
// A toolset belongs to one session, because the session reads its list of tools while it runs; make one for each. A
// Server may be shared by any number of toolsets, and so by all sessions of a process. It is connected while at least
// one of them is set up, over one connection, and its list of tools is asked for once. A server that keeps state for
// each connection wants a Server for each session.
//
// The agent's session connects when the agent takes the floor, and disconnects when it leaves. If the server is down
// then, the error is reported and the conversation goes on without its tools. A connection that breaks later fails the
// calls in flight with an error that the model is told about, and the next call connects again.
package mcp
