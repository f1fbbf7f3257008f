package agenttest

import (
	"context"
	"io"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-voice/agents"
)

// A key comes when its tone begins, not before and not later, and after the last there is nothing until the caller hangs
// up.
func TestKeypad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := NewKeypad(ParseVoice(t, `s500 d1# v800"No." dA`))
		begin := time.Now()
		read := func() string {
			key, err := k.ReadDTMF(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return key.String() + " " + time.Since(begin).String()
		}
		if got, want := []string{read(), read(), read()}, []string{"1 500ms", "# 700ms", "A 1.7s"}; !reflect.DeepEqual(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if key, err := k.ReadDTMF(ctx); err != context.DeadlineExceeded {
			t.Errorf("after the last key: %v, %v", key, err)
		}
		k.Hangup()
		k.Hangup()
		if key, err := k.ReadDTMF(t.Context()); err != io.EOF {
			t.Errorf("after Hangup: %v, %v", key, err)
		}
		if err := k.SendDTMF(t.Context(), '5'); err != nil {
			t.Error(err)
		}
		if err := k.SendDTMF(ctx, '6'); err != context.DeadlineExceeded {
			t.Errorf("with a context that is done: %v", err)
		}
		if got, want := k.Sent(), []SentKey{{agents.DTMF('5'), begin.Add(1700*ms + time.Hour)}}; !reflect.DeepEqual(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	})
}
