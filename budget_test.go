package agents_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
	"github.com/parley-voice/agents/audiofile"
	"github.com/parley-voice/agents/internal/opus"
	"github.com/parley-voice/agents/internal/pacer"
)

// TestBudgets measures what voice sessions cost, at the pace of real calls, and compares it with the budgets of the
// design: make budgets. It takes a few minutes and needs a quiet machine, so it runs only when it is asked to.
// PARLEY_SESSIONS lists other numbers of sessions, and PARLEY_STAGES what is left out: vad, and what is added: 48k (the
// caller's audio is resampled), opus (each frame is encoded and decoded).
func TestBudgets(t *testing.T) {
	if os.Getenv("PARLEY_BUDGETS") == "" {
		t.Skip("takes minutes and a quiet machine; run it with make budgets")
	}
	b := &budgets{t: t}
	b.machine()
	b.shareOfATurn()
	b.flagship()
	b.idle(1000)
	if testing.Short() {
		return
	}
	for _, n := range numbers(t, "PARLEY_SESSIONS", "1000,2000,5000") {
		b.sessions(n, stages{vad: true})
	}
	for _, s := range []stages{{}, {vad: true, resample: true}, {vad: true, opus: true}} {
		b.sessions(200, s)
	}
	b.sessions(200, stages{vad: true})
}

func numbers(t *testing.T, env, def string) (list []int) {
	text := os.Getenv(env)
	if text == "" {
		text = def
	}
	for s := range strings.SplitSeq(text, ",") {
		n, err := strconv.Atoi(s)
		require.NoError(t, err)
		list = append(list, n)
	}
	return list
}

type budgets struct{ t *testing.T }

// row prints a line of the table. limit is what the budget allows, or empty.
func (b *budgets) row(what, got, limit string, ok bool) {
	verdict := ""
	if limit != "" {
		verdict = "ok"
		if !ok {
			verdict = "OVER"
		}
	}
	fmt.Printf("%-52s %24s %16s  %s\n", what, got, limit, verdict)
}

// machine measures what all else depends on: what the processors do together, as some of them are one core, and for how
// long a loop that only looks at the clock is held up when nothing else runs here.
func (b *budgets) machine() {
	const spin = time.Second
	loops := func(n int) (sum int) {
		var wg sync.WaitGroup
		counts := make([]int, n)
		for i := range counts {
			wg.Go(func() {
				block := make([]byte, 4096)
				for begin := time.Now(); time.Since(begin) < spin; counts[i]++ {
					h := sha256.Sum256(block)
					copy(block, h[:])
				}
			})
		}
		wg.Wait()
		for _, c := range counts {
			sum += c
		}
		return sum
	}
	procs := runtime.GOMAXPROCS(0)
	one, all := loops(1), loops(procs)
	b.row(fmt.Sprintf("reference: work of %d processors, together", procs), fmt.Sprintf("%.2f times one", float64(all)/float64(one)), "", true)

	var longest, held time.Duration
	begin := time.Now()
	for last := begin; last.Sub(begin) < 2*spin; {
		now := time.Now()
		if gap := now.Sub(last); gap > 100*time.Microsecond {
			longest, held = max(longest, gap), held+gap
		}
		last = now
	}
	b.row("reference: a loop is held up", fmt.Sprintf("%.1f%%, once %v", 100*held.Seconds()/(2*spin).Seconds(), longest.Round(10*time.Microsecond)), "", true)
}

// stages say what a session's audio goes through.
type stages struct{ vad, resample, opus bool }

func (s stages) String() string {
	var on []string
	for name, is := range map[string]bool{"vad": s.vad, "48k": s.resample, "opus": s.opus} {
		if is {
			on = append(on, name)
		}
	}
	slices.Sort(on)
	if on == nil {
		return "bare"
	}
	return strings.Join(on, "+")
}

