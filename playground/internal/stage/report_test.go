package stage

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	pb "github.com/livekit/protocol/livekit"
	"github.com/stretchr/testify/require"

	agents "github.com/parley-voice/agents"
)

func handoff(from, to string) *agents.ItemAdded {
	return &agents.ItemAdded{Item: &agents.AgentHandoff{OldAgentID: from, NewAgentID: to}}
}

// A sent message, and when it was.
type sent struct {
	at time.Duration
	m  message
}

// reported runs a report of these events, each after a pause, and returns what is sent.
func reported(t *testing.T, r *report, pause time.Duration, events ...agents.Event) []sent {
	var all []sent
	begin := time.Now()
	r.deliver = func(m message) { all = append(all, sent{time.Since(begin), m}) }
	r.run(func(yield func(agents.Event) bool) {
		for i, e := range events {
			if i > 0 {
				time.Sleep(pause)
			}
			if !yield(e) {
				return
			}
		}
	})
	for i, s := range all {
		require.Equal(t, i+1, s.m.N)
		all[i].m.N = 0
	}
	return all
}

// A handoff waits for the event that says it was to a task, in the same instant, and no longer than it must.
func TestAHandoffSaysWhetherItIsToATask(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		require.Equal(t, []sent{{0, message{Type: "agent", From: "intake", To: "consent", Task: true}}},
			reported(t, newReport(nil, nil, nil), 0, handoff("intake", "consent"), &agents.TaskStarted{TaskID: "consent"}))
		require.Equal(t, []sent{{taskFollows, message{Type: "agent", From: "consent", To: "intake"}}},
			reported(t, newReport(nil, nil, nil), time.Minute, handoff("consent", "intake"), &agents.Gap{}))
	})
}

// What comes right after a handoff comes after it on the page too.
func TestMessagesKeepTheOrderOfEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		done := "shipped"
		require.Equal(t, []sent{
			{0, message{Type: "agent", To: "intake"}},
			{0, message{Type: "tool", Call: "c1", Name: "order_status", Args: `{"id":7}`}},
			{0, message{Type: "agent", From: "intake", To: "group"}},
			{0, message{Type: "agent", From: "group", To: "first", Task: true}},
			{0, message{Type: "tool", Call: "c1", Name: "order_status", Output: &done}},
			{0, message{Type: "tool", Call: "c2", Name: "sell", Output: new(string), Failed: true}},
			{0, message{Type: "error", Source: "llm", Message: "no answer"}},
			{0, message{Type: "note", Message: "What came of it:\nall is well"}},
			{0, message{Type: "end"}},
		}, reported(t, newReport(nil, func() string { return "all is well\n" }, nil), 0,
			handoff("", "intake"),
			&agents.ToolStarted{Call: &agents.FunctionCall{CallID: "c1", Name: "order_status", Arguments: `{"id":7}`}},
			handoff("intake", "group"), handoff("group", "first"), &agents.TaskStarted{TaskID: "first"},
			&agents.ToolEnded{CallID: "c1", Name: "order_status", Message: "shipped", Status: agents.ToolDone},
			&agents.ToolEnded{CallID: "c2", Name: "sell", Status: agents.ToolCancelled},
			&agents.ErrorOccurred{Err: errors.New("tool"), Source: "tool order_status"},
			&agents.ErrorOccurred{Err: errors.New("again"), Source: "llm", Recoverable: true},
			&agents.ErrorOccurred{Err: errors.New("no answer"), Source: "llm"},
			&agents.Closed{}))
	})
}

// The parts of a wait have names, add up to the whole, and go with what was said.
func TestTheWaterfallOfATurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &agents.TurnLatency{Transcription: 200 * time.Millisecond, Endpointing: 300 * time.Millisecond, LLM: 400 * time.Millisecond,
			Text: 1500 * time.Microsecond, TTS: 100 * time.Millisecond}
		e.Total = e.Transcription + e.Endpointing + e.LLM + e.Text + e.TTS
		got := reported(t, newReport(nil, nil, nil), 0,
			&agents.ItemAdded{Item: new(agents.ChatContext).AddMessage(agents.RoleUser, "where is it?")}, e)
		require.Equal(t, []sent{{0, message{Type: "latency", Total: 1001.5, Said: "where is it?", Parts: []part{
			{"transcript", 200}, {"end of turn", 300}, {"model", 400}, {"sentence", 1.5}, {"voice", 100}}}}}, got)
	})
}

// What a program shows beside the talk is sent as it comes.
func TestNotesAreSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		notes := make(chan string)
		go func() {
			time.Sleep(time.Second)
			notes <- "1 burger"
		}()
		require.Equal(t, []sent{{time.Second, message{Type: "note", Message: "1 burger"}}},
			reported(t, newReport(notes, nil, nil), 2*time.Second, &agents.Gap{}, &agents.Gap{}))
	})
}

func TestLongTextsAreCutBetweenCharacters(t *testing.T) {
	require.Equal(t, "short", shown("short"))
	got := shown("x" + strings.Repeat("é", maxShown))
	require.True(t, utf8.ValidString(got))
	require.LessOrEqual(t, len(got), maxShown+len("…"))
	require.True(t, strings.HasSuffix(got, "é…"))
}

// A message is a text stream: its chunks are numbered, hold whole characters, and are the text again.
func TestPacketsOfAMessage(t *testing.T) {
	text := "a" + strings.Repeat("ü", chunkSize)
	all := packets([]byte(text), "ST_1", time.UnixMilli(1234))
	header := all[0].GetStreamHeader()
	require.Equal(t, Topic, header.Topic)
	require.Equal(t, uint64(len(text)), header.GetTotalLength())
	require.Equal(t, int64(1234), header.Timestamp)
	var got string
	for i, p := range all[1 : len(all)-1] {
		chunk := p.GetStreamChunk()
		require.Equal(t, "ST_1", chunk.StreamId)
		require.Equal(t, uint64(i), chunk.ChunkIndex)
		require.True(t, utf8.Valid(chunk.Content))
		got += string(chunk.Content)
	}
	require.Equal(t, text, got)
	require.Len(t, all, 1+3+1)
	require.IsType(t, &pb.DataPacket_StreamTrailer{}, all[len(all)-1].Value)
}
