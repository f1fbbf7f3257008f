package agenttest

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/parley-voice/agents"
)

// An eventLog writes down a session's events as they come, in a form that is the same in every run.
type eventLog struct {
	begin time.Time

	mu     sync.Mutex
	events []agents.Event
	lines  []string
	ids    map[string]string // what stands in the log for an id
	counts map[string]int    // ids so far of each kind
}

func newEventLog() *eventLog {
	return &eventLog{begin: time.Now(), ids: make(map[string]string), counts: make(map[string]int)}
}

func (l *eventLog) add(e agents.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, e)
	l.lines = append(l.lines, fmt.Sprintf("%3d %8.3fs %s", e.Number(), e.Time().Sub(l.begin).Seconds(), l.render(e)))
}

func (l *eventLog) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.lines) == 0 {
		return ""
	}
	return strings.Join(l.lines, "\n") + "\n"
}

func (l *eventLog) all() []agents.Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]agents.Event(nil), l.events...)
}

// render writes an event as its type and its fields that are not zero.
func (l *eventLog) render(e agents.Event) string {
	v := reflect.ValueOf(e)
	for v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	b := &strings.Builder{}
	b.WriteString(v.Type().Name())
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if !f.IsExported() || f.Type == reflect.TypeFor[agents.EventMeta]() || v.Field(i).IsZero() {
			continue
		}
		switch value := v.Field(i).Interface().(type) {
		case agents.ChatItem:
			fmt.Fprintf(b, " %s", l.item(value))
		case []*agents.FunctionCall:
			for _, call := range value {
				fmt.Fprintf(b, " %s", l.item(call))
			}
		case []*agents.FunctionCallOutput:
			for _, out := range value {
				fmt.Fprintf(b, " %s", l.item(out))
			}
		case bool:
			b.WriteString(" " + f.Name)
		case string:
			fmt.Fprintf(b, " %s=%s", f.Name, l.value(f.Name, value))
		case []string:
			fmt.Fprintf(b, " %s=", f.Name)
			for j, s := range value {
				if j > 0 {
					b.WriteByte(',')
				}
				b.WriteString(l.value(f.Name, s))
			}
		case error:
			fmt.Fprintf(b, " %s=%q", f.Name, value.Error())
		case time.Time:
			fmt.Fprintf(b, " %s=%.3fs", f.Name, value.Sub(l.begin).Seconds())
		case *agents.SpeechHandle:
			if h, ok := any(value).(interface{ ID() string }); ok {
				fmt.Fprintf(b, " %s=%s", f.Name, l.id("speech", h.ID()))
			}
		default:
			fmt.Fprintf(b, " %s=%+v", f.Name, value)
		}
	}
	return b.String()
}

// item describes an item, with the stand-in of the call it belongs to.
func (l *eventLog) item(item agents.ChatItem) string {
	text := describe(item)
	switch it := item.(type) {
	case *agents.FunctionCall:
		text += " call=" + l.id("call", it.CallID)
	case *agents.FunctionCallOutput:
		text += " call=" + l.id("call", it.CallID)
	}
	return text
}

// value writes a string field. Those that hold made-up ids are given a stand-in.
func (l *eventLog) value(field, s string) string {
	switch field {
	case "SpeechID":
		return l.id("speech", s)
	case "CallID", "ID", "IDs":
		return l.id("call", s)
	}
	return strconv.Quote(s)
}

// id returns the stand-in for an id: its kind and the place of its first appearance. An id that extends another, like
// that of a call's update, extends its stand-in.
func (l *eventLog) id(kind, id string) string {
	if id == "" {
		return "none"
	}
	if known, ok := l.ids[id]; ok {
		return known
	}
	for base, stand := range l.ids {
		if rest, ok := strings.CutPrefix(id, base+"_"); ok && (strings.HasPrefix(rest, "update") || rest == "final") {
			return stand + "_" + rest
		}
	}
	l.counts[kind]++
	stand := fmt.Sprintf("%s#%d", kind, l.counts[kind])
	l.ids[id] = stand
	return stand
}
