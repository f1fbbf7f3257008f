// Package endofturn tells by its last words whether what was said is finished. It knows no grammar, only which words
// hardly ever come last ("and", "my", "um"), which phrases do ("thank you", "I think so"), how punctuation is used by
// recognisers, and how numbers and spellings are read out. A [Judge] is one language; it has no state, starts nothing
// and reads no clock.
//
// The first rule that applies decides. Probabilities are those that the turn has ended:
//
//	Rule         What came last                                                      Probability
//	Empty        nothing, or no words                                                0.60
//	Question     a question mark or an exclamation mark                              0.95
//	Digits       a number, fewer digits than the question or the sentence asks for   0.10
//	             as many, or more                                                    0.95
//	             of unknown length, fewer than 6                                     0.35
//	             of unknown length, 6 or more                                        0.70
//	Spelling     single letters, part of a word said before                          0.10
//	             all of that word                                                    0.95
//	             two or more without such a word                                     0.35, with a full stop 0.55
//	Trailing     a comma, colon, dash or ellipsis                                    0.10
//	Filler       "um", "ähm", "este"                                                 0.10
//	Pause        "let me see", "Moment mal"                                          0.20
//	Hanging      "and", "my", "because"                                              0.08, with a full stop 0.25
//	Open         "for", "is", "want"                                                 0.30, with a full stop 0.85
//	Closed       "yes", "okay", "thank you", "I think so"                            0.95
//	Stop         a full stop                                                         0.92
//	Clause       a clause that another must follow, such as "if I pay today"         0.40
//	Asked        a sentence that begins as questions do                              0.80
//	Plain        anything else                                                       0.65
package endofturn
