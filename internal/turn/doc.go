// Package turn decides who has the turn in a conversation by voice: when the user has finished, when they interrupt,
// and when it only seemed so. It is pure. A [Machine] takes events and the time and returns effects; it starts nothing,
// waits for nothing and reads no clock, so that a conversation is decided the same way every time.
//
//	          speech starts                speech ends, or a transcript
//	silent ───────────────▶ speaking ─────────────────────────────────▶ deciding
//	  ▲                        ▲                                       │   │   │
//	  │                        └───────────────────────────────────────┘   │   │
//	  │                              speech starts again                   │   │
//	  │                                                                    │   │
//	  ├──────────── kept: too few words, a sign of listening ──────────────┘   │
//	  └──────────── ended: EndTurn, and the next turn begins ──────────────────┘
//
//	deciding = asking the detector, at most PredictionTimeout
//	           then waiting, until MinDelay (MaxDelay if the detector thinks that more comes) after the last speech
//
//	         the user speaks                 the user is silent           FalseTimeout
//	playing ─────────────────▶ paused ─────────────────────────▶ timed ─────────────────▶ playing: it was false
//	   │                         │  ▲                              │  │    nothing to decide
//	   │ cannot pause            │  └──────── the user speaks ─────┘  │
//	   ▼                         ▼                                    ▼ deciding
//	interrupted ◀── a final transcript, or the turn ends ────────── pending ─── kept ──▶ playing: it was false
//
// The parts, each with its table: user (voice activity), recognition (Machine.stt), decision, ask (the detector),
// commit, pause, adaptation and hold (the adaptive detector), limit, away, and [Endpointing]; [Resolve] finds the options.
//
// # Settings
//
//	Setting                     Unit       Default                   Scope
//	Detection                              the detector, or automatic session, agent
//	Endpointing.Mode                       fixed                     session, agent
//	Endpointing.MinDelay        duration   500 ms; 300 ms, audio     session, agent
//	Endpointing.MaxDelay        duration   3 s; 2.5 s, audio         session, agent
//	Endpointing.Alpha           0 to 1     0.9                       session, agent
//	Interruption.Enabled                   on                        session, agent
//	Interruption.Mode                      adaptive if Hosted, or vad session, agent
//	Interruption.DiscardAudio              on                        session
//	Interruption.MinDuration    duration   500 ms                    session
//	Interruption.MinWords       words      0                         session
//	Interruption.Resume                    on                        session
//	Interruption.FalseTimeout   duration   2 s                       session
//	Interruption.Boundary       durations  1 s, 1 s                  session
//	Preemptive.Enabled                     on                        session, agent
//	Preemptive.TTS                         off                       session, agent
//	Preemptive.MaxSpeech        duration   10 s                      session, agent
//	Preemptive.MaxRetries       replies    3 a turn                  session, agent
//	MaxTurnWords                words      off                       session
//	MaxTurnDuration             duration   off                       session
//	TranscriptionTimeout        duration   off                       session
//	PredictionTimeout           duration   1 s; 3 s, text            session, never off
//	AECWarmup                   duration   3 s; off, outbound calls  session
//	AwayTimeout                 duration   15 s                      session
//
// Zero is the default and [Off] is off. Not to be set: the detector that listens is asked after 200 ms of silence, and
// needs a VAD that waits for 250 ms; a transcript of the last 500 ms is enough for a commit.
//
// # Wiring
//
// A session has one machine, from start to close; a handoff is Configure. Its loop is the only one to call Step, with
// its own now, and carries out the effects in their order before it takes the next message. An effect that makes the
// loop change something of which there is an event, such as the current speech, is answered by that event as soon as
// the effects are done.
//
//	Event                              Sent when
//	Output, Linked, Current, AgentIs,  at the start, and whenever it changes; AgentIs is sent for AgentChanged too, and
//	Tools, Scheduling                  Current for Interrupt. Idle is: nothing queued, generating, playing or running
//	AudioBegins                        the first frame goes to the recogniser, with the moment of its first sample
//	VAD…, STT, Prediction…             as they come from the models
//	AgentStarts, AgentEnds             the first sample of a reply is played, and the last, or what cut it off. Not for
//	                                   Pause and Unpause, and AgentIs{speaking} comes before AgentStarts
//	FirstFrame                         before the first frame of each segment goes to the output
//	Fired                              the deadline of a SetTimer, unless stopped or set anew
//	TurnSettled                        once for each EndTurn: after Current was interrupted for it, or will not be, and
//	                                   after AgentIs if a reply follows
//	ClearPause                         the application interrupts (true), or the floor changes hands (false)
//	Commit, Clear, UserWrote, Claim    the application asks for it
//	Close                              last; what should still be recorded is committed before
//
// Timers that are due come after all other messages of the same instant, in the order of their deadlines, as the loop has
// it anyway. EndTurn is for a turn number: what Prepare began
// is used if its number and transcript are those of EndTurn, and is nothing otherwise. Interrupt clears the output;
// the Unpause that follows it only makes the output ready for the next speech. While a speech is paused the loop
// leaves the agent's state alone on its behalf.
package turn
