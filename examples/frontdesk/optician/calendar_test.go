package optician

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestPretendCalendarIsAlwaysTheSame(t *testing.T) {
	a, b := pretendCalendar(), pretendCalendar()
	require.Equal(t, a.Slots, b.Slots)
	require.NotEqual(t, a.Slots, randomSlots(8, a.Now(), 90))
	require.Len(t, a.Contested, 1)

	perDay, ids := map[string]int{}, map[string]bool{}
	for i, s := range a.Slots {
		require.True(t, s.Start.After(a.Now()))
		require.True(t, i == 0 || a.Slots[i-1].Start.Before(s.Start))
		require.NotContains(t, []time.Weekday{time.Saturday, time.Sunday}, s.Start.Weekday())
		require.True(t, s.Start.Hour() >= opens && s.Start.Hour() < closes, s)
		perDay[s.Start.Format(time.DateOnly)]++
		ids[s.ID()] = true
	}
	require.Len(t, ids, len(a.Slots))
	require.Len(t, perDay, 65) // 13 weeks
	for day, n := range perDay {
		require.True(t, n <= 6 && (n >= 3 || day == "2026-03-09"), "%d on %s", n, day)
	}
}

func TestSlotID(t *testing.T) {
	require.Regexp(t, `^ST_[A-Z2-7]{8}$`, atTen.ID())
	require.NotEqual(t, atTen.ID(), atTwo.ID())
	require.NotEqual(t, atTen.ID(), Slot{Start: atTen.Start, Length: time.Hour}.ID())
	elsewhere := Slot{Start: atTen.Start.In(time.FixedZone("", 3600)), Length: atTen.Length}
	require.Equal(t, atTen.ID(), elsewhere.ID())
}

func TestFakeCalendar(t *testing.T) {
	ctx := t.Context()
	c := smallCalendar(atTen, atTwo, atFour)
	c.Contested = []Slot{atFour}
	free := func(from, to time.Time) []Slot {
		slots, err := c.Free(ctx, from, to)
		require.NoError(t, err)
		return slots
	}
	require.Equal(t, []Slot{atTen, atTwo}, free(atTen.Start, atFour.Start)) // from is included, to is not
	require.NoError(t, c.Book(ctx, atTen, "a@example.com"))
	require.ErrorIs(t, c.Book(ctx, atTen, "b@example.com"), ErrSlotUnavailable)
	require.ErrorIs(t, c.Book(ctx, tuesday(11), "b@example.com"), ErrSlotUnavailable)
	require.ErrorIs(t, c.Book(ctx, atFour, "b@example.com"), ErrSlotUnavailable)
	require.Equal(t, []Slot{atTwo}, free(c.Now(), c.Now().AddDate(0, 0, 7)))
	require.Equal(t, []Appointment{{Slot: atTen, Email: "a@example.com"}}, c.Appointments())
}

func TestAway(t *testing.T) {
	now := time.Date(2026, time.March, 6, 23, 0, 0, 0, mustZone(t)) // the clocks change two days later
	for days, want := range []string{"today", "tomorrow", "in 2 days", "in 3 days"} {
		require.Equal(t, want, away(now, time.Date(2026, time.March, 6+days, 9, 0, 0, 0, now.Location())))
	}
	require.Equal(t, "tomorrow", away(now, time.Date(2026, time.March, 7, 12, 0, 0, 0, time.UTC)))
}

func mustZone(t *testing.T) *time.Location {
	zone, err := time.LoadLocation(officeZone)
	require.NoError(t, err)
	return zone
}
