package opus

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// speech is something a codec takes for a voice: a gliding pulse train through three formants that move, in syllables
// with pauses between them, and hiss where consonants would be. Interleaved, the same in each channel, if there are two.
func speech(sampleRate, channels int, d time.Duration) []int16 {
	rng := rand.New(rand.NewPCG(3, 4))
	n := int(d.Seconds() * float64(sampleRate))
	out := make([]int16, 0, n*channels)
	var phase, syllable float64
	var gains []float64 // of the harmonics
	for i := range n {
		t := float64(i) / float64(sampleRate)
		if i%(sampleRate/200) == 0 {
			f0 := 120 + 25*math.Sin(2*math.Pi*0.7*t)
			gains = gains[:0]
			for h := 1.0; h*f0 < 3600; h++ {
				gain := 0.05 / h
				for _, formant := range [...][2]float64{
					{520 + 200*math.Sin(2*math.Pi*1.1*t), 1}, {1500 + 500*math.Sin(2*math.Pi*0.8*t), 0.5}, {2600, 0.25},
				} {
					gain += formant[1] * math.Exp(-math.Pow((h*f0-formant[0])/120, 2))
				}
				gains = append(gains, gain)
			}
		}
		phase += (120 + 25*math.Sin(2*math.Pi*0.7*t)) / float64(sampleRate)
		syllable = math.Max(0, math.Sin(2*math.Pi*3.1*t)) * math.Min(1, 2*math.Max(0, math.Sin(2*math.Pi*0.45*t)+0.4))
		var v float64
		for h, gain := range gains {
			v += gain * math.Sin(2*math.Pi*float64(h+1)*phase)
		}
		hiss := 0.05 * rng.NormFloat64() * math.Max(0, -math.Sin(2*math.Pi*3.1*t))
		s := int16(math.Round(6000 * (v*syllable + hiss)))
		for range channels {
			out = append(out, s)
		}
	}
	return out
}

func newEncoder(t testing.TB, o EncoderOptions) Encoder {
	e, err := NewEncoder(o)
	require.NoError(t, err)
	return e
}

func newDecoder(t testing.TB, sampleRate, channels int) Decoder {
	d, err := NewDecoder(sampleRate, channels)
	require.NoError(t, err)
	return d
}

// encode encodes in frames of 20 ms.
func encode(t testing.TB, e Encoder, pcm []int16, frame int) [][]byte {
	var packets [][]byte
	for chunk := range slices.Chunk(pcm, frame) {
		if len(chunk) < frame {
			break
		}
		packet, err := e.Encode(nil, chunk)
		require.NoError(t, err)
		packets = append(packets, packet)
	}
	return packets
}

func decode(t testing.TB, d Decoder, packets [][]byte) []int16 {
	var pcm []int16
	for _, packet := range packets {
		var err error
		pcm, err = d.Decode(pcm, packet)
		require.NoError(t, err)
	}
	return pcm
}

func energy(pcm []int16) float64 {
	sum := 0.0
	for _, v := range pcm {
		sum += float64(v) * float64(v)
	}
	return sum
}

// snr is the signal to noise ratio of got, delay samples later, in dB.
func snr(want, got []int16, delay int) float64 {
	var signal, noise float64
	for i := range min(len(want), len(got)-delay) {
		w, g := float64(want[i]), float64(got[i+delay])
		signal += w * w
		noise += (w - g) * (w - g)
	}
	return 10 * math.Log10(signal/noise)
}

func lookahead(sampleRate int) int { return int(Lookahead * time.Duration(sampleRate) / time.Second) }

