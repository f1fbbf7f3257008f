package workflows_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-voice/agents/agenttest"
	"github.com/parley-voice/agents/workflows"
)

func TestPhoneNumberIsStrippedOfPunctuation(t *testing.T) {
	for given, want := range map[string]string{
		"4155550123":        "4155550123",
		"+1 (415) 555-0123": "+14155550123",
		" 415.555.0123 ":    "4155550123",
		"1234567":           "1234567",
		"+123456789012345":  "+123456789012345",
	} {
		t.Run(given, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				got := typed(t, workflows.NewPhone(workflows.PhoneOptions{}), "update_phone_number", fmt.Sprintf(`{"phone_number":%q}`, given))
				require.Equal(t, workflows.Phone{Number: want}, got)
			})
		})
	}
}

func TestPhoneNumberOfTheWrongFormIsToldToTheModel(t *testing.T) {
	for _, given := range []string{"", "123456", "1234567890123456", "0415555012", "+04155550123", "++14155550123",
		"415+5550123", "call me", "415 555 CALL", "415/555/0123", "٤١٥٥٥٥٠١٢٣"} {
		t.Run(given, func(t *testing.T) {
			agenttest.Run(t, func(t *testing.T) {
				refused(t, workflows.NewPhone(workflows.PhoneOptions{}), "update_phone_number", fmt.Sprintf(`{"phone_number":%q}`, given)).IsErrorOutput()
			})
		})
	}
}
