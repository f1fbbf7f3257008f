package optician

import (
	"context"
	"errors"
	"fmt"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/workflows"
)

var getCurrentTime = agents.NewTool("get_current_time", "Tell the day and the time at the office.",
	func(_ context.Context, run *agents.RunContext[*desk], _ struct{}) (string, error) {
		return run.UserData.calendar.Now().Format("Monday, January 2, 2006, 3:04 PM MST"), nil
	})

type rangeArgs struct {
	Range string `json:"range" jsonschema:"how far to look ahead; the default is a week" enum:"default,+2week,+1month,+3month"`
}

// days returns how many days the range has.
func (a rangeArgs) days() int {
	return map[string]int{"default": 7, "+2week": 14, "+1month": 30, "+3month": 90}[a.Range]
}

var listAvailableSlots = agents.NewTool("list_available_slots",
	"List the free slots from now on: a line for each day, with the id after each time.",
	func(ctx context.Context, run *agents.RunContext[*desk], in rangeArgs) (string, error) {
		d := run.UserData
		now := d.calendar.Now()
		slots, err := d.calendar.Free(ctx, now, now.AddDate(0, 0, in.days()))
		switch {
		case err != nil:
			return "", err
		case len(slots) == 0:
			return fmt.Sprintf("Nothing is free in the next %d days.", in.days()), nil
		}
		return d.offer(slots), nil
	})

var scheduleAppointment = agents.NewTool("schedule_appointment",
	"Book a slot that the caller has chosen. Gets the caller's email address by itself.",
	func(ctx context.Context, run *agents.RunContext[*desk], in struct {
		SlotID string `json:"slot_id" jsonschema:"the id of the slot, as list_available_slots has it"`
	}) (string, error) {
		d := run.UserData
		slot, ok := d.slot(in.SlotID)
		if !ok {
			return "", agents.Errorf("There is no slot %s. Call list_available_slots and take an id from there.", in.SlotID)
		}
		email, err := workflows.NewEmail(workflows.EmailOptions{Options: workflows.Options{ChatContext: run.ChatContext()}}).Run(ctx)
		if err != nil {
			return "", err // if the caller refused, it says so to the model
		}
		// From here on there is something that a word from the caller cannot undo.
		if err := run.DisallowInterruptions(); err != nil {
			return "", agents.Errorf("The caller interrupted, and nothing was booked. Ask whether they still want %s.", slot)
		}
		switch err := d.calendar.Book(ctx, slot, email.Address); {
		case errors.Is(err, ErrSlotUnavailable):
			d.missed(slot)
			return "", agents.Errorf("Somebody else has just booked %s. Offer the caller another time.", slot)
		case err != nil:
			return "", err
		}
		d.made(Appointment{Slot: slot, Email: email.Address})
		return fmt.Sprintf("Booked: %s. A confirmation goes to %s.", slot, email.Address), nil
	})

// endCall is for the end of the call. The session closes once the farewell was said.
var endCall = agents.NewTool("end_call", "End the call, after saying goodbye.",
	func(ctx context.Context, run *agents.RunContext[*desk], _ struct{}) (any, error) {
		return nil, run.Session().Shutdown(ctx)
	})
