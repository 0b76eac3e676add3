package report

import (
	"testing"

	"github.com/ergon-hpc/ergon/shared/efficiency"
)

func TestABalanceNamesEveryPartThatIsNotZero(t *testing.T) {
	t.Parallel()
	core := func(v float64) string { return PerHour(v, "core") }
	a := efficiency.Account{
		Allocated: 36000, Overuse: 3600, Used: 7200, Idle: 10800, Forced: 3600, Lost: 14400, Unmeasured: 3600, Bound: efficiency.Lower,
		LostBy: map[efficiency.Cause]float64{efficiency.CauseOOM: 10800, efficiency.CauseUser: 3600, efficiency.CauseTimeout: 0, "new\x1b": 1},
	}
	want := "2 core-h used + 3 core-h idle + 1 core-h forced by the site's rules + 4 core-h lost (new�, out of memory, failure or cancellation) + " +
		"1 core-h not measured − 1 core-h used beyond the allocation; used: lower bound"
	if got := balance(a, core); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := balance(efficiency.Account{Allocated: 3600, Used: 3600, Bound: efficiency.Exact}, core); got != "1 core-h used" {
		t.Errorf("a job that used all: %s", got)
	}
}
