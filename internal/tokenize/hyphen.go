package tokenize

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Hyphenate splits an English word where it may be hyphenated. The parts add up to the word. A word of four letters or
// fewer is whole, and neither the first two nor the last two letters are ever split.
//
// It goes by the sounds of the letters: a consonant begins the next syllable, of several those that English can begin a
// word with, except across the seam of a prefix, a suffix or a compound that it knows. It serves to tell how long a word
// takes to say, for which the number of parts counts more than where they are.
func Hyphenate(word string) []string {
	var parts []string
	start := 0
	hyphens(word, func(at int) {
		parts = append(parts, word[start:at])
		start = at
	})
	return append(parts, word[start:])
}

// CountUnits returns how many hyphenation units a word has: 0 if it is blank.
func CountUnits(word string) int {
	if strings.TrimSpace(word) == "" {
		return 0
	}
	n := 1
	hyphens(word, func(int) { n++ })
	return n
}

// hyphens calls yield with every place where word may be hyphenated. Words that are joined, as by an apostrophe or by
// a hyphen, are hyphenated one by one, and after a hyphen.
func hyphens(word string, yield func(at int)) {
	for start := 0; start < len(word); {
		if !isLetter(word[start]) {
			start++
			continue
		}
		if start > 1 && word[start-1] == '-' && isLetter(word[start-2]) {
			yield(start)
		}
		end := start
		for end < len(word) && isLetter(word[end]) {
			end++
		}
		// A letter with an accent beside the run, or a run of an absurd length, is no English word.
		if end-start > 4 && end-start <= longestWord && !besideLetter(word, start, end) {
			hyphenateLetters(word[start:end], start, yield)
		}
		start = end
	}
}

const longestWord = 45

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

func besideLetter(word string, start, end int) bool {
	before, _ := utf8.DecodeLastRuneInString(word[:start])
	after, _ := utf8.DecodeRuneInString(word[end:])
	return before >= 0x80 && unicode.IsLetter(before) || after >= 0x80 && unicode.IsLetter(after)
}

// hyphenateLetters hyphenates a word of ASCII letters.
func hyphenateLetters(word string, offset int, yield func(at int)) {
	var w [longestWord + 2]byte // in small letters, with an end
	n := len(word)
	for i := range n {
		w[i] = word[i] | 0x20
	}
	var breaks [longestWord + 2]bool
	// What stands between the seams is a word of its own for the rules below.
	from, to := 0, n
	if p := prefix(w[:n]); p > 0 {
		breaks[p], from = true, p
		syllables(w[:p], breaks[:])
	}
	if p := compound(w[from:to]); p > 0 {
		breaks[from+p] = true
		syllables(w[from+p:to], breaks[from+p:])
		to = from + p
	} else if p := suffix(w[from:to]); p > 0 {
		breaks[from+p] = true
		if sounded(w[from+p : to]) {
			syllables(w[from+p:to], breaks[from+p:])
		}
		to = from + p
	}
	syllables(w[from:to], breaks[from:])
	for i := 2; i <= n-2; i++ {
		if breaks[i] {
			yield(offset + i)
		}
	}
}

// syllables marks the breaks of a word between its vowels.
func syllables(w []byte, breaks []bool) {
	end := len(w)
	if end > 2 && w[end-1] == 'e' && !isVowel(w, end-2) && !(w[end-2] == 'l' && !isVowel(w, end-3)) {
		end-- // it is silent
	} else if end > 3 && w[end-1] == 's' && w[end-2] == 'e' && !isVowel(w, end-3) && !strings.ContainsRune("sxzcgh", rune(w[end-3])) {
		end -= 2
	} else if end > 3 && w[end-1] == 'd' && w[end-2] == 'e' && !isVowel(w, end-3) && w[end-3] != 't' && w[end-3] != 'd' {
		end -= 2
	}
	last := -1 // the end of the vowels before
	for i := 0; i < end; {
		if !isVowel(w, i) {
			i++
			continue
		}
		if last >= 0 {
			breaks[onset(w, last, i)] = true
		}
		i++
		for i < end && isVowel(w, i) {
			if hiatus(w, i) {
				breaks[i] = true
			}
			i++
		}
		last = i
	}
}

