package insight

import (
	"testing"

	"github.com/ergon-hpc/ergon/shared/efficiency"
)

func TestWhatNobodyMeasuredIsUnknownAndNotZero(t *testing.T) {
	for name, c := range map[string]struct {
		account *efficiency.Account
		known   bool
	}{
		"no account":        {nil, false},
		"unmeasured":        {&efficiency.Account{Allocated: 76, Unmeasured: 76}, false},
		"idle and measured": {&efficiency.Account{Allocated: 76, Idle: 76}, true},
		"half measured":     {&efficiency.Account{Allocated: 76, Used: 10, Idle: 28, Unmeasured: 38}, true},
		"nothing allocated": {&efficiency.Account{}, true},
	} {
		t.Run(name, func(t *testing.T) {
			if _, used := balance(c.account); (used != nil) != c.known {
				t.Errorf("used is known: %t, want %t", used != nil, c.known)
			}
		})
	}
}
