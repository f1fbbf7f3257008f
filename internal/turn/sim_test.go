package turn

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var t0 = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

func ms(n float64) time.Duration { return time.Duration(n * float64(time.Millisecond)) }
func at(n float64) time.Time     { return t0.Add(ms(n)) }

func stamp(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return fmt.Sprint(t.Sub(t0).Milliseconds())
}

// show writes an effect as a test reads it.
func show(e Effect) string {
	switch e := e.(type) {
	case SetTimer:
		return fmt.Sprintf("set %v %s", e.Timer, stamp(e.At))
	case StopTimer:
		return fmt.Sprintf("stop %v", e.Timer)
	case UserChanged:
		return fmt.Sprintf("user %s %s", e.State, stamp(e.At))
	case AgentChanged:
		return fmt.Sprintf("agent %s", e.State)
	case Transcribed:
		if e.Final {
			return fmt.Sprintf("final %q", e.Text)
		}
		return fmt.Sprintf("interim %q", e.Text)
	case Dropped:
		return fmt.Sprintf("dropped %q %s", e.Text, e.Why)
	case Predict:
		return strings.TrimSpace(fmt.Sprintf("predict %d %s", e.ID, e.Transcript))
	case CancelPrediction:
		return fmt.Sprintf("cancel prediction %v", e.TimedOut)
	case FlushDetector:
		return "flush detector"
	case Predicted:
		return fmt.Sprintf("predicted %v<%v after %d", e.Probability, e.Threshold, e.Delay.Milliseconds())
	case ListenSign:
		return fmt.Sprintf("listen sign %v", e.EndOfTurn)
	case Prepare:
		return fmt.Sprintf("prepare %d %q", e.Turn, e.Transcript)
	case DropPrepared:
		return "drop prepared"
	case EndTurn:
		s := fmt.Sprintf("end %d %q %s", e.Turn, e.Transcript, e.Source)
		if !e.StoppedSpeaking.IsZero() {
			s += fmt.Sprintf(" %s-%s +%d +%d", stamp(e.StartedSpeaking), stamp(e.StoppedSpeaking), e.TranscriptionDelay.Milliseconds(), e.EndOfTurnDelay.Milliseconds())
		}
		if e.SkipReply {
			s += " skip"
		}
		if e.Blocked {
			s += " blocked"
		}
		return s
	case KeptTurn:
		return fmt.Sprintf("kept %q", e.Transcript)
	case CommitDone:
		if e.Cancelled {
			return fmt.Sprintf("commit %d cancelled", e.ID)
		}
		return fmt.Sprintf("commit %d %q", e.ID, e.Transcript)
	case FlushSTT:
		return fmt.Sprintf("flush stt %d", e.Frames)
	case RecreateSTT:
		return "recreate stt"
	case FlushVAD:
		return "flush vad"
	case TranscriptionTimedOut:
		return fmt.Sprintf("unheard %d since %s", e.Speech.Milliseconds(), stamp(e.Since))
	case TurnTooLong:
		return fmt.Sprintf("too long %q of %q %d", e.Transcript, e.Accumulated, e.Words)
	case Pause:
		return fmt.Sprintf("pause %d", e.Speech)
	case Unpause:
		return fmt.Sprintf("unpause %d", e.Speech)
	case Interrupt:
		return fmt.Sprintf("interrupt %d", e.Speech)
	case FalseInterruption:
		return fmt.Sprintf("false interruption %d %v", e.Speech, e.Resumed)
	case HoldReplies:
		return fmt.Sprintf("hold %v", e.On)
	case SilenceInput:
		return fmt.Sprintf("silence %v", e.On)
	case OverlapBegins:
		return fmt.Sprintf("overlap %s %d", stamp(e.At), e.Speech.Milliseconds())
	case OverlapEnds:
		return fmt.Sprintf("overlap ends %s %v", stamp(e.At), e.AgentEnded)
	case AgentSpeech:
		return fmt.Sprintf("audible %v", e.On)
	case RealtimeCommit:
		return fmt.Sprintf("realtime commit %v", e.Reply)
	case Note:
		return "note"
	default:
		return strings.ToLower(strings.TrimPrefix(fmt.Sprintf("%T", e), "turn."))
	}
}

// timed is an event and when it happens.
type timed struct {
	at time.Time
	e  Event
}

func on(n float64, e Event) timed { return timed{at(n), e} }

// sim runs a machine in virtual time, and with it, if it is told to, an agent that replies.
type sim struct {
	t      testing.TB
	m      *Machine
	now    time.Time
	log    []string
	skip   []string
	timers [timers]time.Time
	queue  []timed
	world  *world
	tap    func(Effect)
}

