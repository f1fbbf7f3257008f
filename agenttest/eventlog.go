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
	l.fields(b, " ", v)
	return b.String()
}

func (l *eventLog) fields(b *strings.Builder, sep string, v reflect.Value) {
	before := ""
	if sep == " " {
		before = " "
	}
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if !f.IsExported() || f.Type == reflect.TypeFor[agents.EventMeta]() || v.Field(i).IsZero() {
			continue
		}
		b.WriteString(before)
		before = sep
		b.WriteString(f.Name)
		if f.Type.Kind() != reflect.Bool {
			b.WriteByte('=')
			l.field(b, f.Name, v.Field(i))
		}
	}
}

// field writes the value of a field.
func (l *eventLog) field(b *strings.Builder, name string, v reflect.Value) {
	switch value := v.Interface().(type) {
	case *agents.FunctionCall:
		fmt.Fprintf(b, "%s:%s(%s)", l.id("call", value.CallID), value.Name, value.Arguments)
	case *agents.FunctionCallOutput:
		b.WriteString(l.id("call", value.CallID) + ":")
		if value.IsError {
			b.WriteString("error:")
		}
		b.WriteString(strconv.Quote(value.Output))
	case agents.ChatItem:
		b.WriteString(describe(value))
	case *agents.SpeechHandle:
		b.WriteString(l.id("speech", value.ID()))
	case string:
		b.WriteString(l.value(name, value))
	case error:
		b.WriteString(strconv.Quote(value.Error()))
	case time.Time:
		fmt.Fprintf(b, "%.3fs", value.Sub(l.begin).Seconds())
	case fmt.Stringer:
		b.WriteString(value.String())
	default:
		switch v.Kind() {
		case reflect.Slice:
			for i := range v.Len() {
				if i > 0 {
					b.WriteByte(',')
				}
				l.field(b, name, v.Index(i))
			}
		case reflect.Struct:
			b.WriteByte('{')
			l.fields(b, ",", v)
			b.WriteByte('}')
		default:
			fmt.Fprintf(b, "%v", value)
		}
	}
}

// value writes a string field. Those that hold made-up ids are given a stand-in.
func (l *eventLog) value(field, s string) string {
	switch field {
	case "SpeechID":
		return l.id("speech", s)
	case "CallID", "ID", "IDs":
		return l.id("call", s)
	case "Source", "Kind", "Provider", "Model", "TaskID", "Handoff":
		return s // names, which are easier to read without quotes
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