// sessions holds n conversations at once for a while: the callers speak for some seconds of every ten, and are answered.
func (b *budgets) sessions(n int, s stages) {
	const warm, measured = 12 * time.Second, 10 * time.Second
	speech := recordedSpeech(b.t, s.resample)
	p := pacer.New(pacer.Options{})
	defer p.Close()
	line := newLine()
	defer line.close()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	goroutines := runtime.NumGoroutine()
	var turns atomic.Int64
	var running []*agents.AgentSession
	for i := range n {
		opts := agents.Options{
			STT: everyTenSeconds{}, LLM: instantLLM{}, TTS: readyVoice(speech), TurnDetector: agents.NoTurnDetector,
			UserAwayTimeout: agents.Never,
			OnEvent: func(e agents.Event) {
				if _, ok := e.(*agents.TurnLatency); ok {
					turns.Add(1)
				}
			},
		}
		if !s.vad {
			opts.VAD = agents.NoVAD
			opts.Turn.Detection = agents.TurnBySTT
		}
		in := line.newInput(speech, time.Duration(i)*10*time.Second/time.Duration(n), s.opus)
		session := agents.NewSession(opts)
		err := session.Start(context.Background(), &agents.Agent{}, agents.IO{AudioInput: in, AudioOutput: newPacedOutput(b.t, p, s.opus)})
		require.NoError(b.t, err)
		running = append(running, session)
	}
	time.Sleep(warm) // a measurement takes real time
	stats, used, turned := p.Stats(), cpuTime(), turns.Load()
	time.Sleep(measured)
	now, cpu := p.Stats(), cpuTime()-used
	answered := turns.Load() - turned
	runtime.GC()
	runtime.GC() // what pools hold is let go of with the second
	runtime.ReadMemStats(&after)
	live := runtime.NumGoroutine() - goroutines
	late := now.Lateness.Sub(stats.Lateness)
	var wg sync.WaitGroup
	for _, session := range running {
		wg.Go(func() { session.Close() })
	}
	wg.Wait()

	name := fmt.Sprintf("%d sessions, %s", n, s)
	limit, ok := "", true
	if n <= 2000 && s == (stages{vad: true}) {
		limit, ok = "< 5ms", late.Quantile(0.99) < 5*time.Millisecond
	}
	b.row(name+": frames late p99", late.Quantile(0.99).Round(10*time.Microsecond).String(), limit, ok)
	b.row(name+": frames late p50, p999", late.Quantile(0.5).Round(10*time.Microsecond).String()+", "+late.Quantile(0.999).Round(10*time.Microsecond).String(), "", true)
	b.row(name+": CPU", fmt.Sprintf("%.2f cores, %.0f µs/s each", cpu.Seconds()/measured.Seconds(), cpu.Seconds()/measured.Seconds()/float64(n)*1e6), "", true)
	b.row(name+": heap, goroutines each", fmt.Sprintf("%d KB, %.1f", (int64(after.HeapAlloc)-int64(before.HeapAlloc))/int64(n)/1024, float64(live)/float64(n)), "", true)
	b.row(name+": answers in 10 s", fmt.Sprint(answered), fmt.Sprintf(">= %d", n*8/10), answered >= int64(n*8/10))
}

// idle holds n sessions in which nobody speaks.
func (b *budgets) idle(n int) {
	p := pacer.New(pacer.Options{})
	defer p.Close()
	line := newLine()
	defer line.close()
	silence := agents.Silence(10*time.Second, 16000, 1)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	goroutines := runtime.NumGoroutine()
	var running []*agents.AgentSession
	for i := range n {
		session := agents.NewSession(agents.Options{STT: everyTenSeconds{mute: true}, LLM: instantLLM{}, TTS: readyVoice(silence)})
		in := line.newInput(silence, time.Duration(i)*time.Millisecond, false)
		require.NoError(b.t, session.Start(context.Background(), &agents.Agent{}, agents.IO{AudioInput: in, AudioOutput: newPacedOutput(b.t, p, false)}))
		running = append(running, session)
	}
	time.Sleep(3 * time.Second)
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&after)
	live := runtime.NumGoroutine() - goroutines
	var wg sync.WaitGroup
	for _, session := range running {
		wg.Go(func() { session.Close() })
	}
	wg.Wait()
	kb := (int64(after.HeapAlloc) - int64(before.HeapAlloc)) / int64(n) / 1024
	b.row("idle voice session: heap", fmt.Sprintf("%d KB", kb), "<= 100 KB", kb <= 100)
	b.row("idle voice session: goroutines", fmt.Sprintf("%.1f", float64(live)/float64(n)), "<= 12", live <= 12*n)
}

// flagship holds the conversation of ten minutes in virtual time.
func (b *budgets) flagship() {
	f := newFlagship()
	best := time.Hour
	for range 5 {
		used := cpuTime()
		agenttest.Run(b.t, func(t *testing.T) { f.run(t) })
		best = min(best, cpuTime()-used)
	}
	b.row("10 minutes of conversation, in virtual time (CPU)", best.Round(time.Millisecond).String(), "< 200ms", best < 200*time.Millisecond)
}

