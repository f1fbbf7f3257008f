package tokenize

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// mixed has what is hard to split: acronyms, a title, a decimal, a formula, scripts without spaces, and white space of
// every kind.
const mixed = "Yes! Parley runs many agents in the same voice session. \n\n" +
	"A.B.C means Always Be Careful... remember A.B.C. Dr. Lee wrote the text that is split here. " +
	"\nHere is one. Here is two. A brief sentence.\nThen a sentence that is a good deal longer than the brief one. " +
	"g(y) = y / 3.75 - 12. Oh!\n Ah! Hooray! \n\nThis is English. 这是一个中文句子。これは日本語の文章です。" +
	"你好！Parley让许多代理在同一个语音会话中一起工作。\nThe last one has   several spaces."

// T127: the sentences of a text that is hard to split, at once and in pieces of 1, 2 and 4 characters. The text is our own,
// with the same difficulties in it.
func TestMixedText(t *testing.T) {
	tests := []struct {
		name string
		opts Sentences
		want []string
	}{
		{"T127 basic", Sentences{}, []string{
			"Yes! Parley runs many agents in the same voice session.",
			"A.B.C means Always Be Careful... remember A.B.C.",
			"Dr. Lee wrote the text that is split here.",
			"Here is one. Here is two.",
			"A brief sentence. Then a sentence that is a good deal longer than the brief one.",
			"g(y) = y / 3.75 - 12.",
			"Oh! Ah! Hooray! This is English.",
			"这是一个中文句子。 これは日本語の文章です。",
			"你好！ Parley让许多代理在同一个语音会话中一起工作。",
			"The last one has   several spaces.",
		}},
		{"T127 basic, format retained", Sentences{RetainFormat: true}, []string{
			"Yes! Parley runs many agents in the same voice session.",
			" \n\nA.B.C means Always Be Careful... remember A.B.C.",
			" Dr. Lee wrote the text that is split here.",
			" \nHere is one. Here is two.",
			" A brief sentence.\nThen a sentence that is a good deal longer than the brief one.",
			" g(y) = y / 3.75 - 12.",
			" Oh!\n Ah! Hooray! \n\nThis is English.",
			" 这是一个中文句子。これは日本語の文章です。",
			"你好！Parley让许多代理在同一个语音会话中一起工作。",
			"\nThe last one has   several spaces.",
		}},
		{"T127 prose", Sentences{Rules: Prose}, []string{
			"Yes! Parley runs many agents in the same voice session.",
			"A.B.C means Always Be Careful... remember A.B.C. Dr. Lee wrote the text that is split here.",
			"Here is one. Here is two.",
			"A brief sentence. Then a sentence that is a good deal longer than the brief one. g(y) = y / 3.75 - 12.",
			"Oh! Ah! Hooray! This is English.",
			"这是一个中文句子。これは日本語の文章です。",
			"你好！Parley让许多代理在同一个语音会话中一起工作。",
			"The last one has   several spaces.",
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			require.Equal(t, tt.want, tt.opts.Split(mixed))
			require.Equal(t, tt.want, texts(stream(t, tt.opts.Stream(), mixed, 1, 2, 4)))
		})
	}
}

