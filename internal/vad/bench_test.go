package vad

import "testing"

// BenchmarkDetector is the cost of a window of 32 ms.
func BenchmarkDetector(b *testing.B) {
	s := talk(b)
	samples := s.mix(white(len(s.samples), 1), 20, -30)
	d := NewDetector(defaults)
	events := make([]Event, 0, 4)
	b.ReportAllocs()
	b.SetBytes(2 * Window)
	at := 0
	for b.Loop() {
		events = d.Push(events[:0], samples[at:at+Window])
		if at += Window; at+Window > len(samples) {
			at = 0
		}
	}
}

// BenchmarkLull is the cost of a window while nobody speaks.
func BenchmarkLull(b *testing.B) {
	x := white(10*SampleRate, 1)
	samples := make([]int16, len(x))
	for i, v := range x {
		samples[i] = clip(100 * v)
	}
	d := NewDetector(defaults)
	events := d.Push(make([]Event, 0, 1000), samples)
	b.ReportAllocs()
	b.SetBytes(2 * Window)
	at := 0
	for b.Loop() {
		events = d.Push(events[:0], samples[at:at+Window])
		if at += Window; at+Window > len(samples) {
			at = 0
		}
	}
}
