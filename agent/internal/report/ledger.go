package report

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ergon-hpc/ergon/agent/internal/term"
	"github.com/ergon-hpc/ergon/shared/efficiency"
)

// ledger says where what was allocated went, a line for each resource that is known: the parts add up to the first number
// and what was used beyond it.
func (p *printer) ledger(l efficiency.Ledger) {
	var lines []string
	for _, row := range []struct {
		title  string
		a      *efficiency.Account
		amount func(float64) string
	}{
		{"CPU", l.CoreS, func(v float64) string { return PerHour(v, "core") }},
		{"Memory", l.ByteS, ByteHours},
		{"GPU", l.GPUS, func(v float64) string { return PerHour(v, "GPU") }},
	} {
		if row.a != nil && row.a.Allocated > 0 {
			lines = append(lines, fmt.Sprintf("  %-8s %s = %s", row.title, row.amount(row.a.Allocated), balance(*row.a, row.amount)))
		}
	}
	if len(lines) > 0 {
		p.heading("Where it went")
		p.printf("%s\n", strings.Join(lines, "\n"))
	}
}

// balance lists the parts of an account that are not zero.
func balance(a efficiency.Account, amount func(float64) string) string {
	var parts []string
	for _, part := range []struct {
		v    float64
		what string
	}{{a.Used, "used"}, {a.Idle, "idle"}, {a.Forced, "forced by the site's rules"}, {a.Lost, "lost" + causes(a.LostBy)}, {a.Unmeasured, "not measured"}} {
		if part.v > 0 {
			parts = append(parts, amount(part.v)+" "+part.what)
		}
	}
	text := strings.Join(parts, " + ")
	if a.Overuse > 0 {
		text += " − " + amount(a.Overuse) + " used beyond the allocation"
	}
	if a.Used > 0 && a.Bound != efficiency.Exact {
		text += "; used: " + boundName(a.Bound)
	}
	return text
}

var causeNames = map[efficiency.Cause]string{
	efficiency.CauseOOM: "out of memory", efficiency.CauseTimeout: "time limit", efficiency.CauseNodeFail: "node failure",
	efficiency.CausePreemption: "preemption", efficiency.CauseRequeue: "requeue", efficiency.CauseUser: "failure or cancellation",
}

// causes names why the lost part was lost, the parts of no size left out.
func causes(by map[efficiency.Cause]float64) string {
	var names []string
	for _, c := range slices.Sorted(maps.Keys(by)) {
		if by[c] > 0 {
			names = append(names, firstOf(causeNames[c], term.Clean(string(c))))
		}
	}
	if len(names) == 0 {
		return ""
	}
	return " (" + strings.Join(names, ", ") + ")"
}