// Where a sentence ends, with nothing put together. A bar marks the ends; without one the text is whole.
func TestSentenceEnds(t *testing.T) {
	tests := []struct{ name, want string }{
		{"plain", "One. |Two! |Three?"},
		{"no end", "No end at all"},
		{"titles", "Mr. Jones met Mrs. Hall, Dr. Who and Prof. Lee. |They left."},
		{"companies", "Acme Inc. makes anvils. |He works at Acme Inc. |They pay him."},
		{"saint", "Go to St. Paul by noon. |Then rest."},
		{"abbreviations", "Some, e.g. cats vs. dogs, i.e. pets, approx. ten. |All of them."},
		{"etc", "Cats, dogs, etc. are pets. |Cats, dogs, etc. |They bark."},
		{"acronym inside", "The U.S. Senate met. |It left the U.S. |We stayed."},
		{"degree", "She has a Ph.D. in physics. |She is good."},
		{"hours", "Come at 5 p.m. on Monday. |Leave at 6 a.m. |We wait."},
		{"initials", "J. R. Smith wrote it. |Choose plan B. |It is cheap."},
		{"decimals", "It is 3.14 or 1,000.50 today. |Fine."},
		{"version", "Go 1.26.8 is out. |Use v2.0."},
		{"year", "That was in 2020. |Then it ended."},
		{"money", "It costs $5.99. |Buy it!"},
		{"numbered list", "1. First of all"},
		{"ellipsis before a small letter", "Well... maybe not. |Yes."},
		{"ellipsis before a capital", "Let me think... |Done now."},
		{"ellipsis before I", "Well... I do not know."},
		{"ellipsis character", "Let me think… |Done… or not."},
		{"several marks", "What?! |Really?? |No!!! |Ok?.. |Fine."},
		{"quotes stay", `"Go away." |"Why?" |She said “no.” |Then ‘yes.’ |End.`},
		{"brackets stay", "(See below.) |[Or not.] |End."},
		{"URL", "See https://example.com/a.b?q=1.5&r=2! |Then www.example.org. |End."},
		{"e-mail", "Write to jo.doe@mail.example.co.uk. |Thanks!"},
		{"file names", "Open main.go and a.b.txt. |Run ./x.sh now."},
		{"bold", "**Stop.** |Then *go!* |_Now._ |`x.y()`. |End."},
		{"emoji after", "Great! |🎉 Next one. |End."},
		{"emoji at the mark", "Great!🎉 |Next👨‍👩‍👧‍👦. |Flags!🇩🇪🇯🇵 |End."},
		{"CJK", "你好。|今天怎么样？|很好！|「はい。」|終わり。"},
		{"CJK after an ASCII mark", "好!|我是 AI.|再见"},
		{"CJK ellipsis", "我……我不知道。|好"},
		{"full-width decimal", "圆周率是３．１４。|好"},
		{"Hindi", "यह एक वाक्य है। |यह दूसरा है।"},
		{"Arabic", "كيف حالك؟ |بخير."},
		{"blank line", "A heading|\n\nSome text| \n \t\n* an item"},
		{"one line break", "one piece of\ntext. |Yes."},
		{"only marks", "... |!!! |???"},
		{"small letter after", "one. |two."},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			text := strings.ReplaceAll(tt.want, "|", "")
			var want []string
			for part := range strings.SplitSeq(tt.want, "|") {
				want = append(want, strings.ReplaceAll(strings.TrimSpace(part), "\n", " "))
			}
			o := Sentences{MinLength: None}
			require.Equal(t, want, trimmed(o.Split(text)))
			require.Equal(t, want, trimmed(texts(stream(t, o.Stream(), text, 1))))
		})
	}
}

func TestProseEnds(t *testing.T) {
	o := Sentences{Rules: Prose, MinLength: None, RetainFormat: true}
	require.Equal(t, []string{"It is f. of x. and so on.", " Next."}, o.Split("It is f. of x. and so on. Next."))
	require.Equal(t, []string{`"Who?" he asked.`, ` "Me!"`, " Ok."}, o.Split(`"Who?" he asked. "Me!" Ok.`))
	require.Equal(t, []string{"A line\nwrapped.", "\n\nNext"}, o.Split("A line\nwrapped.\n\nNext"))
}

