package agents

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/parley-voice/agents/internal/order"
)

// toolsets returns the toolsets among tools, nested ones after those that hold them.
func toolsets(tools []Tool) []*Toolset {
	var sets []*Toolset
	for _, t := range tools {
		if ts, ok := t.(*Toolset); ok && !slices.Contains(sets, ts) {
			sets = append(append(sets, ts), toolsets(ts.Tools)...)
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

// setUp sets toolsets up for a frame, and then calls end.
func (f *frame) setUp(sets []*Toolset, end func()) {
	c := f.c
	if !slices.ContainsFunc(sets, func(t *Toolset) bool { return t.Setup != nil }) {
		end()
		return
	}
	j := &job{what: "toolset setup of " + f.id, src: c.newSource(order.Hook)}
	f.chore = j
	f.drain = c.after(c.cfg.drain, f.expire)
	j.end = func(err error) {
		c.unset(f.drain)
		if err != nil {
			c.reportError(j.what, err, false)
		}
		end()
	}
	ctx := f.ctx
	c.spawn(j, func() error { return setUpToolsets(ctx, sets) })
}

// spawnClose closes toolsets, and then calls end. When the session's grace period is over nobody waits for it any more.
func (c *core) spawnClose(what string, sets []*Toolset, end func()) *job {
	if !slices.ContainsFunc(sets, func(t *Toolset) bool { return t.Close != nil }) {
		end()
		return nil
	}
	j := &job{what: what, src: c.newSource(order.Hook)}
	ctx, cancel := c.closeContext()
	j.end = func(err error) {
		cancel()
		var gone *abandonedError
		if err != nil && !errors.As(err, &gone) {
			c.reportError(what, err, false)
		}
		end()
	}
	c.spawn(j, func() error { return closeToolsets(ctx, sets) })
	if c.expired() {
		c.endJob(j, nil)
	}
	return j
}

// closeContext is the context in which a toolset closes: it outlives the session, and is bounded.
func (c *core) closeContext() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(c.ctx), max(c.cfg.grace, time.Second))
}
