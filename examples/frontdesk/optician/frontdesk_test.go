package optician

import (
	"context"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
	"github.com/parley-voice/agents/examples/internal/console/consoletest"
)

func TestDemo(t *testing.T) { consoletest.Demo(t, Program) }

func TestAgentsFitTheDesk(t *testing.T) {
	d := newDesk(smallCalendar())
	require.NoError(t, agents.Check(options(d), newFrontDesk(d.calendar)))
}

// The slots of the small calendar: it is Monday, and they are on Tuesday.
var (
	atTen  = tuesday(10)
	atTwo  = tuesday(14)
	atFour = tuesday(16)
)

func tuesday(hour int) Slot {
	return Slot{Start: time.Date(2026, time.March, 10, hour, 0, 0, 0, time.UTC), Length: visit}
}

func smallCalendar(slots ...Slot) *FakeCalendar {
	return &FakeCalendar{Slots: slots, Clock: func() time.Time { return time.Date(2026, time.March, 9, 9, 30, 0, 0, time.UTC) }}
}

// start begins a call with the greeting done.
func start(t *testing.T, c *FakeCalendar, steps ...agenttest.Step) (*agenttest.Session, *desk, *agenttest.LLM) {
	d := newDesk(c)
	llm := agenttest.NewLLM(t, agenttest.OnInstructions("Greet the caller").Say("When would you like to come?"))
	llm.Add(steps...)
	opts := options(d)
	opts.LLM = llm
	s, r := agenttest.StartRun(t, opts, newFrontDesk(c))
	r.NextHandoff().IsHandoff("", "frontdesk")
	r.Next().IsMessage("assistant")
	r.None()
	return s, d, llm
}

// spoken runs a turn that came in by voice.
func spoken(t *testing.T, s *agenttest.Session, text string) *agenttest.Result {
	t.Helper()
	r, err := s.RunWith(t.Context(), agents.RunOptions{Text: text, Modality: agents.ModalityAudio})
	require.NoError(t, err)
	return agenttest.Expect(t, r)
}

// atEmail begins a call in which the email address is being asked for.
func atEmail(t *testing.T, c *FakeCalendar, steps ...agenttest.Step) (*agenttest.Session, *desk, *agenttest.LLM) {
	s, d, llm := start(t, c,
		agenttest.OnUser("Tomorrow?").Call("list_available_slots", `{"range":"default"}`),
		agenttest.OnOutput("list_available_slots").Say("I have 10 AM, 2 PM and 4 PM."),
		agenttest.OnUser("2 in the afternoon sounds good.").Call("schedule_appointment", `{"slot_id":"`+atTwo.ID()+`"}`),
		agenttest.OnInstructions("Ask the user for their email address").Say("What is your email address?"))
	llm.Add(steps...)
	s.User("Tomorrow?").NextMessage()
	r := s.User("2 in the afternoon sounds good.")
	r.Next().IsCall("schedule_appointment", agenttest.Args{"slot_id": atTwo.ID()})
	r.Next().IsHandoff("frontdesk", "email")
	r.Next().IsMessage("assistant").Contains("email address")
	r.None()
	return s, d, llm
}