// onset is where, among the consonants between two vowels, the next syllable begins.
func onset(w []byte, from, to int) int {
	cluster := string(w[from:to])
	if len(cluster) < 2 {
		return from
	}
	if cluster == "ck" || cluster == "x" {
		return to
	}
	if len(cluster) > 2 && onsets[cluster[len(cluster)-3:]] {
		return to - 3
	}
	if onsets[cluster[len(cluster)-2:]] {
		return to - 2
	}
	return to - 1
}

// isVowel reports whether the letter sounds as a vowel: a y does unless it begins the word or leads a vowel, and the u
// of qu does not.
func isVowel(w []byte, i int) bool {
	if i < 0 || i >= len(w) {
		return false
	}
	switch w[i] {
	case 'a', 'e', 'i', 'o':
		return true
	case 'u':
		return i == 0 || w[i-1] != 'q'
	case 'y':
		return i > 0 && (i+1 >= len(w) || !strings.ContainsRune("aeiou", rune(w[i+1])))
	}
	return false
}

// hiatus reports whether the vowels i-1 and i are two syllables.
func hiatus(w []byte, i int) bool {
	switch string(w[i-1 : i+1]) {
	case "ia", "io", "iu", "eo", "ua", "uo", "ao":
		// After c, t, s, g or x the i only softens: so-cial, re-gion.
		return i < 2 || !strings.ContainsRune("ctsgxq", rune(w[i-2])) || w[i-1] == 'u' && w[i-2] != 'g' && w[i-2] != 'q'
	}
	return false
}

// prefix returns the length of the prefix of w, if it has one.
func prefix(w []byte) int {
	for _, p := range prefixes {
		if rest, ok := strings.CutPrefix(string(w), p); ok && len(rest) >= 4 && sounded([]byte(rest)) {
			return len(p)
		}
	}
	return 0
}

// compound returns where the second word of a compound begins.
func compound(w []byte) int {
	for _, s := range seconds {
		if rest, ok := strings.CutSuffix(string(w), s); ok && len(rest) >= 3 && sounded([]byte(rest)) {
			return len(rest)
		}
	}
	return 0
}

// suffix returns where the suffix of w begins.
func suffix(w []byte) int {
	for _, s := range suffixes {
		rest, ok := strings.CutSuffix(string(w), s)
		if !ok || len(rest) < 2 || !sounded([]byte(rest)) {
			continue
		}
		c := rest[len(rest)-1]
		switch s {
		case "ed":
			if c != 't' && c != 'd' {
				return 0
			}
		case "ing", "er", "est":
			// A consonant goes with the suffix when it is doubled, run-ning, but not when it closes the syllable, spell-ing.
			if p := len(rest) - 1; p > 1 && rest[p-1] == c && c != 'l' && c != 's' && c != 'f' && c != 'z' {
				return p
			}
			if isVowel(w, len(rest)-1) || s != "ing" {
				continue
			}
		}
		return len(rest)
	}
	return 0
}

// sounded reports whether there is a vowel to say in w.
func sounded(w []byte) bool {
	for i := range w {
		if (isVowel(w, i) || w[i] == 'y') && !(i == len(w)-1 && w[i] == 'e' && i > 0) {
			return true
		}
	}
	return false
}

var (
	onsets = setOf(`bl br ch cl cr dr dw fl fr gh gl gr ph pl pr qu sh sl sm sn sw th tr tw wh wr st sp sk sc
		scr spl spr str shr thr sch`)
	prefixes = strings.Fields("inter under over trans super mis dis sub non out up ex un")
	suffixes = strings.Fields(`tional tions tion sions sion cian cious tious tial cial ments ment ness less fully ful
		ship hood ward wards ly ing ed`)
	// A word that ends with another of these stands after it.
	seconds = strings.Fields(`rooms room works work books book days day times time lands land lights light houses house
		balls ball sides side lines line where things thing body ones one self selves port ports stand how ever way ways
		board boards man men woman women`)
)
