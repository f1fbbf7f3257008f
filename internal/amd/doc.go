// Package amd decides who has picked up a call: a person, or a machine of some kind. It is pure. A [Machine] takes events
// and the time and returns effects; it starts nothing, waits for nothing and reads no clock, so that a call is judged the
// same way every time.
//
//	             answered, and audio comes in
//	waiting ─────────────────────────────────▶ listening ───────▶ settled, once, by [Settled]
//	   │                                           │ no sound for NoSpeech, or the other side is gone: uncertain, at once
//	   └── no audio for Missing: uncertain         │ no decision within Timeout: uncertain
//	                                               │ a short sound, then HumanSilence, no words: a person, at once
//	                                               └ the model has judged the words, and the gates are open
//
// The silence gate is opened by MachineSilence after the last sound, the end-of-turn gate by the end of the turn or by
// EndOfTurn after the last sound or transcript; sound closes both. A person needs the first only, anything else both. What
// was decided keeps all timers armed until it comes out.
//
//	Event          While listening
//	SpeechStart    closes both gates; stops the silence, end-of-turn and no-speech timers
//	SpeechEnd      sets the end-of-turn timer, and the silence timer: to HumanSilence, which decides, after at most HumanSpeech
//	               of sound without a transcript; otherwise to MachineSilence, which opens the gate, and has the model asked
//	               if it was not, or failed
//	Transcript     sets the end-of-turn timer anew; stops the no-speech timer; turns a silence timer that would decide into
//	               one that opens the gate; has the model asked anew, of everything so far
//	EndOfTurn      opens its gate
//	Judged         the decision, in place of one about fewer words
//	Postponed      no decision yet; sets the detection timer anew, if that is later
//	Failed         what was decided before the model was asked holds
//	Fired          Silence, NoSpeech, Missing: as above. EndOfTurn: so too, unless there is sound. Detection: uncertain, if nothing is decided. It comes
//	               out, but with WaitUntilFinished and a sound it waits for the end-of-turn gate, at most MaxFinish
//	Gone           what is decided comes out, or uncertain
//	Close          nothing comes out any more
//
// While the model is being asked, what it decided about fewer words does not come out by the gates: more is known by now.
// Before listening only Answered, Audio, Gone and Close count, and whether there is sound when listening begins, which is
// then the start of it.
package amd