func TestAppointment(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		calendar := smallCalendar(atTen, atTwo, atFour)
		s, d, llm := start(t, calendar,
			agenttest.OnUser("Can I get an appointment tomorrow?").Call("get_current_time", `{}`),
			agenttest.OnOutput("get_current_time").Say("One moment.").Call("list_available_slots", `{"range":"+2week"}`),
			agenttest.OnOutput("list_available_slots").Say("Tomorrow I have 10:00 AM, 2:00 PM and 4:00 PM."),
			agenttest.OnUser("2 in the afternoon sounds good.").Call("schedule_appointment", `{"slot_id":"`+atTwo.ID()+`"}`),
			agenttest.OnInstructions("Ask the user for their email address").Say("What is your email address?"),
			agenttest.OnUser("My email address is theo at example dot com.").Call("update_email_address", `{"email":"theo@example.com"}`),
			agenttest.OnOutput("update_email_address").Say("That is theo at example dot com. Is that right?"),
			agenttest.OnUser("Yes, it is.").Call("confirm_email_address", `{}`),
			agenttest.OnOutput("schedule_appointment").Say("You are booked for tomorrow at 2 PM."))
		judge := agenttest.NewLLM(t,
			agenttest.Any().Call("check_intent", `{"success":true,"reason":"it names three times"}`),
			agenttest.Any().Call("check_intent", `{"success":true,"reason":"it says when"}`))

		r := s.User("Can I get an appointment tomorrow?")
		r.SkipIfMessage("assistant")
		if r.SkipIfCall("get_current_time") {
			r.Next().IsOutput("Monday, March 9, 2026, 9:30 AM UTC")
		}
		r.SkipIfMessage("assistant")
		r.Next().IsCall("list_available_slots")
		r.Next().IsOutput("Tuesday, March 10 (tomorrow): 10:00 AM " + atTen.ID() + ", 2:00 PM " + atTwo.ID() + ", 4:00 PM " + atFour.ID())
		offer := r.Next().IsMessage("assistant").Judge(judge, "offers one or more free times")
		r.None()
		times := regexp.MustCompile(`\d+:\d\d [AP]M`).FindAllString(offer.Text(), -1)
		require.NotEmpty(t, times)
		require.Subset(t, []string{"10:00 AM", "2:00 PM", "4:00 PM"}, times)

		r = s.User("2 in the afternoon sounds good.")
		r.Next().IsCall("schedule_appointment", agenttest.Args{"slot_id": atTwo.ID()})
		r.Next().IsHandoff("frontdesk", "email")
		r.Next().IsMessage("assistant").Contains("email address")
		r.None()

		r = spoken(t, s, "My email address is theo at example dot com.")
		r.Next().IsCall("update_email_address", agenttest.Args{"email": "theo@example.com"})
		r.Next().IsOutput().Contains("It is not confirmed yet.")
		r.Next().IsMessage("assistant").Contains("Is that right?")
		r.None()
		require.Empty(t, calendar.Appointments())

		r = spoken(t, s, "Yes, it is.")
		r.Next().IsCall("confirm_email_address")
		r.Next().IsOutput("")
		r.Next().IsHandoff("email", "frontdesk")
		r.Next().IsOutput("Booked: Tuesday, March 10 at 2:00 PM. A confirmation goes to theo@example.com.")
		r.Next().IsMessage("assistant").Judge(judge, "confirms the appointment for the next day at 2 PM")
		r.None()
		require.Equal(t, []Appointment{{Slot: atTwo, Email: "theo@example.com"}}, calendar.Appointments())
		require.Equal(t, "success: Tuesday, March 10 at 2:00 PM, for theo@example.com", d.String())

		// The way to confirm is offered once there is something to confirm.
		requests := llm.Requests()
		require.NotContains(t, agenttest.ToolNames(requests[len(requests)-4]), "confirm_email_address")
		require.Contains(t, agenttest.ToolNames(requests[len(requests)-2]), "confirm_email_address")
	})
}

func TestNothingIsFree(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		s, d, _ := start(t, smallCalendar(),
			agenttest.OnUser("Can I get an appointment tomorrow?").Call("list_available_slots", `{"range":"default"}`),
			agenttest.OnOutput("list_available_slots").Say("I am sorry, there is nothing free this week."))
		r := s.User("Can I get an appointment tomorrow?")
		r.Next().IsCall("list_available_slots")
		r.Next().IsOutput("Nothing is free in the next 7 days.")
		r.Next().IsMessage("assistant").Contains("nothing free")
		r.None()
		require.Equal(t, "failure: nothing was booked, and no slot was offered", d.String())
	})
}

// An address that was typed is not read back.
func TestTypedEmail(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		calendar := smallCalendar(atTen, atTwo, atFour)
		s, _, _ := atEmail(t, calendar,
			agenttest.OnUser("theo@example.com").Call("update_email_address", `{"email":"theo@example.com"}`),
			agenttest.OnOutput("schedule_appointment").Say("Booked."))
		r := s.User("theo@example.com")
		r.Next().IsCall("update_email_address")
		r.Next().IsOutput("")
		r.Next().IsHandoff("email", "frontdesk")
		r.Next().IsOutput().Contains("Booked: Tuesday, March 10 at 2:00 PM.")
		r.Next().IsMessage("assistant")
		r.None()
		require.Len(t, calendar.Appointments(), 1)
	})
}

// hooked is a calendar that does something before it books.
type hooked struct {
	*FakeCalendar
	before func()
}

func (h *hooked) Book(ctx context.Context, s Slot, email string) error {
	h.before()
	return h.FakeCalendar.Book(ctx, s, email)
}

