// Package console runs the examples in a terminal. An example describes itself as a [Program] and gives it to [Main]:
//
//	func main() { console.Main(program) }
//
// Without a key a scripted caller and a scripted model play the example's [Script] through a real session, and what
// happens is shown as it happens: what is said and by whom, the tools that are called and what they return, handoffs and
// tasks. With OPENAI_API_KEY, or OPENAI_BASE_URL for a compatible server, the user takes the caller's place and a model
// the script's.
//
// [Play] is the part of Main that plays the script. It needs no terminal, and package consoletest uses it to hold the
// demonstration of an example to a file.
package console
