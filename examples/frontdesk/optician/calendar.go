package optician

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// A Calendar holds the appointments of an office. Its methods are safe for concurrent use. [FakeCalendar] keeps it in
// memory; a service for appointments fits behind the same three methods.
type Calendar interface {
	// Now returns the time at the office, in its time zone.
	Now() time.Time
	// Free returns the free slots that begin at from or later and before to, earliest first.
	Free(ctx context.Context, from, to time.Time) ([]Slot, error)
	// Book books a slot for whoever has this email address. The error is [ErrSlotUnavailable] if it is not free, or
	// not any more.
	Book(ctx context.Context, slot Slot, email string) error
}

// ErrSlotUnavailable is returned by [Calendar.Book] for a slot that is not free.
var ErrSlotUnavailable = errors.New("the slot is not available")

// A Slot is a time at which somebody can come.
type Slot struct {
	Start  time.Time
	Length time.Duration
}

// ID returns a short name for the slot, which a model can repeat without a mistake. It depends on nothing but the time.
func (s Slot) ID() string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %d", s.Start.Unix(), s.Length/time.Second))
	return "ST_" + base32.StdEncoding.EncodeToString(sum[:5])
}

// String returns the beginning of the slot as people say it.
func (s Slot) String() string { return s.Start.Format("Monday, January 2 at 3:04 PM") }

// An Appointment is a slot that was booked.
type Appointment struct {
	Slot
	Email string
}

// A FakeCalendar is a calendar in memory. Set its fields before it is used.
type FakeCalendar struct {
	// Clock tells the time at the office, in its time zone.
	Clock func() time.Time
	// Slots are those that can be booked, earliest first.
	Slots []Slot
	// Contested are slots of those that somebody else books in the moment when Book is called for them.
	Contested []Slot

	mu     sync.Mutex
	booked []Appointment
	gone   []Slot // to somebody else
}

// Now implements [Calendar].
func (c *FakeCalendar) Now() time.Time { return c.Clock() }

// Free implements [Calendar].
func (c *FakeCalendar) Free(_ context.Context, from, to time.Time) ([]Slot, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var free []Slot
	for _, s := range c.Slots {
		if !s.Start.Before(from) && s.Start.Before(to) && !c.taken(s) {
			free = append(free, s)
		}
	}
	return free, nil
}

// Book implements [Calendar].
func (c *FakeCalendar) Book(_ context.Context, slot Slot, email string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if slices.ContainsFunc(c.Contested, slot.same) {
		c.gone = append(c.gone, slot)
	}
	if !slices.ContainsFunc(c.Slots, slot.same) || c.taken(slot) {
		return ErrSlotUnavailable
	}
	c.booked = append(c.booked, Appointment{Slot: slot, Email: email})
	return nil
}

// Appointments returns what was booked, in the order in which it was.
func (c *FakeCalendar) Appointments() []Appointment {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.booked)
}

// taken reports whether the slot was booked, by us or by somebody else. c.mu is held.
func (c *FakeCalendar) taken(s Slot) bool {
	return slices.ContainsFunc(c.gone, s.same) ||
		slices.ContainsFunc(c.booked, func(a Appointment) bool { return s.same(a.Slot) })
}

func (s Slot) same(t Slot) bool { return s.Start.Equal(t.Start) && s.Length == t.Length }