func newSim(t testing.TB, o Options) *sim {
	return &sim{t: t, m: New(o), now: t0, skip: []string{"hold", "set", "stop", "note"}}
}

// run plays events, given in any order, and lets time pass until n. Timers come last of what happens at an instant.
func (s *sim) run(n float64, events ...timed) *sim {
	for _, e := range events {
		s.post(e.at, e.e)
	}
	for {
		when, timer := at(n), -1
		for i, t := range s.timers {
			if !t.IsZero() && !t.After(when) && (timer < 0 || t.Before(when)) {
				when, timer = t, i
			}
		}
		if len(s.queue) > 0 && !s.queue[0].at.After(at(n)) && (timer < 0 || !s.queue[0].at.After(when)) {
			e := s.queue[0]
			s.queue = s.queue[1:]
			s.step(e.at, e.e)
			continue
		}
		if timer < 0 {
			s.now = at(n)
			return s
		}
		s.timers[timer] = time.Time{}
		s.step(when, Fired{Timer(timer)})
	}
}

func (s *sim) post(at time.Time, e Event) {
	i := len(s.queue)
	for i > 0 && s.queue[i-1].at.After(at) {
		i--
	}
	s.queue = slices.Insert(s.queue, i, timed{at, e})
}

func (s *sim) step(now time.Time, e Event) {
	if now.After(s.now) {
		s.now = now
	}
	var effects []Effect
	if w, ok := e.(worldEvent); ok {
		w()
		return
	}
	effects = slices.Clone(s.m.Step(s.now, e))
	for _, f := range effects {
		text := show(f)
		if kind, _, _ := strings.Cut(text, " "); !slices.Contains(s.skip, kind) {
			s.log = append(s.log, stamp(s.now)+" "+text)
		}
		switch f := f.(type) {
		case SetTimer:
			s.timers[f.Timer] = f.At
		case StopTimer:
			s.timers[f.Timer] = time.Time{}
		}
		if s.tap != nil {
			s.tap(f)
		}
		if s.world != nil {
			s.world.do(f)
		}
	}
	s.check()
}

// check verifies what always holds.
func (s *sim) check() {
	m := s.m
	if m.closed {
		require.Equal(s.t, [timers]time.Time{}, s.timers, "timers after the end")
		require.Zero(s.t, m.Paused())
		return
	}
	require.Equal(s.t, m.set, s.timers, "timers")
	if m.decision.open {
		require.True(s.t, m.decision.asking && m.isSet(PredictionTimer) != m.isSet(EndpointTimer) || m.isSet(EndpointTimer), "an open decision waits for something")
	} else {
		require.False(s.t, m.isSet(EndpointTimer) || m.isSet(PredictionTimer), "only a decision waits")
	}
	if m.Paused() != 0 {
		require.True(s.t, m.user.speaking || m.isSet(ResumeTimer) || m.pause.pending && m.Deciding() || m.unsettled > 0, "a pause has a way out")
		require.Equal(s.t, m.current.Speech, m.Paused())
	} else {
		require.False(s.t, m.isSet(ResumeTimer), "only a pause is resumed")
	}
	require.Equal(s.t, m.commit.open, m.isSet(FinalTimer))
	require.Equal(s.t, m.away.armed, m.isSet(AwayTimer))
}

// want compares the log since the last time.
func (s *sim) want(text string) *sim {
	s.t.Helper()
	var lines []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	require.Equal(s.t, strings.Join(lines, "\n"), strings.Join(s.log, "\n"))
	s.log = nil
	return s
}

// only keeps what begins with one of the words.
func (s *sim) only(kinds ...string) *sim {
	s.log = slices.DeleteFunc(s.log, func(line string) bool {
		_, text, _ := strings.Cut(line, " ")
		return !slices.ContainsFunc(kinds, func(k string) bool { return strings.HasPrefix(text, k) })
	})
	return s
}

// says is a user who speaks from a to b, in ms, with a VAD that needs 50 ms to notice the start and silence ms the end,
// and an STT that needs delay ms.
func says(a, b float64, text string, delay, silence float64) []timed {
	speech := func(n float64) time.Duration { return ms(min(n, b) - a) }
	var script []timed
	script = append(script, on(a+50, VADStart{Speech: ms(50)}))
	for n := a + 50; n <= b+silence-100; n += 50 {
		e := VADInference{Speaking: true, Speech: speech(n)}
		if n <= b {
			e.RawSpeech = ms(n - a)
		} else {
			e.RawSilence = ms(n - b)
		}
		script = append(script, on(n, e))
	}
	script = append(script, on(b+silence, VADEnd{Speech: speech(b), Silence: ms(silence)}))
	if text != "" {
		words := strings.Fields(text)
		script = append(script,
			on(b+delay/2, STT{Type: STTInterim, Text: strings.Join(words[:min(2, len(words))], " ")}),
			on(b+delay, STT{Type: STTFinal, Text: text, Confidence: 1}))
	}
	return script
}

