// Package agenttest tests voice agents without keys, networks and waiting.
//
// A test has a scripted model, drives a session with what the user says, and reads what followed like a transcript:
//
//	func TestTransfer(t *testing.T) {
//		agenttest.Run(t, func(t *testing.T) {
//			llm := agenttest.NewLLM(t,
//				agenttest.OnUser("I'm John, my bill is wrong").
//					Call("transfer_to_specialist", `{"name":"John","category":"billing"}`),
//				agenttest.Any().TTFT(300*time.Millisecond).Say("Let's look at that bill, John."))
//			s := agenttest.Start(t, agents.Options{LLM: llm, UserData: &Caller{}}, NewIntake())
//
//			r := s.User("I'm John, my bill is wrong")
//			r.Next().IsCall("transfer_to_specialist", agenttest.Args{"category": "billing"})
//			r.Next().IsOutput("Connecting you now.")
//			r.Next().IsHandoff("intake", "specialist")
//			r.Next().IsMessage("assistant").Contains("bill")
//			r.None()
//		})
//	}
//
// # Time and order
//
// [Run] runs a test in virtual time: an hour passes as soon as everybody waits for it, so delays and time-outs cost
// nothing and come out exact. It also decides in which order sessions take what happens at the same instant: what a
// person asked for first, deadlines last. The log of a scripted conversation, [Session.Log], is therefore the same in
// every run, and a test can compare it with a file.
//
// Real life has no such order. [Explore] runs a test under many others, each made from a seed, and names the seed
// under which the test failed, so that a race between, say, a tool and an interruption is found and then reproduced.
//
// Neither is needed: outside of both, sessions run in real time, such as with a real model.
//
// # The pieces
//
//   - [LLM] is the scripted model, a list of [Step] values. Requests without a step, and steps without a request, fail
//     the test.
//   - [Session], from [Start], is the session under test: [Session.User] speaks to it, [Session.MockTools] replaces
//     what its tools do. It is closed at the end of the test, which fails if a goroutine stays behind.
//   - [Result] and [Item] are assertions about what happened. When one does not hold, the failure lists everything that
//     happened and marks what it is about.
//   - [Item.Judge], [JudgeMessage] and [JudgeGroup] have a model judge what no string comparison can.
//   - [TestLLM], [TestSTT], [TestTTS], [TestVAD] and [TestRealtime] are the conformance suites for those who write an
//     agents.LLM, STT, TTS, VAD or RealtimeModel; [VerifyNoLeaks] finds goroutines left behind by tests in real time.
//   - [Voice] is a script of what a caller does; [NewMic], [NewVAD], [NewSTT], [NewTTS] and [NewSpeaker] are the devices
//     and models that play it, exact to the sample. [StartVoice] is Start with them. The keys that the script presses
//     come from a [Keypad], each when its tone begins, which also notes the keys that the agent presses:
//     [VoiceSession.Keys].
//   - [NewRealtime] is a scripted speech-to-speech model that hears such a script and answers by a list of
//     [RealtimeTurn] values.
//   - A [VoiceFault] is what goes wrong with a stream of these models: [Refuse], [StallAt], [CutAt], [GarbageAt], [Late]
//     and, for a realtime model, [ReconnectAt].
//
// Helpers that fail the test do so from the test's own goroutine. Models, mocks and event receivers may be used by any
// number of goroutines at once.
package agenttest
