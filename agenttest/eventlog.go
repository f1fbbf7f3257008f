package agenttest

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/parley-voice/agents"
)

// An eventLog keeps a session's events as they come.
type eventLog struct {
	begin time.Time

	mu     sync.Mutex
	events []agents.Event
}

func newEventLog() *eventLog { return &eventLog{begin: time.Now()} }

func (l *eventLog) add(e agents.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, e)
}

func (l *eventLog) all() []agents.Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.events)
}

// text writes the events down in a form that is the same in every run.
func (l *eventLog) text() string {
	r := renderer{begin: l.begin, ids: make(map[string]string), counts: make(map[string]int)}
	b := &strings.Builder{}
	for _, e := range l.all() {
		fmt.Fprintf(b, "%3d %8.3fs %s\n", e.Number(), e.Time().Sub(l.begin).Seconds(), r.render(e))
	}
	return b.String()
}

// A renderer writes events down and remembers what it wrote for the ids in them.
type renderer struct {
	begin  time.Time
	ids    map[string]string // what stands for an id
	counts map[string]int    // ids so far of each kind
}

// render writes an event as its type and its fields that are not zero.
func (r *renderer) render(e agents.Event) string {
	v := reflect.ValueOf(e)
	for v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	b := &strings.Builder{}
	b.WriteString(v.Type().Name())
	r.fields(b, " ", v)
	return b.String()
}

func (r *renderer) fields(b *strings.Builder, sep string, v reflect.Value) {
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
			r.field(b, f.Name, v.Field(i))
		}
	}
}

// field writes the value of a field.
func (r *renderer) field(b *strings.Builder, name string, v reflect.Value) {
	switch value := v.Interface().(type) {
	case *agents.FunctionCall:
		fmt.Fprintf(b, "%s:%s(%s)", r.id("call", value.CallID), value.Name, value.Arguments)
	case *agents.FunctionCallOutput:
		b.WriteString(r.id("call", value.CallID) + ":")
		if value.IsError {
			b.WriteString("error:")
		}
		b.WriteString(strconv.Quote(value.Output))
	case agents.ChatItem:
		b.WriteString(describe(value))
	case *agents.SpeechHandle:
		b.WriteString(r.id("speech", value.ID()))
	case string:
		b.WriteString(r.value(name, value))
	case error:
		b.WriteString(strconv.Quote(value.Error()))
	case time.Time:
		fmt.Fprintf(b, "%.3fs", value.Sub(r.begin).Seconds())
	case fmt.Stringer:
		b.WriteString(value.String())
	default:
		switch v.Kind() {
		case reflect.Slice:
			for i := range v.Len() {
				if i > 0 {
					b.WriteByte(',')
				}
				r.field(b, name, v.Index(i))
			}
		case reflect.Struct:
			b.WriteByte('{')
			r.fields(b, ",", v)
			b.WriteByte('}')
		default:
			fmt.Fprintf(b, "%v", value)
		}
	}
}

// value writes a string field. Those that hold made-up ids are given a stand-in.
func (r *renderer) value(field, s string) string {
	switch field {
	case "SpeechID":
		return r.id("speech", s)
	case "CallID", "ID", "IDs":
		return r.id("call", s)
	case "Source", "Kind", "Provider", "Model", "TaskID", "Handoff":
		return s // names, which are easier to read without quotes
	}
	return strconv.Quote(s)
}

// id returns the stand-in for an id: its kind and the place of its first appearance. An id that extends another, like
// that of a call's update, extends its stand-in.
func (r *renderer) id(kind, id string) string {
	if id == "" {
		return "none"
	}
	if known, ok := r.ids[id]; ok {
		return known
	}
	for base, stand := range r.ids {
		if rest, ok := strings.CutPrefix(id, base+"_"); ok && (strings.HasPrefix(rest, "update") || rest == "final") {
			return stand + "_" + rest
		}
	}
	r.counts[kind]++
	stand := fmt.Sprintf("%s#%d", kind, r.counts[kind])
	r.ids[id] = stand
	return stand
}