// A voice at 24 kb/s comes out with the same waveform, as late as documented, and as loud.
func TestVoiceSurvives(t *testing.T) {
	for _, test := range []struct {
		sampleRate  int
		application Application
		snr         float64 // dB; waveform, which a voice coder does not even try to keep
	}{
		{16000, Voice, 13}, {24000, Voice, 12}, {48000, Voice, 13}, {16000, Audio, 14}, {24000, Audio, 14}, {48000, Audio, 15},
	} {
		t.Run(fmt.Sprintf("%d Hz, application %d", test.sampleRate, test.application), func(t *testing.T) {
			rate := test.sampleRate
			pcm := speech(rate, 1, 2*time.Second)
			packets := encode(t, newEncoder(t, EncoderOptions{SampleRate: rate, Application: test.application}), pcm, rate/50)
			out := decode(t, newDecoder(t, rate, 1), packets)
			require.Len(t, out, len(pcm))

			bitrate := float64(len(bytes.Join(packets, nil))) * 8 / 2
			best, at := math.Inf(-1), 0
			for delay := range rate / 50 {
				if s := snr(pcm, out, delay); s > best {
					best, at = s, delay
				}
			}
			loudness := 10 * math.Log10(energy(out)/energy(pcm))
			t.Logf("%.1f kb/s, %.1f dB at a delay of %d samples (%d), level %+.2f dB", bitrate/1000, best, at, lookahead(rate), loudness)
			require.InDelta(t, 21000, bitrate, 5000) // the voice coder spends less on pauses
			require.InDelta(t, lookahead(rate), at, float64(rate)/10_000)
			require.GreaterOrEqual(t, best, test.snr)
			require.InDelta(t, 0, loudness, 0.7)
		})
	}
}

// What is encoded at one rate can be decoded at another: no resampler is needed.
func TestDecodeAtAnotherRate(t *testing.T) {
	pcm := speech(48000, 1, time.Second)
	packets := encode(t, newEncoder(t, EncoderOptions{SampleRate: 48000}), pcm, 960)
	for _, rate := range Rates() {
		out := decode(t, newDecoder(t, rate, 1), packets)
		require.Len(t, out, rate)
		require.InDelta(t, 0, 10*math.Log10(energy(out)/energy(pcm)*48000/float64(rate)), 1, "%d Hz", rate)
		require.Len(t, decode(t, newDecoder(t, rate, 2), packets), 2*rate)
	}
}

func TestFrameLengths(t *testing.T) {
	for _, rate := range Rates() {
		e, d := newEncoder(t, EncoderOptions{SampleRate: rate}), newDecoder(t, rate, 1)
		for _, unit := range []int{1, 2, 4, 8, 16, 24, 8, 1} {
			n := unit * rate / 400
			packet, err := e.Encode(nil, speech(rate, 1, 60*time.Millisecond)[:n])
			require.NoError(t, err)
			p, err := ParsePacket(packet)
			require.NoError(t, err)
			require.Equal(t, n, p.Samples(rate))
			pcm, err := d.Decode(nil, packet)
			require.NoError(t, err)
			require.Len(t, pcm, n)
		}
		for _, n := range []int{0, 1, rate/50 - 1, rate / 50 * 6, rate} {
			_, err := e.Encode(nil, make([]int16, n))
			require.ErrorIs(t, err, ErrFrame)
		}
	}
	stereo := newEncoder(t, EncoderOptions{SampleRate: 48000, Channels: 2})
	_, err := stereo.Encode(nil, make([]int16, 961))
	require.ErrorIs(t, err, ErrFrame)
}

func TestBadOptions(t *testing.T) {
	for _, o := range []EncoderOptions{
		{}, {SampleRate: 44100}, {SampleRate: 48000, Channels: 3}, {SampleRate: 48000, Channels: -1},
		{SampleRate: 48000, Bitrate: 100}, {SampleRate: 48000, Bitrate: 1_000_000}, {SampleRate: 48000, Complexity: 11},
		{SampleRate: 48000, Application: 9}, {SampleRate: 48000, PacketLoss: 101},
	} {
		_, err := NewEncoder(o)
		require.Error(t, err, "%+v", o)
	}
	for _, f := range []format{{0, 1}, {22050, 1}, {48000, 0}, {48000, 3}} {
		_, err := NewDecoder(f.sampleRate, f.channels)
		require.Error(t, err, "%+v", f)
	}
}

