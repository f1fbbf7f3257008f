package ivr

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// menus are eight different lines of an automated system.
var menus = []string{
	"Welcome to Northwind Airways, the airline that brings you home.",
	"For reservations, press 1.",
	"If your luggage did not arrive, press 2.",
	"To hear about our frequent flyer programme, please say miles.",
	"All our agents are busy helping other travellers at the moment.",
	"Did you know that you can also check in on our website?",
	"Your call may be recorded to train our staff.",
	"Please enter the six characters of your booking code.",
}

// detections returns after which of the lines, counted from 1, there is a loop.
func detections(lines []string) (at []int) {
	var l Loop
	for i, line := range lines {
		if l.Heard(line) {
			at = append(at, i+1)
		}
	}
	return at
}

func times(n int, lines ...string) []string { return slices.Repeat(lines, n) }

// T94.
func TestLoops(t *testing.T) {
	for _, tt := range []struct {
		name  string
		lines []string
		want  []int
	}{
		{"T94 eight different prompts", menus, nil},
		// Each loop is three lines after the five that are new, and then all are new again. The reference's list is
		// shorter: it counts each line from the third that repeats, and begins nothing anew.
		{"T94 five prompts, repeated", times(5, menus[:5]...), []int{8, 16, 24}},
		{"T94 two prompts in turn, with a new line among them", slices.Concat(
			times(3, menus[1], menus[2]), menus[4:5], times(3, menus[1], menus[2])), []int{5, 11}},
		{"T94 variations", []string{
			"Please listen carefully, as our menu has changed. For sales, press 1. For support, press 2. For all other questions, stay on the line.",
			"Please listen carefully as our menu has changed: for sales press 1, for support press 2, for all other questions stay on the line",
			"Please listen carefully, as our menu has changed. For sales press 1. For support press 2. For all other questions, please stay on the line.",
			"Listen carefully, as our menu has changed. For sales, press 1. For support, press 2. For all other questions, stay on the line.",
		}, []int{4}},
		{"T94 small talk", []string{
			"Hello, how are you today?",
			"I am fine, thanks. What is the weather like where you are?",
			"It has been raining since the morning.",
			"Then you had better stay inside.",
			"Yes, I am going to read a book.",
			"What is it about?",
			"It is about a ship that gets lost in the ice.",
			"I think I have seen the film.",
			"The book is better, as always.",
			"Well, enjoy it.",
		}, nil},

		{"the same line", times(9, "Press 1."), []int{4, 8}},
		{"two repeated lines are no loop", []string{"a b", "c d", "a b", "c d", "e f", "a b", "c d", "g h"}, nil},
		{"case, punctuation and the order of words do not count", []string{"one two three", "Three, two: ONE!", "two-one-three", "three (two) one"}, []int{4}},
		{"a line without words is none", []string{"a b", "a b", "", "?!", "a b", "...", "a b"}, []int{7}},
		{"the digit that is to be pressed counts", []string{"Press 1", "Press 2", "Press 3", "Press 4", "Press 5", "Press 6"}, nil},
		{"other scripts", times(4, "ご予約は一番を押してください"), []int{4}},
		{"what is more than twenty lines ago is forgotten", slices.Concat(numbered(20), times(1, numbered(20)...)), []int{}},
		{"what is twenty lines ago is not", slices.Concat(numbered(19), numbered(19)), []int{22}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			require.Equal(t, slices.Concat([]int(nil), tt.want), detections(tt.lines))
		})
	}
}

// numbered returns lines that have nothing in common.
func numbered(n int) []string {
	var out []string
	for i := range n {
		out = append(out, fmt.Sprintf("a%d b%d c%d", i, i, i))
	}
	return out
}

// The similarity is that of the formula, worked out by hand for two lines: of three words each, of which two are shared.
// A shared word weighs ln(3/3)+1 = 1, and any other ln(3/2)+1.
func TestSimilarity(t *testing.T) {
	l := Loop{lines: []line{newLine("press one now"), newLine("press one later")}}
	w := math.Log(1.5) + 1
	require.InDelta(t, 2/(2+w*w), l.closest(), 1e-12)
	l.lines = append(l.lines, newLine("press press one later"))
	require.Greater(t, l.closest(), 0.85, "one word more")
	l.lines = append(l.lines, newLine("nothing of that kind"))
	require.Zero(t, l.closest())
}

// What is kept is bounded, whatever is said.
func TestALineIsBounded(t *testing.T) {
	require.Len(t, newLine(strings.Join(numbered(1000), " ")), maxWords)
	var l Loop
	for range 3 {
		for _, s := range numbered(40) {
			l.Heard(s)
		}
	}
	require.Len(t, l.lines, window)
}

// Whatever is heard: no panic, a similarity between 0 and 1, the same result for the same lines, and a loop at the latest
// when one line comes four times in a row.
func FuzzLoop(f *testing.F) {
	f.Add("Press 1.\nPress 2.\nPress 1.")
	f.Add(strings.Join(menus, "\n"))
	f.Add("\xff a\nA \xff\n\u0301\nİ ı\n")
	f.Fuzz(func(t *testing.T, text string) {
		lines := strings.Split(text, "\n")
		require.Equal(t, detections(lines), detections(lines))
		var l Loop
		for _, s := range lines {
			l.Heard(s)
			if n := len(l.lines); n > 0 {
				if c := l.closest(); !(c >= 0 && c <= 1) {
					t.Fatalf("similarity %v after %q", c, s)
				}
			}
		}
		s := lines[len(lines)-1]
		if newLine(s) == nil {
			return
		}
		if !slices.ContainsFunc(times(4, s), l.Heard) {
			t.Errorf("%q four times is no loop", s)
		}
	})
}

func BenchmarkLoop(b *testing.B) {
	lines := numbered(200)
	for i := range lines {
		lines[i] = menus[i%len(menus)] + " " + lines[i]
	}
	var l Loop
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		l.Heard(lines[i%len(lines)])
	}
}
