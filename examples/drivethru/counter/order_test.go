package counter

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents"
	"github.com/parley-voice/agents/agenttest"
)

func TestTodaysMenu(t *testing.T) {
	for c, n := range map[category]int{drinks: 11, combos: 12, happy: 3, regular: 20, sauces: 9} {
		require.Len(t, todaysMenu.ids(c), n, c)
	}
	seen := map[string]bool{}
	for _, it := range todaysMenu {
		key := it.ID + "/" + string(it.Size)
		require.False(t, seen[key], "%s is on the menu twice", key)
		seen[key] = true
		require.NotEmpty(t, it.Name, it.ID)
		for _, other := range todaysMenu.find(it.ID) {
			require.Equal(t, it.Name, other.Name)
			require.Equal(t, it.Category, other.Category)
			require.Equal(t, it.Size == "", other.Size == "", it.ID)
		}
	}
}

func TestChoose(t *testing.T) {
	all := []size{small, medium, large}
	for _, tt := range []struct {
		id   string
		want size
		only []size
		got  size
		err  string
	}{
		{"cola", large, all, large, ""},
		{"cola", "", all, "", "Cola comes in several sizes: S, M, L. Ask the customer which one."},
		{"cola", "", []size{medium, large}, "", "Cola comes in several sizes: M, L. Ask the customer which one."},
		{"cola", small, []size{medium, large}, "", "Cola does not come in S here, only in M, L. Ask the customer."},
		{"orange_juice", large, all, "", "Orange Juice does not come in L here, only in S, M. Ask the customer."},
		{"orange_juice", "", []size{medium, large}, medium, ""},
		{"milk", large, all, "", ""},
		{"sweet_tea", large, all, "", "Sweet Tea is sold out. Offer something else."},
		{"lobster", "", all, "", "There is no lobster on the menu."},
	} {
		it, err := todaysMenu.choose(tt.id, tt.want, tt.only)
		if tt.err != "" {
			require.EqualError(t, err, tt.err)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, tt.got, it.Size)
	}
}

func TestRemove(t *testing.T) {
	o := newOrder(todaysMenu)
	cola := o.add(line{Type: "regular", ItemID: "cola", Size: small})
	pie := o.add(line{Type: "regular", ItemID: "apple_pie"})
	require.Regexp(t, `^O_[A-Z2-9]{6}$`, pie.OrderID)

	removed, unknown := o.remove([]string{cola.OrderID, "O_NOSUCH"})
	require.Empty(t, removed)
	require.Equal(t, []string{"O_NOSUCH"}, unknown)
	require.Len(t, o.list(), 2, "all or nothing")

	removed, unknown = o.remove([]string{cola.OrderID, cola.OrderID})
	require.Empty(t, unknown)
	require.Equal(t, []line{cola}, removed)
	require.Equal(t, []line{pie}, o.list())
	require.Equal(t, "$1.79 Baked Apple Pie\n$1.79 in total\n", o.String())
	o.remove([]string{pie.OrderID})
	require.Equal(t, "nothing was ordered", o.String())
	require.Equal(t, "[screen] empty", o.cart())
}

func TestSchemasHaveTheMenu(t *testing.T) {
	for _, tool := range mustTools(t) {
		tool := tool.(*agents.FunctionTool)
		require.NotNil(t, tool.StrictSchema(), "%s can be enforced by a provider", tool.Name())
		switch tool.Name() {
		case "order_happy_meal":
			require.Contains(t, string(tool.Schema()), `"enum":["happy_burger","happy_nuggets_4","happy_nuggets_6"]`)
		case "order_combo_meal":
			require.Contains(t, string(tool.Schema()), `"enum":["M","L",null]`)
		}
	}
}

func TestScreenShowsChangesTogether(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		o := newOrder(todaysMenu)
		ctx, cancel := context.WithCancel(t.Context())
		shown, done := make(chan string), make(chan struct{})
		go func() { defer close(done); screen(ctx, o, shown) }()
		begin := time.Now()
		for range 3 {
			o.add(line{Type: "regular", ItemID: "cookie"})
		}
		require.Equal(t, "[screen] Chocolate Chip Cookie, Chocolate Chip Cookie, Chocolate Chip Cookie: $3.57", <-shown)
		require.Equal(t, screenDelay, time.Since(begin))
		select {
		case text := <-shown:
			t.Fatal("shown again: ", text)
		case <-time.After(time.Minute):
		}
		cancel()
		<-done
	})
}

// nudging begins a conversation in which a silent customer is asked, and returns when that was.
func nudging(t *testing.T, nudges int, steps ...agenttest.Step) (*agenttest.Session, func() []time.Duration) {
	begin := time.Now()
	steps = append([]agenttest.Step{
		agenttest.OnInstructions("The customer has been silent").Say("Are you still there?").Times(nudges)}, steps...)
	s, _, llm := start(t, steps...)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); nudge(ctx, s.AgentSession) }()
	t.Cleanup(func() { cancel(); <-done })
	return s, func() []time.Duration {
		agenttest.Settle(t)
		var at []time.Duration
		for it := range s.History().Messages() {
			if it.Text() == "Are you still there?" {
				at = append(at, it.Created().Sub(begin).Round(time.Millisecond))
			}
		}
		require.LessOrEqual(t, len(at), len(llm.Requests()))
		return at
	}
}

func TestSilentCustomerIsAsked(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		_, asked := nudging(t, 3)
		time.Sleep(5 * time.Minute)
		require.Equal(t, []time.Duration{10 * time.Second, 20 * time.Second, 30 * time.Second}, asked(), "and then no more")
	})
}

func TestAnsweringEndsTheNudges(t *testing.T) {
	agenttest.Run(t, func(t *testing.T) {
		s, asked := nudging(t, 3,
			agenttest.OnUser("Yes, wait.").Say("Take your time."))
		time.Sleep(25 * time.Second)
		s.User("Yes, wait.")
		time.Sleep(9 * time.Second)
		require.Equal(t, []time.Duration{10 * time.Second, 20 * time.Second}, asked())
		time.Sleep(2 * time.Second)
		require.Equal(t, []time.Duration{10 * time.Second, 20 * time.Second, 35 * time.Second}, asked(), "a full window again")
	})
}
