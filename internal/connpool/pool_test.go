package connpool

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// A dialer opens numbered connections, each after a second.
type dialer struct {
	mu     sync.Mutex
	opened int
	closed []int
	fails  error
}

type conn struct{ number int }

func (d *dialer) connect(ctx context.Context) (*conn, error) {
	select {
	case <-time.After(time.Second):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fails != nil {
		return nil, d.fails
	}
	d.opened++
	return &conn{d.opened}, nil
}

func (d *dialer) close(c *conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = append(d.closed, c.number)
}

// gone returns the connections that were closed.
func (d *dialer) gone() []int {
	synctest.Wait()
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.closed
}

// pool returns a pool that is closed at the end, when every connection that was opened must have been closed once.
func (d *dialer) pool(t *testing.T, o Options[*conn]) *Pool[*conn] {
	if o.Connect == nil {
		o.Connect = d.connect
	}
	o.Close = d.close
	p := New(o)
	t.Cleanup(func() {
		require.NoError(t, p.Close())
		p.mu.Lock()
		defer p.mu.Unlock()
		require.Empty(t, p.idle)
		all := map[int]bool{}
		for _, n := range d.gone() {
			require.False(t, all[n], "connection %d was closed twice", n)
			all[n] = true
		}
		require.Len(t, all, d.opened-len(p.conns))
	})
	return p
}

func get(t *testing.T, p *Pool[*conn]) (*conn, Acquired) {
	t.Helper()
	c, got, err := p.Get(t.Context())
	require.NoError(t, err)
	return c, got
}

// T109: what was put back is used again, and what is in use is nobody else's.
func TestReuse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &dialer{}
		p := d.pool(t, Options[*conn]{})
		a, got := get(t, p)
		require.Equal(t, Acquired{Took: time.Second}, got)
		require.Equal(t, got, p.Last())
		b, _ := get(t, p)
		require.NotSame(t, a, b, "one in use is nobody else's")
		p.Put(a)
		p.Put(a) // idle already
		p.Put(&conn{99})
		c, got := get(t, p)
		require.Same(t, a, c)
		require.Equal(t, Acquired{Reused: true}, got)
		require.Equal(t, got, p.Last())
		e, _ := get(t, p)
		require.Equal(t, 3, e.number)
		p.Put(b)
		p.Put(c)
		p.Put(e)
		last, _ := get(t, p)
		require.Same(t, e, last, "the one used last is the likeliest to be alive")
		p.Put(last)
		require.Empty(t, d.gone())
	})
}

// T109.
func TestRemovedIsNeverReused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &dialer{}
		p := d.pool(t, Options[*conn]{})
		a, _ := get(t, p)
		b, _ := get(t, p)
		p.Put(b)
		p.Remove(a)
		p.Remove(b) // idle
		p.Remove(b)
		p.Put(a)
		require.ElementsMatch(t, []int{1, 2}, d.gone())
		c, _ := get(t, p)
		require.Equal(t, 3, c.number)
		p.Put(c)
	})
}

// T109: what is older than allowed is not used again.
func TestAge(t *testing.T) {
	for _, tt := range []struct {
		name    string
		refresh bool
		pause   time.Duration // twice, between them a Get and a Put
		want    int
	}{
		{"just young enough", false, 5 * time.Second, 1},
		{"older", false, 5*time.Second + 1, 2},
		{"refreshed by Get", true, 10 * time.Second, 1},
		{"older since Get", true, 10*time.Second + 1, 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := &dialer{}
				p := d.pool(t, Options[*conn]{MaxAge: 10 * time.Second, RefreshOnGet: tt.refresh})
				c, _ := get(t, p)
				for range 2 {
					p.Put(c)
					time.Sleep(tt.pause)
					c, _ = get(t, p)
				}
				require.Equal(t, tt.want, c.number)
				require.Len(t, d.gone(), tt.want-1)
				time.Sleep(11 * time.Second)
				p.Put(c) // too old by now
				require.Len(t, d.gone(), tt.want)
			})
		})
	}
}