// user is says with the delays of most scenarios.
func userSays(a, b float64, text string) []timed { return says(a, b, text, 200, 500) }

type worldEvent func()

func (worldEvent) event() {}

// world is a loop with an agent that replies latency ms after a turn with the next of the lengths, in ms.
type world struct {
	s       *sim
	latency float64
	lengths []float64
	ids     uint64

	id      uint64
	left    time.Duration
	due     bool // its first frame could be heard
	heard   bool
	playing bool
	paused  bool
	held    bool
	since   time.Time
	played  time.Duration
	gen     int
}

func (s *sim) agent(latency float64, lengths ...float64) *world {
	s.world = &world{s: s, latency: latency, lengths: lengths}
	s.step(t0, Linked{})
	s.step(t0, AgentIs{State: AgentListening, Idle: true})
	return s.world
}

func (w *world) say(format string, args ...any) {
	w.s.log = append(w.s.log, stamp(w.s.now)+" "+fmt.Sprintf(format, args...))
}

func (w *world) post(e Event) { w.s.post(w.s.now, e) }

func (w *world) state(st AgentState) {
	w.say("agent %s", st)
	w.post(AgentIs{State: st, Idle: st == AgentListening})
}

func (w *world) do(f Effect) {
	switch f := f.(type) {
	case HoldReplies:
		w.held = f.On
		w.start()
	case Pause:
		w.paused = true
		w.halt()
	case Unpause:
		w.paused = false
		w.start()
	case Interrupt:
		w.stop()
	case EndTurn:
		if f.SkipReply || f.Blocked {
			w.post(TurnSettled{Turn: f.Turn})
			return
		}
		if w.id != 0 && w.s.m.current.Interruptible {
			w.stop()
		}
		if len(w.lengths) > 0 {
			w.schedule()
		}
		w.post(TurnSettled{Turn: f.Turn})
	}
}

func (w *world) schedule() {
	w.ids++
	id := w.ids
	w.id, w.left, w.due, w.heard, w.played = id, ms(w.lengths[0]), false, false, 0
	w.lengths = w.lengths[1:]
	w.post(Current{Speech: id, Interruptible: true})
	w.state(AgentThinking)
	w.s.post(w.s.now.Add(ms(w.latency)), worldEvent(func() {
		if w.id == id {
			w.s.step(w.s.now, FirstFrame{Speech: id})
			w.due = true
			w.start()
		}
	}))
}

func (w *world) start() {
	if w.id == 0 || !w.due || w.playing || w.paused || w.held && !w.heard {
		return
	}
	w.playing, w.since = true, w.s.now
	if !w.heard {
		w.heard = true
		w.state(AgentSpeaking)
		w.post(AgentStarts{})
	}
	w.gen++
	gen := w.gen
	w.s.post(w.s.now.Add(w.left), worldEvent(func() {
		if w.gen == gen && w.playing {
			w.halt()
			w.say("played %d", w.played.Milliseconds())
			w.id = 0
			w.post(AgentEnds{})
			w.post(Current{})
			w.state(AgentListening)
		}
	}))
}

func (w *world) halt() {
	if w.playing {
		w.playing = false
		w.played += w.s.now.Sub(w.since)
		w.left -= w.s.now.Sub(w.since)
	}
}

func (w *world) stop() {
	if w.id == 0 {
		return
	}
	w.halt()
	w.say("cut at %d", w.played.Milliseconds())
	if w.heard {
		w.post(AgentEnds{})
	}
	w.id = 0
	w.post(Current{})
	w.state(AgentListening)
}

// options are the session's in most scenarios.
func options(change ...func(*Settings, *Models)) Options {
	var s Settings
	m := Models{VAD: GivenVAD, STT: true, LLM: true}
	s.Endpointing.MaxDelay = 6 * time.Second
	s.AECWarmup = Off
	s.AwayTimeout = Off
	for _, f := range change {
		f(&s, &m)
	}
	o, _, err := Resolve(s, Settings{}, m)
	if err != nil {
		panic(err)
	}
	return o
}
