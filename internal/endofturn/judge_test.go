package endofturn

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRules(t *testing.T) {
	for _, tt := range []struct {
		language, question, text string
		want                     Verdict
	}{
		{"en", "", "", Verdict{0.60, Empty}},
		{"en", "", " ... ", Verdict{0.60, Empty}},
		{"en", "", "And?", Verdict{0.95, Question}},
		{"es", "", "¡Hola!", Verdict{0.95, Question}},
		{"en", "", "I was thinking, well,", Verdict{0.10, Trailing}},
		{"en", "", "okay…", Verdict{0.10, Trailing}},
		{"en", "", "I want to—", Verdict{0.10, Trailing}},
		{"en", "", "my name is:", Verdict{0.10, Trailing}},
		{"de", "", "Ich wollte, ähm", Verdict{0.10, Filler}},
		{"es", "", "quería este", Verdict{0.10, Filler}},
		{"es", "", "quiero este", Verdict{0.95, Closed}},
		{"en", "", "Let me see.", Verdict{0.20, Pause}},
		{"de", "", "Moment mal", Verdict{0.20, Pause}},
		{"en", "", "this is my", Verdict{0.08, Hanging}},
		{"en", "", "This is my.", Verdict{0.25, Hanging}},
		{"fr", "", "c’est à cause de l’", Verdict{0.08, Hanging}},
		{"en", "", "the one I asked about", Verdict{0.30, Open}},
		{"en", "", "The one I asked about.", Verdict{0.85, Open}},
		{"en", "", "where do you come from", Verdict{0.80, Asked}},
		{"en", "", "well where do you come from", Verdict{0.80, Asked}},
		{"en", "", "please turn the radio on", Verdict{0.65, Plain}},
		{"en", "", "my meeting is on", Verdict{0.30, Open}},
		{"de", "", "ich rufe Sie an", Verdict{0.65, Plain}},
		{"de", "", "wir treffen uns an", Verdict{0.30, Open}},
		{"en", "", "the name is", Verdict{0.30, Open}},
		{"en", "", "I know what the name is", Verdict{0.65, Plain}},
		{"en", "", "yes it is", Verdict{0.95, Closed}},
		{"en", "", "the thing it is", Verdict{0.30, Open}},
		{"en", "", "Thanks. Bye.", Verdict{0.95, Closed}},
		{"en", "", "I think so", Verdict{0.95, Closed}},
		{"en", "", "It broke.", Verdict{0.92, Stop}},
		{"en", "", "if I pay today", Verdict{0.40, Clause}},
		{"en", "", "if I pay today, it is cheaper", Verdict{0.65, Plain}},
		{"en", "", "if I pay the bill today you can send it out tomorrow", Verdict{0.65, Plain}},
		{"en", "", "when do you open", Verdict{0.80, Asked}},
		{"en", "", "when the bus came", Verdict{0.40, Clause}},
		{"en", "", "a table for two", Verdict{0.65, Plain}},
		{"en", "What is your email?", "anna dot", Verdict{0.08, Hanging}},
		{"en", "", "my email is anna dot", Verdict{0.08, Hanging}},
		{"en", "", "it is just a dot", Verdict{0.65, Plain}},
	} {
		t.Run(tt.language+" "+tt.text, func(t *testing.T) {
			j, ok := For(tt.language)
			require.True(t, ok)
			require.Equal(t, tt.want, j.Judge(Moment{Text: tt.text, Question: tt.question}))
		})
	}
}

func TestNumbersReadOut(t *testing.T) {
	const (
		more    = 0.10
		whole   = 0.95
		few     = 0.35
		many    = 0.70
		neither = 0
	)
	phone := "And what is your phone number?"
	for _, tt := range []struct {
		name, language, question, before, text string
		want                                   float64
	}{
		{"part of a phone number", "en", phone, "", "four one five", more},
		{"a full stop does not end it", "en", phone, "", "415.", more},
		{"all of it, whatever follows", "en", phone, "", "415-555-0199,", whole},
		{"a country code", "en", phone, "", "+1 (415) 555-0199", whole},
		{"doubled digits", "en", phone, "", "four one five double five five oh triple nine", whole},
		{"a digit to be doubled", "en", phone, "", "four one five double", more},
		{"tens", "en", phone, "", "four fifteen fifty five fifty zero one ninety nine", whole},
		{"hundreds", "en", phone, "", "eight hundred five five five", more},
		{"eight hundred is three digits", "en", phone, "", "eight hundred five five five oh one nine nine", whole},
		{"um in between", "en", phone, "", "four one five um five five", more},
		{"the rest in another message", "en", phone, "415 555", "0199", whole},
		{"too little in both", "en", phone, "415", "555", more},
		{"an answer in words", "en", phone, "", "I do not know it by heart", neither},
		{"the user says what it is", "en", "How can I help?", "", "my phone number is 415 555", more},
		{"nobody says how many digits", "en", "", "", "four one five", few},
		{"nobody says, and there are many", "en", "", "", "four one five five five five", many},
		{"an account number", "en", "Your account number please.", "", "4 4 1", few},
		{"a longer account number", "en", "Your account number please.", "", "4412 8837", many},
		{"a quantity", "en", "How many would you like?", "", "twelve", neither},
		{"the first one", "en", phone, "", "no the other phone number", neither},
		{"last four digits, of a card number", "en", "What are the last four digits of your card number?", "", "4 2 4 2", whole},
		{"six-digit code", "en", "Please read me the six-digit code.", "", "90 12 3", more},
		{"16 digits of a card", "en", "What is your card number?", "", "4242 4242 4242", more},
		{"a remark, then another question", "en", "I have your phone number. How many guests?", "", "five", neither},
		{"ends in", "en", "", "", "the card number ending in 42", whole},
		{"German, compounds", "de", "Wie ist Ihre Telefonnummer?", "", "null eins fünf zwei dreiundzwanzig", more},
		{"German, all of it", "de", "Wie ist Ihre Telefonnummer?", "", "null eins fünf zwei dreiundzwanzig siebenundachtzig null vier", whole},
		{"German, vierstellig", "de", "Die vierstellige Nummer bitte.", "", "zwo zwo vier", more},
		{"Dutch, zescijferige", "nl", "Wat is de zescijferige code?", "", "vierentwintig twaalf zesendertig", whole},
		{"Spanish, y", "es", "¿Cuál es su teléfono?", "", "seis uno dos treinta y cuatro veintidós", more},
		{"French, quatre-vingt", "fr", "Votre numéro de téléphone ?", "", "zéro six quatre-vingt douze", more},
		{"French, whole", "fr", "Votre numéro de téléphone ?", "", "zéro six quatre-vingts trente vingt et un douze", whole},
		{"Italian, compounds", "it", "Il numero di telefono?", "", "tre due otto ventuno trentadue quarantatré", whole},
		{"Portuguese, meia", "pt", "Qual é o código de segurança?", "", "um meia dois", whole},
		{"Portuguese, um alone", "pt", "Qual é o código de segurança?", "", "um", more},
	} {
		t.Run(tt.name, func(t *testing.T) {
			j, ok := For(tt.language)
			require.True(t, ok)
			v := j.Judge(Moment{Text: tt.text, Question: tt.question, Before: tt.before})
			if tt.want == neither {
				require.NotEqual(t, Digits, v.Rule)
				return
			}
			require.Equal(t, Verdict{tt.want, Digits}, v)
		})
	}
}

