package analytics

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ergon-hpc/ergon/shared/efficiency"
)

// Balance is the sum of the ledgers of one resource over jobs, and how many jobs have one. The account adds up exactly
// (shared/efficiency, Account): what rounding leaves is in Idle.
type Balance struct {
	Jobs    int64
	Account efficiency.Account
}

func (b Balance) plus(o Balance) Balance {
	switch {
	case o.Jobs == 0:
		return b
	case b.Jobs == 0:
		return o
	}
	return Balance{b.Jobs + o.Jobs, *b.Account.Plus(&o.Account)}
}

// Ledgers are the balances by resource: core-seconds, byte-seconds, GPU-seconds, joules.
type Ledgers struct{ Core, Byte, GPU, Joule Balance }

func (l Ledgers) plus(o Ledgers) Ledgers {
	return Ledgers{l.Core.plus(o.Core), l.Byte.plus(o.Byte), l.GPU.plus(o.GPU), l.Joule.plus(o.Joule)}
}

// resource is a resource of the ledger as metrics name it.
type resource struct {
	name, unit string
	scale      float64
	of         func(Ledgers) Balance
}

func resources() []resource {
	return []resource{
		{"cpu", "hours", hour, func(l Ledgers) Balance { return l.Core }},
		{"memory", "gib_hours", hour * (1 << 30), func(l Ledgers) Balance { return l.Byte }},
		{"gpu", "hours", hour, func(l Ledgers) Balance { return l.GPU }},
		{"energy", "kwh", efficiency.JoulePerKWh, func(l Ledgers) Balance { return l.Joule }},
	}
}

// part is one line of the ledger.
type part struct {
	name, what string
	of         func(efficiency.Account) float64
}

func parts() []part {
	list := []part{
		{"allocated", "what jobs held", func(a efficiency.Account) float64 { return a.Allocated }},
		{"overuse", "what was used beyond that", func(a efficiency.Account) float64 { return a.Overuse }},
		{"used", "measured use", func(a efficiency.Account) float64 { return a.Used }},
		{"idle", "held, measured and not used", func(a efficiency.Account) float64 { return a.Idle }},
		{"forced", "idle because the site's rules made the job take it", func(a efficiency.Account) float64 { return a.Forced }},
		{"lost", "all of failed attempts", func(a efficiency.Account) float64 { return a.Lost }},
		{"unmeasured", "held, and nobody knows what became of it", func(a efficiency.Account) float64 { return a.Unmeasured }},
	}
	for _, c := range Causes() {
		list = append(list, part{"lost_" + string(c), "of what was lost", func(a efficiency.Account) float64 { return a.LostBy[c] }})
	}
	return list
}

// Causes lists why attempts are lost, in the order of telling.
func Causes() []efficiency.Cause {
	return []efficiency.Cause{
		efficiency.CauseOOM, efficiency.CauseTimeout, efficiency.CauseNodeFail, efficiency.CausePreemption, efficiency.CauseRequeue, efficiency.CauseUser,
	}
}

// ledgerMetrics are named RESOURCE_PART_UNIT: cpu_idle_hours, energy_lost_oom_kwh.
func ledgerMetrics() (out []Metric) {
	for _, r := range resources() {
		for _, p := range parts() {
			out = append(out, Metric{r.name + "_" + p.name + "_" + r.unit, "ledger: " + p.what, func(s Sums) any {
				b := r.of(s.Ledgers)
				if b.Jobs == 0 {
					return nil
				}
				return p.of(b.Account) / r.scale
			}})
		}
	}
	return out
}

// ledgerNames expands the short names: cpu_ledger and its like, and ledger for all four.
func ledgerNames(name string) (out []string) {
	for _, r := range resources() {
		if name != "ledger" && name != r.name+"_ledger" {
			continue
		}
		for _, p := range parts() {
			out = append(out, r.name+"_"+p.name+"_"+r.unit)
		}
	}
	return out
}

// NeedsLedger says whether the metrics need Query.Ledger.
func NeedsLedger(metrics []Metric) bool {
	return slices.ContainsFunc(metrics, func(m Metric) bool { return strings.HasPrefix(m.What, "ledger: ") })
}

// missing says which jobs are in no ledger. GPUs are left out: most jobs have none.
func (l Ledgers) missing(jobs int64) (out []string) {
	for _, r := range resources() {
		b := r.of(l)
		if r.name == "gpu" || b.Jobs == 0 || b.Jobs >= jobs {
			continue
		}
		out = append(out, fmt.Sprintf("%d of %d jobs have no %s ledger: nothing was measured or analysed yet, and they are in none of its parts", jobs-b.Jobs, jobs, r.name))
	}
	return out
}