func TestInvalidate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &dialer{}
		p := d.pool(t, Options[*conn]{})
		idle, _ := get(t, p)
		busy, _ := get(t, p)
		p.Put(idle)
		dialing := make(chan *conn)
		go func() {
			c, _, _ := p.Get(context.Background())
			dialing <- c
		}()
		synctest.Wait() // it takes the idle one
		late := <-dialing
		go func() {
			c, _, _ := p.Get(context.Background())
			dialing <- c
		}()
		synctest.Wait() // it is connecting
		p.Invalidate()
		require.Empty(t, d.gone(), "those in use go on")
		p.Put(busy)
		p.Put(late)
		require.ElementsMatch(t, []int{1, 2}, d.gone())
		old := <-dialing
		p.Put(old) // opened with what was valid before
		require.ElementsMatch(t, []int{1, 2, 3}, d.gone())
		c, _ := get(t, p)
		p.Put(c)
		p.Invalidate()
		require.ElementsMatch(t, []int{1, 2, 3, 4}, d.gone())
	})
}

func TestMaxIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &dialer{}
		p := d.pool(t, Options[*conn]{MaxIdle: 1})
		a, _ := get(t, p)
		b, _ := get(t, p)
		p.Put(a)
		p.Put(b)
		require.Equal(t, []int{2}, d.gone())
	})
}

func TestWith(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &dialer{}
		p := d.pool(t, Options[*conn]{})
		number := func(c *conn, err error) error { require.Equal(t, 1, c.number); return err }
		require.NoError(t, p.With(t.Context(), func(c *conn) error { return number(c, nil) }))
		failed := errors.New("broken")
		require.Equal(t, failed, p.With(t.Context(), func(c *conn) error { return number(c, failed) }))
		require.Equal(t, []int{1}, d.gone())
		require.Panics(t, func() { _ = p.With(t.Context(), func(*conn) error { panic("in use") }) })
		require.Equal(t, []int{1, 2}, d.gone())
		d.fails = failed
		require.Equal(t, failed, p.With(t.Context(), func(*conn) error { panic("not called") }))
	})
}

func TestConnectFails(t *testing.T) {
	failed := errors.New("refused")
	for _, tt := range []struct {
		name    string
		connect func(context.Context) (*conn, error)
		want    error
		after   time.Duration
	}{
		{"an error", func(context.Context) (*conn, error) { return nil, failed }, failed, 0},
		{"too late", func(ctx context.Context) (*conn, error) { <-ctx.Done(); return nil, ctx.Err() }, ErrConnectTimeout, 10 * time.Second},
		{"too late, and deaf", func(context.Context) (*conn, error) { time.Sleep(time.Minute); return nil, failed }, ErrConnectTimeout, 10 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := &dialer{}
				p := d.pool(t, Options[*conn]{Connect: tt.connect})
				start := time.Now()
				_, _, err := p.Get(t.Context())
				require.Equal(t, tt.want, err)
				require.Equal(t, tt.after, time.Since(start))
				require.Zero(t, p.Last())
				time.Sleep(time.Minute) // for the deaf one
			})
		})
	}
}

func TestConnectPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := (&dialer{}).pool(t, Options[*conn]{Connect: func(context.Context) (*conn, error) { panic("dial") }})
		_, _, err := p.Get(t.Context())
		pe, ok := errors.AsType[*PanicError](err)
		require.True(t, ok)
		require.Equal(t, "dial", pe.Value)
		require.Contains(t, string(pe.Stack), "TestConnectPanics")
	})
}

// A connection that comes when its Get has given up is closed, not lost.
func TestGetGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &dialer{}
		p := d.pool(t, Options[*conn]{Connect: func(context.Context) (*conn, error) { return d.connect(context.Background()) }})
		cause := errors.New("barge-in")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(300*time.Millisecond, func() { cancel(cause) })
		start := time.Now()
		_, _, err := p.Get(ctx)
		require.Equal(t, cause, err)
		require.Equal(t, 300*time.Millisecond, time.Since(start))
		_, _, err = p.Get(ctx)
		require.Equal(t, cause, err)
		time.Sleep(time.Second)
		require.Equal(t, []int{1}, d.gone())
	})
}

