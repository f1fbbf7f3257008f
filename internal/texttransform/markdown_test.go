package texttransform

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const markdown = "# A heading\n\nSome **bold _nested_ text**, *em* and `x * y`.\n- one\n  * two [a link](https://x.y/z_(w)) ![img](i.png)\n" +
	"> quoted ~~gone~~ text\n\n| a | b |\n|---|:-:|\n| 1 | `x|y` |\n\n```go\nx := a * b // *kept*\n```\n---\n2 * 3 = 6, snake_case, *.py\n这是**重要**的。"

func TestMarkdown(t *testing.T) {
	run(t, new(Markdown), []row{
		{"all at once", markdown, "A heading\n\nSome bold nested text, em and x * y.\none\ntwo a link img\n" +
			"quoted  text\n\na, b\n\n1, x|y\n\n\nx := a * b // *kept*\n\n\n2 * 3 = 6, snake_case, *.py\n这是重要的。"},
		{"headings", "### Three\n####### seven\n#tag\n#", "Three\n####### seven\n#tag\n#"},
		{"lists", "- a\n + b\n* c\n1. d\n-5 is e\n- - f", "a\nb\nc\n1. d\n-5 is e\nf"},
		{"quotes", "> a\n> > b\n> - c\n>d", "a\nb\nc\n>d"},
		{"rules", "a\n---\n* * *\n  ___  \n    ---\n--\nb - - -", "a\n\n\n\n    ---\n--\nb - - -"},
		{"emphasis", "*a* **b** ***c*** _d_ __e__ (**f**), “*g*”.", "a b c d e (f), “g”."},
		{"nested", "**a *b* c** *a **b** c* _**d**_ **_e_**", "a b c a b c d e"},
		{"no emphasis", "2*3*4 a ** b x**2 + y**2 a_b_c __init_x ****d**** *e", "2*3*4 a ** b x**2 + y**2 a_b_c __init_x ****d**** *e"},
		{"a sign within emphasis", "**2 * 3** is six", "2 * 3 is six"},
		{"emphasis without spaces", "这**是**的 한국**어**는 ก**ข**ค a**b**c", "这是的 한국어는 กขค a**b**c"},
		{"code", "`a_b_` ``c`d`` **`*`** `open", "a_b_ c`d * `open"},
		{"code blocks", "a\n```python\n# b\n  - *c*\n```\n*d*\n~~~\n*e*", "a\n\n# b\n  - *c*\n\nd\n\n*e*"},
		{"links", "[a](b) [*c* d](e \"f\") [g] h (i) [j](k [![l](m)](n) o", "a c d [g] h (i) [j](k l o"},
		{"images", "![a b](c.png)! ! [d]", "a b! ! [d]"},
		{"struck out", "a ~~b c~~ d~~ e ~~ f ~g~ 3~~4", "a  d~~ e ~~ f ~g~ 3~~4"},
		{"tables", "| Name | Age |\n|:-----|----:|\n| **Al** |  7 |\n| | x\n", "Name, Age\n\nAl, 7\nx\n"},
		{"bars elsewhere", "a | b || c", "a | b || c"},
		{"carriage returns", "# a\r\n---\r\n- b\r\n", "a\r\n\nb\r\n"},
		{"emphasis ends with the line", "*a\nb*", "*a\nb*"},
		{"blank lines and indent", "\n  a\n\n\tb", "\n  a\n\n\tb"},
		{"not UTF-8", "*\xff* \xe4\xbd", "\xff \xe4\xbd"},
		{"longer than a construct", "*" + strings.Repeat("a", MaxConstruct) + "*", "*" + strings.Repeat("a", MaxConstruct) + "*"},
	})
}

// Only what may be changed is held back.
func TestMarkdownHoldsLittle(t *testing.T) {
	m := new(Markdown)
	for _, s := range []struct{ in, out string }{
		{"Plain", "Plain"}, {" text, 2", " text, 2"}, {" *", " "}, {" 3", "* 3"}, {" and **bo", " and "}, {"ld", ""}, {"**", ""}, {" x", "bold x"},
		{" done!", " done"}, {" [", "! "}, {"a] b", "[a] b"}, {"\n", "\n"}, {"-", ""}, {" ", ""}, {"item", "item"},
	} {
		require.Equal(t, s.out, m.Push(s.in), "%q", s.in)
	}
	require.Empty(t, m.Flush())
}