// Silence costs next to nothing with DTX, and the far end still gets a second of silence for it.
func TestDTX(t *testing.T) {
	silence := make([]int16, 16000)
	packets := encode(t, newEncoder(t, EncoderOptions{SampleRate: 16000, DTX: true}), silence, 320)
	empty := 0
	for _, packet := range packets {
		if len(packet) <= 2 {
			empty++
		}
	}
	require.Greater(t, empty, len(packets)/2)
	require.Len(t, decode(t, newDecoder(t, 16000, 1), packets), 16000)
}

// A lost packet leaves no hole: the sound goes on for a while and fades.
func TestConceal(t *testing.T) {
	for _, rate := range []int{16000, 24000, 48000} {
		pcm := speech(rate, 1, 500*time.Millisecond)
		packets := encode(t, newEncoder(t, EncoderOptions{SampleRate: rate}), pcm, rate/50)
		d := newDecoder(t, rate, 1)
		before := decode(t, d, packets[:5])
		first, err := d.Conceal(nil, rate/50, nil)
		require.NoError(t, err)
		require.Len(t, first, rate/50)
		require.Greater(t, energy(first), 0.2*energy(before[len(before)-rate/50:]))
		long, err := d.Conceal(nil, rate*12/100, nil)
		require.NoError(t, err)
		require.Len(t, long, rate*12/100)
		_, err = d.Conceal(nil, 2*rate, nil)
		require.NoError(t, err)
		last, err := d.Conceal(nil, rate/50, nil)
		require.NoError(t, err)
		require.Less(t, energy(last), 0.05*energy(first))
		for _, n := range []int{-rate / 50, 1, rate/50 + 1} {
			_, err = d.Conceal(nil, n, nil)
			require.ErrorIs(t, err, ErrFrame)
		}
	}
	none, err := newDecoder(t, 16000, 1).Conceal([]int16{7}, 320, nil)
	require.NoError(t, err)
	require.Equal(t, append([]int16{7}, make([]int16, 320)...), none, "silence before the first packet")
}

// With error correction, the packet after a loss tells what was in the lost one.
func TestRecover(t *testing.T) {
	for _, rate := range []int{16000, 48000} {
		pcm := speech(rate, 1, time.Second)
		frame := rate / 50
		packets := encode(t, newEncoder(t, EncoderOptions{SampleRate: rate, FEC: true, PacketLoss: 20}), pcm, frame)
		whole := decode(t, newDecoder(t, rate, 1), packets)
		lossy := func(next func(i int) []byte) float64 {
			d := newDecoder(t, rate, 1)
			var out []int16
			for i, packet := range packets {
				var err error
				if i%4 == 2 {
					out, err = d.Conceal(out, frame, next(i))
				} else {
					out, err = d.Decode(out, packet)
				}
				require.NoError(t, err)
			}
			require.Len(t, out, len(whole))
			return snr(whole, out, 0)
		}
		concealed := lossy(func(int) []byte { return nil })
		recovered := lossy(func(i int) []byte { return packets[i+1] })
		t.Logf("%d Hz, every fourth packet lost: %.1f dB concealed, %.1f dB recovered", rate, concealed, recovered)
		require.Greater(t, recovered, concealed+2)
	}
}

// A codec from the pool gives to the bit what a new one gives, whatever it did before.
func TestResetIsFresh(t *testing.T) {
	for _, rate := range []int{16000, 48000} {
		for channels := 1; channels <= 2; channels++ {
			for _, o := range []EncoderOptions{
				{}, {Application: Audio, Bitrate: 96000, Complexity: 10}, {DTX: true, FEC: true, PacketLoss: 15, Bitrate: 16000},
			} {
				o.SampleRate, o.Channels = rate, channels
				t.Run(fmt.Sprintf("%+v", o), func(t *testing.T) {
					frame := rate / 50 * channels
					pcm := speech(rate, channels, 200*time.Millisecond)
					decoders = decoderPool{}
					want := encode(t, newEncoder(t, o), pcm, frame)
					heard := decode(t, newDecoder(t, rate, channels), want)

					// Use them for everything they can do, then hand them on.
					encoder, decoder := newEncoder(t, o), newDecoder(t, rate, channels)
					loud := noise(len(pcm))
					packets := encode(t, encoder, append(loud, make([]int16, frame*10)...), frame)
					packets = append(packets, encode(t, encoder, loud, frame/2)...)
					packets = append(packets, want...)
					packets = append(packets, encode(t, newEncoder(t, EncoderOptions{SampleRate: rate, Application: Audio, FEC: true}), loud, rate/50)...)
					decode(t, decoder, packets)
					for _, next := range packets[5:15] {
						_, err := decoder.Conceal(nil, rate/50, next)
						require.NoError(t, err)
					}
					encoder.Reset()
					decoder.Reset()
					require.Equal(t, want, encode(t, encoder, pcm, frame))
					require.Equal(t, 1, decoders.count)
					require.Equal(t, heard, decode(t, newDecoder(t, rate, channels), want))
					require.Zero(t, decoders.count, "taken from the pool")
				})
			}
		}
	}
}

