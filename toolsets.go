package agents

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/parley-voice/agents/internal/order"
)

// toolsets returns the toolsets among tools, nested ones after those that hold them.
func toolsets(tools []Tool) []*Toolset { return addSets(nil, tools) }

func addSets(sets []*Toolset, tools []Tool) []*Toolset {
	for _, t := range tools {
		if ts, ok := t.(*Toolset); ok && ts != nil && !slices.Contains(sets, ts) {
			sets = addSets(append(sets, ts), ts.Tools)
		}
	}
	return sets
}

// acquire counts the toolsets as in use, and returns those that were not: an agent and its task may share one, which
// is set up once and closed when the last of them has left.
func (c *core) acquire(sets []*Toolset) (fresh []*Toolset) {
	for _, t := range sets {
		if c.inUse[t]++; c.inUse[t] == 1 {
			fresh = append(fresh, t)
		}
	}
	return fresh
}

// usable leaves out the toolsets whose setup was given up and has not returned: they are not to be touched.
func (c *core) usable(sets []*Toolset) (ok, hung []*Toolset) {
	for _, t := range sets {
		if _, is := c.hung[t]; is {
			hung = append(hung, t)
		} else {
			ok = append(ok, t)
		}
	}
	return ok, hung
}

// release is the reverse of acquire, and returns the toolsets that are not in use any more.
func (c *core) release(sets []*Toolset) (idle []*Toolset) {
	for _, t := range sets {
		if c.inUse[t]--; c.inUse[t] == 0 {
			delete(c.inUse, t)
			idle = append(idle, t)
		}
	}
	return idle
}

func setUpToolsets(ctx context.Context, sets []*Toolset) error {
	var errs []error
	for _, t := range sets {
		if t.Setup == nil {
			continue
		}
		if err := guard("toolset "+t.ID, func() error { return t.Setup(ctx, t) }); err != nil {
			errs = append(errs, fmt.Errorf("toolset %s: %w", t.ID, err))
		}
	}
	return errors.Join(errs...)
}

func closeToolsets(ctx context.Context, sets []*Toolset) error {
	var errs []error
	for _, t := range sets {
		if t.Close == nil {
			continue
		}
		if err := guard("toolset "+t.ID, func() error { return t.Close(ctx) }); err != nil {
			errs = append(errs, fmt.Errorf("toolset %s: %w", t.ID, err))
		}
	}
	return errors.Join(errs...)
}

// A setup is the setting up of toolsets on a goroutine, which may have to be given up.
type setup struct {
	mu     sync.Mutex
	up     map[*Toolset]bool // whose Setup has returned
	gaveUp bool
}

// run sets the toolsets up, one after another. Once the setup was given up it begins no other, and closes the one that
// came too late, because nobody else knows of it.
func (s *setup) run(ctx context.Context, sets []*Toolset, late func() (context.Context, context.CancelFunc)) error {
	var errs []error
	for _, t := range sets {
		errs = append(errs, setUpToolsets(ctx, []*Toolset{t}))
		s.mu.Lock()
		s.up[t] = !s.gaveUp
		gaveUp := s.gaveUp
		s.mu.Unlock()
		if gaveUp {
			ctx, cancel := late()
			defer cancel()
			return errors.Join(append(errs, closeToolsets(ctx, []*Toolset{t}))...)
		}
	}
	return errors.Join(errs...)
}

// giveUp returns the toolsets that are not set up. They are not to be touched any more.
func (s *setup) giveUp(sets []*Toolset) (missing []*Toolset) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gaveUp = true
	for _, t := range sets {
		if !s.up[t] {
			missing = append(missing, t)
		}
	}
	return missing
}

// setUp sets toolsets up for a frame, and then calls end, with those that were not set up in time.
func (f *frame) setUp(sets []*Toolset, end func(missing []*Toolset)) {
	c := f.c
	if !slices.ContainsFunc(sets, func(t *Toolset) bool { return t.Setup != nil }) {
		end(nil)
		return
	}
	j := &job{what: "toolset setup of " + f.id, src: c.newSource(order.Hook)}
	f.chore = j
	f.drain = c.after(c.cfg.drain, f.expire)
	ctx, cancel := context.WithCancelCause(f.ctx) // the agent outlives a setup that is given up
	f.choreStop = cancel
	s := &setup{up: map[*Toolset]bool{}}
	j.end = func(e ending) {
		cancel(nil)
		f.choreStop = nil
		c.unset(f.drain)
		var missing []*Toolset
		switch {
		case e.abandoned:
			missing = s.giveUp(sets)
			for _, t := range missing {
				c.hung[t] = struct{}{}
			}
		case e.err != nil:
			c.reportError(j.what, e.err, false)
		}
		end(missing)
	}
	c.spawn(j, func() error {
		err := s.run(ctx, sets, c.closeContext)
		c.queue.Post(j.src, func() { // if it was given up, its toolsets can be used again from now on
			for _, t := range sets {
				delete(c.hung, t)
			}
		})
		return err
	})
}

// spawnClose closes toolsets, and then calls end.
func (c *core) spawnClose(what string, sets []*Toolset, end func()) *job {
	if !slices.ContainsFunc(sets, func(t *Toolset) bool { return t.Close != nil }) {
		end()
		return nil
	}
	j := &job{what: what, src: c.newSource(order.Hook)}
	ctx, cancel := c.closeContext()
	j.end = func(e ending) {
		cancel()
		if e.err != nil && !e.abandoned {
			c.reportError(what, e.err, false)
		}
		end()
	}
	c.spawn(j, func() error { return closeToolsets(ctx, sets) })
	return j
}

// closeContext is the context in which a toolset closes: it outlives the session, and is bounded.
func (c *core) closeContext() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(c.ctx), max(c.cfg.grace, time.Second))
}
