package workflows_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents/agenttest"
	"github.com/parley-voice/agents/workflows"
)

func TestAddressIsJoinedWithoutABlankUnit(t *testing.T) {
	for _, tt := range []struct{ name, args, want string }{
		{"with unit", `{"street_address":"450 Main St","unit_number":"Apt 4B","locality":"Springfield, IL 62701","country":"United States"}`,
			"450 Main St Apt 4B Springfield, IL 62701 United States"},
		{"blank unit", `{"street_address":" 10 Downing Street ","unit_number":"  ","locality":"London SW1A 2AA","country":"United Kingdom"}`,
			"10 Downing Street London SW1A 2AA United Kingdom"},
		{"no unit", `{"street_address":"Hauptstraße 1","locality":"10827 Berlin","country":"Germany"}`,
			"Hauptstraße 1 10827 Berlin Germany"},
		{"nothing else is checked", `{"street_address":"?","unit_number":null,"locality":"","country":"x"}`, "? x"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				got := typed(t, workflows.NewAddress(workflows.AddressOptions{}), "update_address", tt.args)
				require.Equal(t, tt.want, got.String())
			})
		})
	}
}
