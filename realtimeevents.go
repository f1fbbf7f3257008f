package agents

import "time"

// A RealtimeEvent is what a [RealtimeSession] reports: a pointer to one of the structs below. Where nothing else is
// said, positions in the user's audio count the samples sent since the session began, across its reconnections, and
// are zero when the model does not give them.
type RealtimeEvent interface{ realtimeEvent() }

// The realtime events about the user and the conversation.
type (
	// RealtimeSpeechStarted: the model heard the user begin to speak. A model that takes turns by itself has stopped
	// its responses.
	RealtimeSpeechStarted struct {
		At time.Duration
	}
	// RealtimeSpeechStopped: the model heard the user stop speaking.
	RealtimeSpeechStopped struct {
		At            time.Duration
		Transcription bool // a RealtimeTranscript of it follows
	}
	// RealtimeTranscript: what the user said. One that is not final has all the text so far, and is replaced by the
	// next.
	RealtimeTranscript struct {
		ItemID     string // of the user's message
		Text       string
		Final      bool
		Confidence float64       // 0 to 1; 0 if unknown
		Start      time.Duration // where the turn began
	}
	// RealtimeItemAdded: an item entered the model's conversation after the item PreviousID, which is empty for the
	// first. Items that came by Update are told too.
	RealtimeItemAdded struct {
		PreviousID string
		Item       ChatItem
	}
	// RealtimeReconnected: the model was connected again, with its instructions, tools and conversation restored.
	// Responses in the making were ended by RealtimeResponseDone before.
	RealtimeReconnected struct {
		// Swapped says that another model goes on, as in a [FallbackRealtime]. What the one before it said is cut off
		// where it is: a receiver that is playing a response, or is about to, interrupts it. Requests that no response
		// was told for stand.
		Swapped bool
		// Regenerate asks a receiver that was speaking, or thinking about what to say, for one new request in place of
		// that response. It is not set if something is on its way that will be answered: a request, or the output of
		// a call.
		Regenerate bool
	}
	// RealtimeUsageReported: the model used this much. ResponseID is empty for what no response used.
	RealtimeUsageReported struct {
		ResponseID string
		Usage      RealtimeUsage
	}
	// RealtimeProblem: something failed and the session goes on. RequestID is that of the Generate that will have no
	// response, or empty. Code is the provider's name of the problem.
	RealtimeProblem struct {
		Err       error // usually a *ProviderError
		Code      string
		RequestID string
	}
)

// The realtime events about a response, which has any number of messages, one after another, and calls.
type (
	// RealtimeResponseStarted: the model began a response. RequestID is that of Generate, and empty when the model
	// began by itself; a receiver that does not want that interrupts and ignores it.
	RealtimeResponseStarted struct {
		ResponseID string
		RequestID  string
	}
	// RealtimeMessageStarted: a message began. It is told when it is known whether it will have audio.
	RealtimeMessageStarted struct {
		ResponseID string
		MessageID  string
		Audio      bool // false for text only, which a TTS may speak
	}
	// RealtimeMessageText: more of what the message says. Start is where in the message's audio it is spoken, counted
	// in samples from the first one, if Timed.
	RealtimeMessageText struct {
		MessageID string
		Text      string
		Timed     bool
		Start     time.Duration
	}
	// RealtimeMessageAudio: more of the message's audio. The frame is the receiver's.
	RealtimeMessageAudio struct {
		MessageID string
		Frame     AudioFrame
	}
	// RealtimeMessageDone: the message is complete, or cut off where it is.
	RealtimeMessageDone struct {
		MessageID string
	}
	// RealtimeCall: the model calls a tool, for the session to run. It is complete, never a fragment.
	RealtimeCall struct {
		ResponseID string
		Call       ToolCall
	}
	// RealtimeResponseDone: the response has ended, and so have its messages. It comes exactly once for each
	// RealtimeResponseStarted while the session lives.
	RealtimeResponseDone struct {
		ResponseID string
		Cancelled  bool  // by Interrupt, by the user's speech or by the loss of the connection
		Err        error // why the response failed; usually a *ProviderError
	}
)

func (*RealtimeSpeechStarted) realtimeEvent()   {}
func (*RealtimeSpeechStopped) realtimeEvent()   {}
func (*RealtimeTranscript) realtimeEvent()      {}
func (*RealtimeItemAdded) realtimeEvent()       {}
func (*RealtimeReconnected) realtimeEvent()     {}
func (*RealtimeUsageReported) realtimeEvent()   {}
func (*RealtimeProblem) realtimeEvent()         {}
func (*RealtimeResponseStarted) realtimeEvent() {}
func (*RealtimeMessageStarted) realtimeEvent()  {}
func (*RealtimeMessageText) realtimeEvent()     {}
func (*RealtimeMessageAudio) realtimeEvent()    {}
func (*RealtimeMessageDone) realtimeEvent()     {}
func (*RealtimeCall) realtimeEvent()            {}
func (*RealtimeResponseDone) realtimeEvent()    {}