func TestLengths(t *testing.T) {
	text := "One one. Two two. Three three. Four four. Five."
	tests := []struct {
		name string
		opts Sentences
		want []string
	}{
		{"short ones go with the next", Sentences{MinLength: 10}, []string{"One one. Two two.", "Three three.", "Four four.", "Five."}},
		{"none", Sentences{MinLength: None}, []string{"One one.", "Two two.", "Three three.", "Four four.", "Five."}},
		{"batches", Sentences{MinLength: None, BatchLength: 20}, []string{"One one. Two two. Three three.", "Four four. Five."}},
		{"batches with a bound", Sentences{MinLength: None, BatchLength: 20, MaxLength: 20}, []string{"One one. Two two.", "Three three.", "Four four. Five."}},
		{"batches, retained", Sentences{MinLength: None, BatchLength: 20, RetainFormat: true}, []string{"One one. Two two. Three three.", " Four four. Five."}},
		{"longer than the bound", Sentences{MinLength: None, MaxLength: 3}, []string{"One one.", "Two two.", "Three three.", "Four four.", "Five."}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			require.Equal(t, tt.want, tt.opts.Split(text))
			require.Equal(t, tt.want, texts(stream(t, tt.opts.Stream(), text, 3)))
		})
	}
}

func TestTags(t *testing.T) {
	tests := []struct {
		name, in string
		want     []string
	}{
		{"nothing ends inside", "<slow>One. Two.</slow> Three.", []string{"<slow>One. Two.</slow>", " Three."}},
		{"an empty tag leads", `One.<break time="1.5s"/> Two.`, []string{"One.", `<break time="1.5s"/> Two.`}},
		{"a tag alone goes with the next", "<break/> \n\n<break/> One. Two.", []string{"<break/> \n\n<break/> One.", " Two."}},
		{"no tag", "3 < 5. I <3 you. Yes <", []string{"3 < 5.", " I <3 you.", " Yes <"}},
		{"closed inside the end", "<b>One.</b>” Two.", []string{"<b>One.</b>”", " Two."}},
		{"never closed", "<b>One. Two.", []string{"<b>One. Two."}},
		{"unfinished", "One. <b Two. Three", []string{"One.", " <b Two.", " Three"}},
		{"closed too often", "One.</b></b> Two. Three.", []string{"One.</b></b>", " Two.", " Three."}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, rules := range []Rules{Basic, Prose} {
				o := Sentences{Rules: rules, MinLength: None, RetainFormat: true, TagAware: true}
				if tt.name == "a tag alone goes with the next" || tt.name == "unfinished" {
					o.Rules = Prose
				}
				require.Equal(t, tt.want, o.Split(tt.in))
				require.Equal(t, tt.want, texts(stream(t, o.Stream(), tt.in, 1)))
			}
		})
	}
	long := Sentences{RetainFormat: true, TagAware: true}
	require.Equal(t, []string{`<emphasis level="strong">Hi.</emphasis> I am a longer sentence.`},
		long.Split(`<emphasis level="strong">Hi.</emphasis> I am a longer sentence.`))
}

// A sentence comes as soon as it is certain, and no sooner than there is context.
func TestCertainty(t *testing.T) {
	tests := []struct {
		name, certain, last string
		opts                Sentences
	}{
		{"at the white space", "Where is my order now?", " ", Sentences{}},
		{"at the mark, in Chinese", "请问您今天想要什么东西呢请问您今天想要什么？", "我", Sentences{}},
		{"at the next word, after an abbreviation", "He works at the big Acme Inc. They", " ", Sentences{}},
		{"at the next letter, in prose", "Where is it, that is the question. ", "T", Sentences{Rules: Prose}},
		{"at the blank line", "A heading without any mark\n", "\n", Sentences{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := tt.opts.Stream()
			tokens, err := s.Push(tt.certain)
			require.NoError(t, err)
			require.Empty(t, tokens)
			tokens, err = s.Push(tt.last)
			require.NoError(t, err)
			require.Len(t, tokens, 1)
		})
	}
	s := Sentences{MinLength: None, StreamContext: 12}.Stream()
	for text, n := range map[string]int{"": 0, "One. Two. ": 0} {
		tokens, err := s.Push(text)
		require.NoError(t, err)
		require.Len(t, tokens, n)
	}
	tokens, err := s.Push("Ab")
	require.NoError(t, err)
	require.Equal(t, []string{"One.", "Two."}, texts(tokens))
}
