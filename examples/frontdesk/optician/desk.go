package optician

import (
	"fmt"
	"strings"
	"sync"
	"time"
)

// A desk is what the front desk knows of a call: the user data of a session. Tools run in parallel, so that it has a
// lock.
type desk struct {
	calendar Calendar

	mu          sync.Mutex
	offered     map[string]Slot // by id
	unavailable int             // how often a slot was gone when it was to be booked
	booked      *Appointment
}

func newDesk(c Calendar) *desk { return &desk{calendar: c, offered: map[string]Slot{}} }

// offer remembers slots that the model is told of, and returns what it is told: a line for each day.
func (d *desk) offer(slots []Slot) string {
	now := d.calendar.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	var b strings.Builder
	day := ""
	for _, s := range slots {
		d.offered[s.ID()] = s
		if on := s.Start.Format("Monday, January 2"); on != day {
			if day != "" {
				b.WriteString("\n")
			}
			day = on
			fmt.Fprintf(&b, "%s (%s):", on, away(now, s.Start))
		} else {
			b.WriteString(",")
		}
		fmt.Fprintf(&b, " %s %s", s.Start.Format("3:04 PM"), s.ID())
	}
	return b.String()
}

// slot returns a slot that was offered.
func (d *desk) slot(id string) (Slot, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s, ok := d.offered[id]
	return s, ok
}

// missed counts a slot that somebody else was quicker to book.
func (d *desk) missed(s Slot) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.offered, s.ID())
	d.unavailable++
}

// made notes the appointment.
func (d *desk) made(a Appointment) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.booked = &a
}

// outcome says whether the call was a success, and why.
func (d *desk) outcome() (ok bool, why string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.booked != nil:
		return true, fmt.Sprintf("%s, for %s", d.booked.Slot, d.booked.Email)
	case d.unavailable > 0:
		return false, "nothing was booked: the slots were gone"
	case len(d.offered) > 0:
		return false, "nothing was booked, although slots were offered"
	}
	return false, "nothing was booked, and no slot was offered"
}

// missedSlots returns how often a slot was gone when it was to be booked.
func (d *desk) missedSlots() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.unavailable
}

// String is the report of the call.
func (d *desk) String() string {
	ok, why := d.outcome()
	report := map[bool]string{true: "success", false: "failure"}[ok] + ": " + why
	if n := d.missedSlots(); n > 0 {
		report += fmt.Sprintf("\nslots that were gone when they were to be booked: %d", n)
	}
	return report
}

// away says how many days there are from now to a day, as people say it.
func away(now, then time.Time) string {
	midnight := func(t time.Time) time.Time { return time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC) }
	switch days := int(midnight(then.In(now.Location())).Sub(midnight(now)) / (24 * time.Hour)); days {
	case 0:
		return "today"
	case 1:
		return "tomorrow"
	default:
		return fmt.Sprintf("in %d days", days)
	}
}
