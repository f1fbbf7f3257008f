package optician

import (
	"math/rand/v2"
	"slices"
	"time"
	_ "time/tzdata" // the zone is known wherever this runs
)

const (
	officeZone = "America/New_York"
	opens      = 9
	closes     = 17
	visit      = 30 * time.Minute
)

// pretendCalendar is the calendar of the demonstration, always the same. It is a Monday morning there, and the first
// slot of the next afternoon is lost to somebody who is quicker.
func pretendCalendar() *FakeCalendar {
	zone, err := time.LoadLocation(officeZone)
	if err != nil {
		panic(err) // it is built in
	}
	now := time.Date(2026, time.March, 9, 10, 5, 0, 0, zone)
	c := &FakeCalendar{Clock: func() time.Time { return now }, Slots: randomSlots(7, now, 90)}
	for _, s := range c.Slots {
		if s.Start.Day() == now.Day()+1 && s.Start.Hour() >= 12 {
			c.Contested = []Slot{s}
			break
		}
	}
	return c
}

// randomSlots makes up what is free in the days from now on: on weekdays, within opening hours, 3 to 6 slots a day.
func randomSlots(seed uint64, now time.Time, days int) []Slot {
	rnd := rand.New(rand.NewPCG(seed, 0))
	const aDay = int((closes - opens) * time.Hour / visit)
	var slots []Slot
	for day := range days {
		date := time.Date(now.Year(), now.Month(), now.Day()+day, 0, 0, 0, 0, now.Location())
		if date.Weekday() == time.Saturday || date.Weekday() == time.Sunday {
			continue
		}
		picks := rnd.Perm(aDay)[:3+rnd.IntN(4)]
		slices.Sort(picks)
		for _, n := range picks {
			start := time.Date(date.Year(), date.Month(), date.Day(), opens, n*int(visit/time.Minute), 0, 0, now.Location())
			if start.After(now) {
				slots = append(slots, Slot{Start: start, Length: visit})
			}
		}
	}
	return slots
}