// Why encoders are not pooled. If this fails, the dependency has been corrected, and they can be.
func TestCodecEncoderResetIsIncomplete(t *testing.T) {
	pcm := speech(16000, 1, 200*time.Millisecond)
	e := newEncoder(t, EncoderOptions{SampleRate: 16000}).(*encoder)
	want := encode(t, e, pcm, 320)
	e.codec.Reset()
	require.NotEqual(t, want, encode(t, e, pcm, 320))
}

func noise(n int) []int16 {
	rng := rand.New(rand.NewPCG(1, 2))
	s := make([]int16, n)
	for i := range s {
		s[i] = int16(rng.Uint32())
	}
	return s
}

// Many streams at once, coming and going, do not hear each other.
func TestStreamsAtOnce(t *testing.T) {
	pcm := speech(16000, 1, 200*time.Millisecond)
	want := encode(t, newEncoder(t, EncoderOptions{SampleRate: 16000}), pcm, 320)
	heard := decode(t, newDecoder(t, 16000, 1), want)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			d := newDecoder(t, 16000, 1)
			defer d.Close()
			for range 4 {
				e := newEncoder(t, EncoderOptions{SampleRate: 16000})
				packets := encode(t, e, pcm, 320)
				e.Close()
				if got := decode(t, d, packets); !slices.Equal(heard, got) {
					t.Errorf("stream %d heard something else", i)
				}
				d.Reset()
			}
		})
	}
	wg.Wait()
	require.LessOrEqual(t, decoders.count, maxIdle)
}

func TestPoolIsBounded(t *testing.T) {
	decoders = decoderPool{}
	var open []Decoder
	for i := range maxIdle + 5 {
		d := newDecoder(t, Rates()[i%2], 1)
		_, err := d.Conceal(nil, 0, nil)
		require.NoError(t, err)
		_, err = d.Conceal(nil, 480, nil)
		require.NoError(t, err)
		open = append(open, d)
	}
	for _, d := range open {
		d.Close()
		d.Close()
	}
	require.Equal(t, maxIdle, decoders.count)
	decoders = decoderPool{}
}

func TestClosed(t *testing.T) {
	e, d := newEncoder(t, EncoderOptions{SampleRate: 16000}), newDecoder(t, 16000, 1)
	packet, err := e.Encode(nil, make([]int16, 320))
	require.NoError(t, err)
	e.Close()
	d.Close()
	_, err = e.Encode(nil, make([]int16, 320))
	require.ErrorIs(t, err, ErrClosed)
	_, err = d.Decode(nil, packet)
	require.ErrorIs(t, err, ErrClosed)
	_, err = d.Conceal(nil, 320, nil)
	require.ErrorIs(t, err, ErrClosed)
}

// A panic in the codec is an error; what was in dst stays, and the stream goes on.
func TestPanicIsAnError(t *testing.T) {
	e := newEncoder(t, EncoderOptions{SampleRate: 16000}).(*encoder)
	e.options.Channels = 0 // a division by zero
	out, err := e.Encode([]byte{1}, make([]int16, 320))
	require.ErrorContains(t, err, "panicked")
	require.Equal(t, []byte{1}, out)
	e.options.Channels = 1
	packet, err := e.Encode(nil, make([]int16, 320))
	require.NoError(t, err)

	d := newDecoder(t, 16000, 1).(*decoder)
	d.codec = &decoderCodec{} // a nil pointer
	pcm, err := d.Decode([]int16{1}, packet)
	require.ErrorIs(t, err, ErrPacket)
	require.Equal(t, []int16{1}, pcm)
	_, err = d.Decode(nil, packet)
	require.NoError(t, err)
}