func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &dialer{}
		p := d.pool(t, Options[*conn]{})
		idle, _ := get(t, p)
		busy, _ := get(t, p)
		waiting := make(chan error)
		go func() {
			_, _, err := p.Get(context.Background())
			waiting <- err
		}()
		synctest.Wait()
		p.Put(idle)
		start := time.Now()
		require.NoError(t, p.Close())
		require.NoError(t, p.Close())
		require.Equal(t, ErrClosed, <-waiting)
		require.Zero(t, time.Since(start))
		require.Equal(t, []int{1}, d.gone())
		_, _, err := p.Get(t.Context())
		require.Equal(t, ErrClosed, err)
		require.Equal(t, ErrClosed, p.Prewarm(t.Context()))
		p.Put(busy)
		require.Equal(t, []int{1, 2}, d.gone())
	})
}

func TestCloseIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		p := New(Options[*conn]{
			Connect: func(context.Context) (*conn, error) { return &conn{1}, nil },
			Close:   func(*conn) { <-release; panic("too late") },
		})
		c, _ := get(t, p)
		p.Put(c)
		start := time.Now()
		require.Error(t, p.Close())
		require.Equal(t, 5*time.Second, time.Since(start))
		close(release)
		require.NoError(t, p.Close())
	})
}

func TestPrewarm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &dialer{}
		p := d.pool(t, Options[*conn]{})
		require.NoError(t, p.Prewarm(t.Context()))
		require.NoError(t, p.Prewarm(t.Context()))
		require.Zero(t, p.Last(), "nobody acquired it")
		c, got := get(t, p)
		require.Equal(t, 1, c.number)
		require.True(t, got.Reused)
		p.Remove(c)
		require.NoError(t, p.Prewarm(t.Context()))
		require.Equal(t, 1, d.opened, "it prewarms once")
	})
}

func TestPrewarmOnlyWithoutConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &dialer{}
		p := d.pool(t, Options[*conn]{})
		c, _ := get(t, p)
		require.NoError(t, p.Prewarm(t.Context()))
		require.Equal(t, 1, d.opened)
		p.Put(c)
	})
}

// T109: what is wrong with a connection nobody asked for is likely to be logged, and the text of the error to hold a key.
func TestPrewarmFailureTellsNoSecrets(t *testing.T) {
	const secret = "sk-12345"
	for _, tt := range []struct {
		err  error
		want string
	}{
		{errors.New(secret), "*errors.errorString"},
		{&url.Error{Op: "Get", URL: "wss://host/?key=" + secret, Err: &net.OpError{Op: "dial", Err: errors.New(secret)}},
			"*url.Error: *net.OpError: *errors.errorString"},
		{fmt.Errorf("%w", context.DeadlineExceeded), "*fmt.wrapError: context.deadlineExceededError"},
	} {
		synctest.Test(t, func(t *testing.T) {
			d := &dialer{fails: tt.err}
			p := d.pool(t, Options[*conn]{})
			err := p.Prewarm(t.Context())
			require.EqualError(t, err, "connpool: prewarm failed: "+tt.want)
			require.NotErrorIs(t, err, tt.err)
			require.NotContains(t, fmt.Sprintf("%+v %#v", err, err), secret)
			require.NoError(t, p.Prewarm(t.Context()), "once")
		})
	}
}

// Whatever happens at once, each connection is one user's, and is closed once.
func TestManyUsers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &dialer{}
		p := d.pool(t, Options[*conn]{MaxAge: 3 * time.Second, MaxIdle: 2})
		var mu sync.Mutex
		inUse := map[*conn]bool{}
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				for n := range 10 {
					ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i*n%13)*200*time.Millisecond)
					c, _, err := p.Get(ctx)
					cancel()
					if err != nil {
						continue
					}
					mu.Lock()
					require.False(t, inUse[c])
					inUse[c] = true
					mu.Unlock()
					time.Sleep(time.Duration(i+n) * 50 * time.Millisecond)
					mu.Lock()
					delete(inUse, c)
					mu.Unlock()
					if (i+n)%5 == 0 {
						p.Remove(c)
					} else {
						p.Put(c)
					}
					if n == 7 {
						p.Invalidate()
					}
				}
			})
		}
		wg.Wait()
		require.Greater(t, d.opened, 10)
	})
}