func TestSpelling(t *testing.T) {
	for _, tt := range []struct {
		name, question, text string
		want                 Verdict
	}{
		{"the word was said", "", "Meier, M E I E R", Verdict{0.95, Spelling}},
		{"a part of it", "", "Meier M E I", Verdict{0.10, Spelling}},
		{"the agent said it", "Can you spell Meier?", "m-e-i-e-r", Verdict{0.95, Spelling}},
		{"unknown", "Can you spell that?", "M E I", Verdict{0.35, Spelling}},
		{"unknown, with a full stop", "Can you spell that?", "M. E. I.", Verdict{0.55, Spelling}},
		{"letters with their words", "Miller?", "M as in Mike I for India double L E R", Verdict{0.95, Spelling}},
		{"not two that are words", "", "so what am I a", Verdict{0.08, Hanging}},
		{"a single letter", "", "plan B", Verdict{0.65, Plain}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			require.Equal(t, tt.want, judges()["en"].Judge(Moment{Text: tt.text, Question: tt.question}))
		})
	}
}

func TestLanguages(t *testing.T) {
	for code, want := range map[string]string{
		"en": "en", "en-US": "en", "EN_gb": "en", "eng": "en", "de-AT": "de", "deu": "de", "es-419": "es", "fr-CA": "fr",
		"it": "it", "pt-BR": "pt", "nl-BE": "nl",
	} {
		j, ok := For(code)
		require.True(t, ok, code)
		require.Same(t, judges()[want], j, code)
	}
	for _, code := range []string{"", "ja", "multi", "english", "-", "e", "12"} {
		_, ok := For(code)
		require.False(t, ok, code)
	}
}

// Phrases that are longer than what is looked up would never be found.
func TestVocabulariesHaveNoLongPhrases(t *testing.T) {
	for code, j := range judges() {
		for phrase := range j.entries {
			require.LessOrEqual(t, len(strings.Fields(phrase)), maxPhrase, "%s: %s", code, phrase)
		}
	}
}

// Only the end of a long text counts.
func TestLongText(t *testing.T) {
	en := judges()["en"]
	for _, filling := range []string{"many words and ", "a ", "Ⱥ", "İ ", "word", "ça va, "} {
		long := strings.Repeat(filling, 10_000)
		require.Equal(t, Verdict{0.08, Hanging}, en.Judge(Moment{Text: long + " this is my", Question: long, Before: long}), filling)
	}
}

func FuzzJudge(f *testing.F) {
	for _, u := range utterances(f) {
		f.Add(u.language, u.text, u.question, "415")
	}
	f.Add("en", "l' '", "İȺ\xff", "\xf0\x9f")
	f.Add("de", "-stellig zig", "und zwanzig?", "")
	f.Fuzz(func(t *testing.T, language, text, question, before string) {
		j, ok := For(language)
		if !ok {
			return
		}
		m := Moment{Text: text, Question: question, Before: before}
		v := j.Judge(m)
		require.Greater(t, v.Probability, 0.0)
		require.Less(t, v.Probability, 1.0)
		require.NotEmpty(t, v.Rule)
		require.Equal(t, v, j.Judge(m))
	})
}

func TestJudgeAllocatesNothing(t *testing.T) {
	all := utterances(t)
	require.Zero(t, testing.AllocsPerRun(10, func() {
		for _, u := range all {
			j, _ := For(u.language)
			j.Judge(Moment{Text: u.text, Question: u.question, Before: "415"})
		}
	}))
}

func BenchmarkJudge(b *testing.B) {
	all := utterances(b)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		u := all[i%len(all)]
		i++
		j, _ := For(u.language)
		j.Judge(Moment{Text: u.text, Question: u.question})
	}
}
