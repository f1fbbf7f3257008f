package console

import (
	"strings"
	"unicode"
)

// alike says how alike two lines are, from 0 to 1: as letters in their order, or as words in any, whichever is more. A
// recogniser mistakes words for others that sound like them, and leaves out what it does not know.
func alike(a, b string) float64 {
	x, y := spoken(a), spoken(b)
	if len(x) == 0 || len(y) == 0 {
		return 0
	}
	return max(inOrder(strings.Join(x, ""), strings.Join(y, "")), inCommon(x, y))
}

var digitNames = [...]string{"zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"}

// spoken returns the words of a line as they are spoken, digit by digit.
func spoken(line string) []string {
	var words []string
	var word strings.Builder
	end := func() {
		if word.Len() > 0 {
			words = append(words, word.String())
			word.Reset()
		}
	}
	for _, r := range strings.ToLower(line) {
		switch {
		case r >= '0' && r <= '9':
			end()
			words = append(words, digitNames[r-'0'])
		case unicode.IsLetter(r):
			word.WriteRune(r)
		case r != '\'' && r != '’':
			end()
		}
	}
	end()
	return words
}

// inOrder is the share of letters that need not be changed to make one of the other.
func inOrder(a, b string) float64 {
	x, y := []rune(a), []rune(b)
	row := make([]int, len(y)+1)
	for j := range row {
		row[j] = j
	}
	for i, r := range x {
		diagonal := row[0]
		row[0] = i + 1
		for j, s := range y {
			change := diagonal
			if r != s {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return 1 - float64(row[len(y)])/float64(max(len(x), len(y)))
}

// inCommon is the share of words that both have.
func inCommon(a, b []string) float64 {
	left := map[string]int{}
	for _, w := range a {
		left[w]++
	}
	both := 0
	for _, w := range b {
		if left[w] > 0 {
			left[w]--
			both++
		}
	}
	return 2 * float64(both) / float64(len(a)+len(b))
}
