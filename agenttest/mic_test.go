package agenttest

import (
	"context"
	"errors"
	"io"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-voice/agents"
)

var (
	_ agents.AudioInput  = (*Mic)(nil)
	_ agents.DropCounter = (*Mic)(nil)
)

func TestMic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := ParseVoice(t, `s50 v70"Hi" s30`)
		m := NewMic(s)
		time.Sleep(time.Second) // the script begins with the reader
		begin := time.Now()
		var heard []int16
		for n := time.Duration(1); n <= 10; n++ {
			f, err := m.ReadFrame(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if at := time.Since(begin); at != 20*n*ms || f.Duration() != 20*ms || f.SampleRate != 16000 || f.Channels != 1 {
				t.Errorf("frame %d of %v came at %v", n, f.Duration(), at)
			}
			heard = append(heard, f.Samples...)
		}
		if audio := s.Audio().Samples; !slices.Equal(heard[:len(audio)], audio) {
			t.Error("the mic does not play the script")
		}
		if m.Began() != begin || m.Dropped() != 0 {
			t.Errorf("began at %v, dropped %v", m.Began(), m.Dropped())
		}
	})
}

func TestMicEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMic(Voice())
		gone := errors.New("gone")
		ctx, cancel := context.WithCancelCause(t.Context())
		begin := time.Now()
		time.AfterFunc(5*ms, func() { cancel(gone) })
		for range 2 {
			if _, err := m.ReadFrame(ctx); !errors.Is(err, gone) || time.Since(begin) != 5*ms {
				t.Errorf("cancelled: %v at %v", err, time.Since(begin))
			}
		}
		time.AfterFunc(2*ms, m.Hangup)
		for range 2 {
			if _, err := m.ReadFrame(t.Context()); err != io.EOF || time.Since(begin) != 7*ms {
				t.Errorf("hung up: %v at %v", err, time.Since(begin))
			}
		}
		m.Hangup()
	})
}

func TestMicDropsTheOldest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := ParseVoice(t, `v5000"A long story"`)
		m := NewMic(s)
		read := func() time.Duration {
			f, err := m.ReadFrame(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return s.locate(f)
		}
		read()
		time.Sleep(1 * time.Second) // 1.02 s since the beginning: 50 frames wait
		if at := read(); at != 20*ms || m.Dropped() != 0 {
			t.Errorf("a second late: at %v, dropped %v", at, m.Dropped())
		}
		time.Sleep(2 * time.Second) // 3.02 s: of 149 frames 50 are kept
		if at := read(); at != 2020*ms || m.Dropped() != 1980*ms {
			t.Errorf("three seconds late: at %v, dropped %v", at, m.Dropped())
		}
	})
}
