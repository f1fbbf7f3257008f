package livekit

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// T118, and what else may look like markup. A | is where one piece of text ends and the next begins.
func TestMarkupIsTakenOutOfWhatIsRead(t *testing.T) {
	for _, c := range []struct{ in, out string }{
		{"plain", "plain"},
		{`<expr type="happy"/>See [the docs](url)`, "See [the docs](url)"},
		{`<em|pha|sis>really</empha|sis>!`, "really!"},
		{`1 < 2 and 3 > 2`, "1 < 2 and 3 > 2"},
		{`a <|3`, "a <3"},
		{`x <`, "x <"},
		{`x <b`, "x <b"},
		{`<say-as a=">"/>it`, "it"},
		{`<a <b>c`, "<a c"},
		{"if a<b\nthen", "if a<b\nthen"},
		{"<" + strings.Repeat("x", 300), "<" + strings.Repeat("x", 300)},
	} {
		var s tagStripper
		var out strings.Builder
		for piece := range strings.SplitSeq(c.in, "|") {
			out.WriteString(s.push(piece))
		}
		out.WriteString(s.flush())
		require.Equal(t, c.out, out.String(), "%q", c.in)
	}
}

// A text is cut between characters into what a packet may hold.
func TestALongTextIsCutBetweenCharacters(t *testing.T) {
	io := &RoomIO{}
	w := (&roomText{io: io}).newSegment("me", "")
	text := strings.Repeat("ä", chunkSize)
	var all []byte
	for i, p := range w.chunks("a" + text) {
		c := p.GetStreamChunk()
		require.LessOrEqual(t, len(c.GetContent()), chunkSize)
		require.Equal(t, uint64(i), c.GetChunkIndex())
		require.Equal(t, c.GetContent(), []byte(strings.ToValidUTF8(string(c.GetContent()), "?")))
		all = append(all, c.GetContent()...)
	}
	require.Equal(t, "a"+text, string(all))
}

const canary = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJjYW5hcnkifQ.c2lnbmF0dXJlLWNhbmFyeQ"

// No token is logged, whatever it is in, and none is in an error.
func TestTokensAreHidden(t *testing.T) {
	var out bytes.Buffer
	log := sdkLogger(slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug})))
	log.Infow("joining "+canary, "url", "wss://x/rtc?access_token="+canary+"&v=1", "params", struct{ Token string }{canary})
	log.WithValues("token", canary).Warnw("again", errors.New("refused: "+canary))
	require.NotContains(t, out.String(), "signature")
	require.Equal(t, 2, strings.Count(out.String(), "level="))
	require.Contains(t, out.String(), "level=DEBUG")
	require.NotContains(t, out.String(), canary[:20])

	err := errors.New("fine")
	require.Equal(t, err, tokensOnly.err(err))
	require.NotContains(t, tokensOnly.err(errors.New("GET wss://x?access_token="+canary)).Error(), "eyJ")
	require.NotContains(t, tokensOnly.err(errors.New("GET wss://x?access_token=secret&b=1")).Error(), "secret")
}

// Options that make no sense are errors.
func TestRoomOptionsAreChecked(t *testing.T) {
	for _, o := range []RoomOptions{{InputRate: 44_100}, {OutputRate: -1}, {InputQueue: -1}, {Bitrate: 1}} {
		_, err := NewRoomIO(NewRoom(nil), o)
		require.Error(t, err, "%+v", o)
	}
}
