// Package local gives agents speech without any key: a voice by espeak-ng or flite and a recogniser by pocketsphinx,
// programs that most Linux systems can install. In Debian they are in the packages espeak-ng, flite, pocketsphinx and
// pocketsphinx-en-us.
//
// [NewTTS] returns the voice and [NewSTT] the recogniser. They work a sentence and an utterance at a time, so that a
// session with them has a VAD, which is there unless it is switched off. The voice is good enough to understand, and
// the recogniser for a few plain words; both are for demonstrations, tests and machines without a network.
//
// Each sentence and each utterance is a child process. What is said goes to its standard input, never to a command line
// that other users can see, and no shell is involved. The process knows of the environment only PATH, HOME and the
// like. It ends by itself, or is killed with all that it started when the context is done, when it takes too long or
// when the receiver wants no more; no method returns before it has ended. Values need not be closed.
package local