// The caller talks over the booking, and hears all the same what came of it.
func TestBookingCannotBeInterrupted(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		calendar := smallCalendar(atTwo)
		s, d, _ := atEmail(t, calendar,
			agenttest.OnUser("theo@example.com").Call("update_email_address", `{"email":"theo@example.com"}`),
			agenttest.OnOutput("schedule_appointment").Say("Booked."))
		d.calendar = &hooked{calendar, func() { s.Interrupt(t.Context()) }}
		s.User("theo@example.com").NextMessage().HasText("Booked.")
		require.Len(t, calendar.Appointments(), 1)
	})
}

func TestSlotTakenMeanwhile(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		calendar := smallCalendar(atTen, atTwo, atFour)
		s, d, llm := atEmail(t, calendar,
			agenttest.OnUser("theo@example.com").Call("update_email_address", `{"email":"theo@example.com"}`),
			agenttest.OnOutput("schedule_appointment").Say("That one has just gone. Four o'clock?"),
			agenttest.OnUser("Fine.").Call("schedule_appointment", `{"slot_id":"`+atFour.ID()+`"}`),
			agenttest.OnInstructions("Ask the user for their email address").Call("update_email_address", `{"email":"theo@example.com"}`),
			agenttest.OnOutput("schedule_appointment").Say("Booked."))
		require.NoError(t, calendar.Book(t.Context(), atTwo, "eve@example.com"))

		r := s.User("theo@example.com")
		r.NextHandoff().IsHandoff("email", "frontdesk")
		r.Next().IsErrorOutput("Somebody else has just booked Tuesday, March 10 at 2:00 PM. Offer the caller another time.")
		r.Next().IsMessage("assistant").Contains("just gone")
		r.None()
		require.Equal(t, 1, d.missedSlots())
		ok, why := d.outcome()
		require.False(t, ok)
		require.Equal(t, "nothing was booked: the slots were gone", why)

		// The address is in the conversation by now.
		s.User("Fine.").ContainsOutput("Booked: Tuesday, March 10 at 4:00 PM. A confirmation goes to theo@example.com.")
		requests := llm.Requests()
		require.Contains(t, requests[len(requests)-2].Context.Transcript(), "user: theo@example.com")
		require.Equal(t, "success: Tuesday, March 10 at 4:00 PM, for theo@example.com\n"+
			"slots that were gone when they were to be booked: 1", d.String())
	})
}

func TestUnknownSlot(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		s, d, _ := start(t, smallCalendar(atTen),
			agenttest.OnUser("Tomorrow at ten, please.").Call("schedule_appointment", `{"slot_id":"ST_10AM"}`),
			agenttest.OnOutput("schedule_appointment").Call("list_available_slots", `{"range":"default"}`),
			agenttest.OnOutput("list_available_slots").Say("Ten is free. Shall I book it?"))
		r := s.User("Tomorrow at ten, please.")
		r.Next().IsCall("schedule_appointment")
		r.Next().IsErrorOutput("There is no slot ST_10AM. Call list_available_slots and take an id from there.")
		r.Next().IsCall("list_available_slots")
		r.Next().IsOutput()
		r.Next().IsMessage("assistant")
		r.None()
		require.Equal(t, "frontdesk", s.Agent())
		require.Zero(t, d.missedSlots())
		require.Equal(t, "failure: nothing was booked, although slots were offered", d.String())
	})
}

func TestRefusedEmail(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		calendar := smallCalendar(atTen, atTwo, atFour)
		s, d, _ := atEmail(t, calendar,
			agenttest.OnUser("I have none.").Call("decline_email_capture", `{"reason":"has none"}`),
			agenttest.OnOutput("schedule_appointment").Say("Without one I cannot book, I am afraid."))
		r := s.User("I have none.")
		r.Next().IsCall("decline_email_capture")
		r.Next().IsOutput("")
		r.Next().IsHandoff("email", "frontdesk")
		r.Next().IsErrorOutput("could not get the email address: has none")
		r.Next().IsMessage("assistant").Contains("cannot book")
		r.None()
		require.Empty(t, calendar.Appointments())
		ok, _ := d.outcome()
		require.False(t, ok)
	})
}

func TestEndOfCall(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		s, _, _ := start(t, smallCalendar(), agenttest.OnUser("Never mind.").Say("Goodbye!").Call("end_call", `{}`))
		r := s.User("Never mind.")
		r.NextMessage().HasText("Goodbye!")
		require.NoError(t, s.Wait())
	})
}