// shareOfATurn measures what the session adds to a turn between the models.
func (b *budgets) shareOfATurn() {
	m := &marks{}
	p := pacer.New(pacer.Options{})
	defer p.Close()
	line := newLine()
	defer line.close()
	opts := agents.Options{
		STT: onFlush{}, LLM: markedLLM{m}, TTS: markedVoice{m: m}, VAD: agents.NoVAD,
		Turn: agents.TurnOptions{Detection: agents.TurnManual, Endpointing: agents.Endpointing{MinDelay: time.Nanosecond}},
	}
	session := agents.NewSession(opts)
	out := &markedOutput{AudioOutput: newPacedOutput(b.t, p, false), m: m}
	in := line.newInput(agents.Silence(time.Second, 16000, 1), 0, false)
	require.NoError(b.t, session.Start(context.Background(), &agents.Agent{}, agents.IO{AudioInput: in, AudioOutput: out}))
	defer session.Close()
	time.Sleep(100 * time.Millisecond)
	var shares []time.Duration
	for range 300 {
		m.reset()
		m.commit = time.Now()
		_, err := session.CommitUserTurn(b.t.Context())
		require.NoError(b.t, err)
		shares = append(shares, m.share(b.t))
		require.NoError(b.t, session.ForceInterrupt(b.t.Context()))
	}
	slices.Sort(shares)
	p50, p99 := shares[len(shares)/2], shares[len(shares)*99/100]
	b.row("our share of a turn: p50", p50.Round(time.Microsecond).String(), "", true)
	b.row("our share of a turn: p99", p99.Round(time.Microsecond).String(), "<= 1ms", p99 <= time.Millisecond)
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// recordedSpeech is ten seconds of a recording, of which some are silent.
func recordedSpeech(t *testing.T, resample bool) agents.AudioFrame {
	wav, err := os.ReadFile(filepath.Join("internal", "vad", "testdata", "flite-rms.wav"))
	require.NoError(t, err)
	f, err := audiofile.Decode(bytes.NewReader(wav))
	require.NoError(t, err)
	ten := agents.Silence(10*time.Second, f.SampleRate, 1)
	copy(ten.Samples[f.SampleRate:f.SampleRate*5], f.Samples)
	if resample { // each sample three times is 48 kHz
		up := agents.Silence(10*time.Second, 3*f.SampleRate, 1)
		for i := range up.Samples {
			up.Samples[i] = ten.Samples[i/3]
		}
		return up
	}
	return ten
}

// A line brings every session a frame each 20 ms, as one socket would: a twentieth of the sessions each millisecond.
type line struct {
	mu      sync.Mutex
	inputs  [20][]*loopInput
	stopped chan struct{}
	stop    context.CancelFunc
}

func newLine() *line {
	ctx, stop := context.WithCancel(context.Background())
	l := &line{stopped: make(chan struct{}), stop: stop}
	go func() {
		defer close(l.stopped)
		start, tick := time.Now(), time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for n := 0; ; {
			select {
			case now := <-tick.C:
				for ; time.Duration(n)*time.Millisecond <= now.Sub(start); n++ {
					l.bring(n % len(l.inputs))
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	return l
}

func (l *line) close() {
	l.stop()
	<-l.stopped
}

func (l *line) bring(slot int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, in := range l.inputs[slot] {
		select {
		case in.frames <- struct{}{}:
		default: // it is a second late
		}
	}
}

// A loopInput plays audio again and again, a frame of 20 ms whenever the line brings one.
type loopInput struct {
	audio   agents.AudioFrame
	at      time.Duration
	frames  chan struct{}
	decoder opus.Decoder
	packet  []byte
	decoded []int16
}

func (l *line) newInput(audio agents.AudioFrame, from time.Duration, coded bool) *loopInput {
	in := &loopInput{audio: audio, at: from.Truncate(20 * time.Millisecond), frames: make(chan struct{}, 50)}
	if coded {
		enc, err := opus.NewEncoder(opus.EncoderOptions{SampleRate: audio.SampleRate, Channels: 1})
		if err != nil {
			panic(err)
		}
		in.packet, _ = enc.Encode(nil, audio.Slice(time.Second, time.Second+20*time.Millisecond).Samples)
		if in.decoder, err = opus.NewDecoder(audio.SampleRate, 1); err != nil {
			panic(err)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	least := 0
	for i, slot := range l.inputs {
		if len(slot) < len(l.inputs[least]) {
			least = i
		}
	}
	l.inputs[least] = append(l.inputs[least], in)
	return in
}

func (in *loopInput) ReadFrame(ctx context.Context) (agents.AudioFrame, error) {
	select {
	case <-in.frames:
	case <-ctx.Done():
		return agents.AudioFrame{}, context.Cause(ctx)
	}
	if in.decoder != nil {
		in.decoded, _ = in.decoder.Decode(in.decoded[:0], in.packet)
	}
	f := in.audio.Slice(in.at, in.at+20*time.Millisecond)
	if in.at += 20 * time.Millisecond; in.at >= in.audio.Duration() {
		in.at = 0
	}
	return f, nil
}

// A pacedOutput is a pacer's output as a session's.
type pacedOutput struct{ *pacer.Output }

func newPacedOutput(t *testing.T, p *pacer.Pacer, coded bool) agents.AudioOutput {
	play := func([]int16) {}
	if coded {
		enc, err := opus.NewEncoder(opus.EncoderOptions{SampleRate: 16000, Channels: 1})
		require.NoError(t, err)
		var packet []byte
		play = func(samples []int16) {
			if len(samples) == 320 {
				packet, _ = enc.Encode(packet[:0], samples)
			}
		}
	}
	o, err := p.NewOutput(pacer.OutputOptions{SampleRate: 16000, Play: play})
	require.NoError(t, err)
	return pacedOutput{o}
}

func (o pacedOutput) Capabilities() agents.AudioOutputCapabilities {
	return agents.AudioOutputCapabilities{SampleRate: 16000, Channels: 1, CanPause: true}
}

func (o pacedOutput) Attach(notify func(agents.PlaybackEvent)) {
	o.Output.Attach(func(e pacer.Event) {
		p := agents.PlaybackEvent{Type: agents.PlaybackStarted, Segment: e.Segment, At: e.At}
		if e.Type == pacer.Finished {
			p.Type, p.Interrupted, p.Position = agents.PlaybackFinished, e.Interrupted, agents.SampleDuration(e.Position, 16000)
		}
		notify(p)
	})
}

func (o pacedOutput) CaptureFrame(ctx context.Context, f agents.AudioFrame) error {
	return o.Output.CaptureFrame(ctx, f.Samples)
}

// everyTenSeconds understands something when six seconds of every ten are over, where the speech of the recording ends.
type everyTenSeconds struct{ mute bool }

func (everyTenSeconds) Capabilities() agents.STTCapabilities {
	return agents.STTCapabilities{Streaming: true, Timing: agents.ChunkTiming, SampleRate: 16000}
}

func (s everyTenSeconds) Stream(ctx context.Context, _ agents.STTOptions) (agents.STTStream, error) {
	return &tenSeconds{ctx: ctx, mute: s.mute, events: make(chan agents.STTEvent, 8), closed: make(chan struct{})}, nil
}

type tenSeconds struct {
	ctx    context.Context
	mute   bool
	mu     sync.Mutex
	heard  time.Duration
	loud   bool
	events chan agents.STTEvent
	closed chan struct{}
	once   sync.Once
}

func (s *tenSeconds) Send(f agents.AudioFrame) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.heard += f.Duration()
	loud := false
	for _, v := range f.Samples[:min(len(f.Samples), 16)] {
		loud = loud || v > 50 || v < -50
	}
	if loud && !s.loud && !s.mute {
		select {
		case s.events <- agents.STTEvent{Type: agents.STTStartOfSpeech}:
		default:
		}
	}
	s.loud = s.loud || loud
	if !loud && s.loud && s.heard > 10*time.Second && !s.mute {
		s.loud, s.heard = false, 0
		select {
		case s.events <- agents.STTEvent{Type: agents.STTFinal, Transcript: agents.Transcript{Text: "Hello there."}}:
			s.events <- agents.STTEvent{Type: agents.STTEndOfSpeech}
		default:
		}
	}
	return nil
}
func (s *tenSeconds) Flush() error     { return nil }
func (s *tenSeconds) CloseSend() error { return nil }
func (s *tenSeconds) Recv() (agents.STTEvent, error) {
	select {
	case ev := <-s.events:
		return ev, nil
	case <-s.closed:
		return agents.STTEvent{}, agents.ErrStreamClosed
	case <-s.ctx.Done():
		return agents.STTEvent{}, context.Cause(s.ctx)
	}
}
func (s *tenSeconds) Close() error { s.once.Do(func() { close(s.closed) }); return nil }

// readyVoice has three seconds of speech for any text at once.
type readyVoice agents.AudioFrame

func (v readyVoice) Capabilities() agents.TTSCapabilities {
	return agents.TTSCapabilities{Streaming: true, SampleRate: v.SampleRate, Channels: 1}
}

func (v readyVoice) Stream(ctx context.Context, _ agents.TTSOptions) (agents.TTSStream, error) {
	return &readySpeech{ctx: ctx, voice: agents.AudioFrame(v), complete: make(chan struct{})}, nil
}

type readySpeech struct {
	ctx      context.Context
	voice    agents.AudioFrame
	complete chan struct{}
	once     sync.Once
	at       time.Duration
}

func (s *readySpeech) Send(string) error { return nil }
func (s *readySpeech) Flush() error      { return nil }
func (s *readySpeech) CloseSend() error  { s.once.Do(func() { close(s.complete) }); return nil }
func (s *readySpeech) Close() error      { return nil }
func (s *readySpeech) Recv() (agents.TTSChunk, error) {
	select {
	case <-s.complete:
	case <-s.ctx.Done():
		return agents.TTSChunk{}, context.Cause(s.ctx)
	}
	if s.at >= 3*time.Second {
		return agents.TTSChunk{}, io.EOF
	}
	f := s.voice.Slice(time.Second+s.at, time.Second+s.at+200*time.Millisecond)
	s.at += 200 * time.Millisecond
	return agents.TTSChunk{Frame: f}, nil
}

// marks are the moments of a turn.
type marks struct {
	mu     sync.Mutex
	commit time.Time
	asked  time.Time // the LLM was
	token  time.Time // it gave its first token
	sent   time.Time // the TTS got text
	audio  time.Time // it gave its first frame
	played time.Time // the output got it
	done   chan struct{}
}

func (m *marks) reset() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.commit, m.asked, m.token, m.sent, m.audio, m.played = time.Time{}, time.Time{}, time.Time{}, time.Time{}, time.Time{}, time.Time{}
	m.done = make(chan struct{})
}

func (m *marks) at(t *time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if t.IsZero() {
		*t = time.Now()
		if t == &m.played {
			close(m.done)
		}
	}
}

// share is what was spent between the models.
func (m *marks) share(t *testing.T) time.Duration {
	select {
	case <-m.done:
	case <-time.After(5 * time.Second):
		t.Fatal("no answer")
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.asked.Sub(m.commit) + m.sent.Sub(m.token) + m.played.Sub(m.audio)
}

type markedLLM struct{ m *marks }

func (l markedLLM) Chat(context.Context, agents.ChatRequest) iter.Seq2[agents.ChatChunk, error] {
	return func(yield func(agents.ChatChunk, error) bool) {
		l.m.at(&l.m.asked)
		l.m.at(&l.m.token)
		yield(agents.ChatChunk{Text: "Certainly."}, nil)
	}
}

type markedVoice struct{ m *marks }

func (markedVoice) Capabilities() agents.TTSCapabilities {
	return agents.TTSCapabilities{Streaming: true, SampleRate: 16000, Channels: 1}
}

func (v markedVoice) Stream(ctx context.Context, opts agents.TTSOptions) (agents.TTSStream, error) {
	s, err := readyVoice(agents.Silence(10*time.Second, 16000, 1)).Stream(ctx, opts)
	return &markedSpeech{s, v.m}, err
}

type markedSpeech struct {
	agents.TTSStream
	m *marks
}

func (s *markedSpeech) Send(text string) error {
	s.m.at(&s.m.sent)
	return s.TTSStream.Send(text)
}

func (s *markedSpeech) Recv() (agents.TTSChunk, error) {
	c, err := s.TTSStream.Recv()
	s.m.at(&s.m.audio)
	return c, err
}

type markedOutput struct {
	agents.AudioOutput
	m *marks
}

func (o *markedOutput) CaptureFrame(ctx context.Context, f agents.AudioFrame) error {
	o.m.at(&o.m.played)
	return o.AudioOutput.CaptureFrame(ctx, f)
}

// onFlush understands something whenever it is asked to.
type onFlush struct{}

func (onFlush) Capabilities() agents.STTCapabilities { return agents.STTCapabilities{Streaming: true} }
func (onFlush) Stream(ctx context.Context, _ agents.STTOptions) (agents.STTStream, error) {
	return &flushed{tenSeconds{ctx: ctx, mute: true, events: make(chan agents.STTEvent, 8), closed: make(chan struct{})}}, nil
}

type flushed struct{ tenSeconds }

func (s *flushed) Flush() error {
	select {
	case s.events <- agents.STTEvent{Type: agents.STTFinal, Transcript: agents.Transcript{Text: "Hello."}}:
	default:
	}
	return nil
}
