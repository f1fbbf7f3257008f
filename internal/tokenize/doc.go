// Package tokenize splits text into sentences, words, paragraphs and hyphenation units.
//
// Each kind of token has a type whose fields are its options and whose zero value holds the defaults: [Sentences],
// [Words] and [Paragraphs]. Split takes a whole text; Stream returns a [Stream], which takes the text in any pieces and
// gives each token as soon as no further text can change it. Both run the same scanner, so the tokens do not depend on
// where the pieces end, not even when an end falls inside a character. Every byte is scanned a bounded number of
// times.
//
// With RetainFormat the texts of the tokens, one after the other, are the input, byte for byte. Without it the white
// space between tokens is dropped, and runs of white space with a line break inside a token become one space.
//
// Nothing here starts a goroutine, reads a clock or holds a lock. A Stream belongs to one goroutine at a time; the
// option types may be shared.
package tokenize
