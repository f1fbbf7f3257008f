// Package cli makes a program of a worker: the commands start, dev, console, connect and download-files, with the flags
// and the environment variables that LiveKit's users know. A whole program is
//
//	func main() {
//		cli.Main(cli.App{Worker: livekit.WorkerOptions{AgentName: "support", Entrypoint: entrypoint}})
//	}
//
// and is then used like this:
//
//	support dev              # with the server of LIVEKIT_URL; rebuilt and restarted when a file changes
//	support console          # no server: talk to the agent in the terminal
//	support connect -room X  # one job, in a room of one's choice
//	support start            # in production
//
// Flags go before what [App] says, and that goes before the environment:
//
//	LIVEKIT_URL, LIVEKIT_API_KEY, LIVEKIT_API_SECRET  the server
//	LIVEKIT_AGENT_NAME_OVERRIDE                       the agent's name, before all else
//	LIVEKIT_AGENT_NAME                                the agent's name, unless App has one
//	LIVEKIT_AGENT_DEPLOYMENT, LIVEKIT_WORKER_TOKEN    as of the options of these names
//	LIVEKIT_LOG_LEVEL                                 before App.LogLevel, after the flag
//	HTTPS_PROXY, HTTP_PROXY                           the proxy for the worker's connection
//	NUM_CPUS                                          the processors that the load is measured against
//	NO_COLOR                                          logs and conversations without colours
//
// LIVEKIT_DEV_MODE is set to 1 by dev, console and connect, and the server's address and keys are set to what was found,
// so that API clients made in jobs find them.
//
// The status of the process is 0 if all went well, also when it was told to end by a signal, and 1 otherwise. The first
// SIGINT or SIGTERM ends start in good order: it takes no more jobs and waits for those that run, as long as
// -drain-timeout says. The other commands end their jobs at once. A second signal ends the process there and then.
package cli