func TestNothingAllocatesPerFrame(t *testing.T) {
	for _, rate := range []int{16000, 24000, 48000} {
		for _, o := range []EncoderOptions{{}, {DTX: true}, {Application: Audio}, {FEC: true}} {
			o.SampleRate = rate
			pcm := speech(rate, 1, 600*time.Millisecond)
			frame := rate / 50
			e, d := newEncoder(t, o), newDecoder(t, rate, 1)
			packets := encode(t, e, pcm, frame)
			decode(t, d, packets)
			packet, out := make([]byte, 0, maxPacket), make([]int16, 0, 2*frame)
			i := 0
			allocs := func(step func() error) float64 {
				return testing.AllocsPerRun(30, func() {
					if err := step(); err != nil {
						t.Error(err)
					}
					i = (i + 1) % len(packets)
				})
			}
			encoding := allocs(func() (err error) {
				packet, err = e.Encode(packet[:0], pcm[i*frame:][:frame])
				return err
			})
			decoding := allocs(func() (err error) {
				out, err = d.Decode(out[:0], packets[i])
				return err
			})
			concealing := allocs(func() error {
				_, err := d.Conceal(out[:0], frame, nil)
				if err == nil {
					out, err = d.Decode(out[:0], packets[i])
				}
				return err
			})
			// What the codec itself allocates is to be zero one day.
			encodingMax := 0.0
			if o.FEC {
				encodingMax = 10
			}
			require.LessOrEqual(t, encoding, encodingMax, "%+v", o)
			require.Zero(t, decoding, "%+v", o)
			require.LessOrEqual(t, concealing, 8.0, "%+v", o)
		}
	}
}

func BenchmarkEncode20ms(b *testing.B) {
	for _, o := range []EncoderOptions{
		{SampleRate: 16000}, {SampleRate: 24000}, {SampleRate: 48000}, {SampleRate: 24000, Complexity: 1},
		{SampleRate: 24000, Complexity: 10}, {SampleRate: 24000, FEC: true, DTX: true}, {SampleRate: 24000, Application: Audio},
		{SampleRate: 48000, Channels: 2, Application: Audio},
	} {
		b.Run(fmt.Sprintf("%dHz_x%d_app%d_complexity%d_fec%v", o.SampleRate, max(1, o.Channels), o.Application, o.Complexity, o.FEC), func(b *testing.B) {
			e := newEncoder(b, o)
			frame := o.SampleRate / 50 * max(1, o.Channels)
			pcm := speech(o.SampleRate, max(1, o.Channels), 2*time.Second)
			packet := make([]byte, 0, maxPacket)
			i := 0
			b.ReportAllocs()
			for b.Loop() {
				packet, _ = e.Encode(packet[:0], pcm[i*frame:][:frame])
				i = (i + 1) % 100
			}
		})
	}
}

func BenchmarkDecode20ms(b *testing.B) {
	packets := encode(b, newEncoder(b, EncoderOptions{SampleRate: 48000}), speech(48000, 1, 2*time.Second), 960)
	for _, rate := range []int{16000, 24000, 48000} {
		b.Run(fmt.Sprint(rate), func(b *testing.B) {
			d := newDecoder(b, rate, 1)
			pcm := make([]int16, 0, rate/50)
			i := 0
			b.ReportAllocs()
			for b.Loop() {
				pcm, _ = d.Decode(pcm[:0], packets[i])
				i = (i + 1) % 100
			}
		})
	}
}

// What the first packet of a stream costs more than the next.
func BenchmarkFirstFrame(b *testing.B) {
	pcm := speech(24000, 1, 20*time.Millisecond)
	b.ReportAllocs()
	for b.Loop() {
		e := newEncoder(b, EncoderOptions{SampleRate: 24000})
		_, _ = e.Encode(nil, pcm)
		e.Close()
	}
}
