package analytics_test

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ergon-hpc/ergon/controlplane/internal/analytics"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore/storetest"
	"github.com/ergon-hpc/ergon/controlplane/internal/insight"
	"github.com/ergon-hpc/ergon/controlplane/internal/jobs"
	"github.com/ergon-hpc/ergon/controlplane/internal/jobs/dump"
	"github.com/ergon-hpc/ergon/shared/efficiency"
)

const measuredHead = "JobID|JobIDRaw|User|Account|Partition|Submit|Start|End|ElapsedRaw|State|ExitCode|AllocCPUS|ReqCPUS|NNodes|NodeList|AllocTRES|TotalCPU|TRESUsageInTot|ConsumedEnergyRaw\n"

// measuredRows are a dump of jobs of all ends, of which some were measured and some took more than they had.
func measuredRows(t *rapid.T) string {
	var b strings.Builder
	b.WriteString(measuredHead)
	states := []string{"COMPLETED", "FAILED", "TIMEOUT", "OUT_OF_MEMORY", "NODE_FAIL", "PREEMPTED", "CANCELLED by 7"}
	for i := range rapid.IntRange(1, 15).Draw(t, "jobs") {
		i++
		start, elapsed := rapid.Int64Range(1_700_000_000, 1_710_000_000).Draw(t, "start"), rapid.Int64Range(1, 400_000).Draw(t, "elapsed")
		cpus := rapid.Int64Range(1, 300).Draw(t, "cpus")
		asked := rapid.Int64Range(1, cpus).Draw(t, "asked")
		used := float64(cpus*elapsed) * rapid.Float64Range(0, 1.2).Draw(t, "share")
		user, account := rapid.SampledFrom([]string{"alice", "bob"}).Draw(t, "user"), rapid.SampledFrom([]string{"phys", "chem", ""}).Draw(t, "account")
		energy := rapid.SampledFrom([]string{"", "0", "12345678"}).Draw(t, "energy")
		state := rapid.SampledFrom(states).Draw(t, "state")
		fmt.Fprintf(&b, "%d|%d|%s|%s|main|%d|%d|%d|%d|%s|0:0|%d|%d|1|n1|cpu=%d,mem=8G,node=1|||%s\n", i, i, user, account, start, start, start+elapsed, elapsed, state, cpus, asked, cpus, energy)
		if rapid.Bool().Draw(t, "measured") {
			fmt.Fprintf(&b, "%d.0|%d.0||%s||%d|%d|%d|%d|COMPLETED|0:0|%d||1|n1|cpu=%d,mem=8G,node=1|%d:00:00|mem=3G|\n", i, i, account, start, start, start+elapsed, elapsed, cpus, cpus, int64(used/3600))
		}
	}
	return b.String()
}

func analysed(t fataler, s *gormstore.Store, text string) *gormstore.Jobs {
	g := gormstore.NewJobs(s)
	im := dump.New(jobs.New(g, g, time.Now, nil), g, dump.Options{Cluster: "c", Reject: func(r dump.Rejected) error { return fmt.Errorf("rejected %+v", r) }})
	if err := im.File(context.Background(), "f", strings.NewReader(text)); err != nil {
		t.Fatalf("%v", err)
	}
	store := gormstore.NewInsight(s)
	if _, err := store.MarkAllDue(context.Background(), "", time.Now()); err != nil {
		t.Fatalf("%v", err)
	}
	reports := insight.New(store, nil, time.Now, slog.New(slog.DiscardHandler), insight.Config{})
	if w, err := reports.AnalyseDue(context.Background(), func(int) {}); err != nil || w.Failed > 0 {
		t.Fatalf("%+v, %v", w, err)
	}
	return g
}

type fataler interface{ Fatalf(string, ...any) }

func balances(l analytics.Ledgers) map[string]analytics.Balance {
	return map[string]analytics.Balance{"core": l.Core, "byte": l.Byte, "gpu": l.GPU, "joule": l.Joule}
}

func conserved(t fataler, where string, l analytics.Ledgers) {
	for name, b := range balances(l) {
		a := b.Account
		if a.Allocated+a.Overuse != a.Used+a.Idle+a.Forced+a.Lost+a.Unmeasured {
			t.Fatalf("%s, %s does not add up: %+v", where, name, a)
		}
		lost := 0.0
		for _, v := range a.LostBy {
			lost += v
		}
		if lost != a.Lost || min(a.Allocated, a.Overuse, a.Used, a.Idle, a.Forced, a.Lost, a.Unmeasured) < 0 {
			t.Fatalf("%s, %s: %v lost by cause of %v, %+v", where, name, lost, a.Lost, a)
		}
	}
}

func TestTheLedgerOfAnyGroupOfJobsAddsUpExactly(t *testing.T) {
	open := opener(t)
	rapid.Check(t, func(rt *rapid.T) {
		s := open(rt)
		defer func() { _ = s.Close() }()
		g := analysed(rt, s, measuredRows(rt))
		all, err := analytics.Usage(context.Background(), g, analytics.Query{By: "none", Ledger: true})
		if err != nil {
			rt.Fatal(err)
		}
		for _, by := range []analytics.Dimension{"none", "cluster", "user", "account", "partition", "month", "state"} {
			groups, err := analytics.Usage(context.Background(), g, analytics.Query{By: by, Ledger: true})
			if err != nil {
				rt.Fatal(err)
			}
			sums := map[string]analytics.Balance{}
			for _, group := range groups {
				conserved(rt, fmt.Sprintf("by %s, %v", by, group.Key), group.Sums.Ledgers)
				for name, b := range balances(group.Sums.Ledgers) {
					sum := sums[name]
					sums[name] = analytics.Balance{Jobs: sum.Jobs + b.Jobs, Account: *sum.Account.Plus(&b.Account)}
				}
			}
			for name, b := range balances(all[0].Sums.Ledgers) {
				if got := sums[name]; got.Jobs != b.Jobs || math.Abs(got.Account.Allocated-b.Account.Allocated) > 1e-9*b.Account.Allocated {
					rt.Fatalf("by %s the groups' %s are %+v, all jobs' %+v", by, name, got, b)
				}
			}
		}
	})
}

func TestTheLedgerSaysTheSameOnBothDatabasesAndAfterAnotherAnalysis(t *testing.T) {
	const text = measuredHead +
		"1|1|alice|a|main|1704067200|1704067200|1704070800|3600|COMPLETED|0:0|4|2|1|n1|cpu=4,mem=8G,node=1|||3600000\n" +
		"1.0|1.0||a||1704067200|1704067200|1704070800|3600|COMPLETED|0:0|4||1|n1|cpu=4,mem=8G,node=1|01:30:00|mem=2G|\n" +
		"2|2|bob|b|main|1704067200|1704067200|1704070800|3600|OUT_OF_MEMORY|0:125|2|2|1|n1|cpu=2,mem=8G,node=1|||\n" +
		"2.0|2.0||b||1704067200|1704067200|1704070800|3600|OUT_OF_MEMORY|0:125|2||1|n1|cpu=2,mem=8G,node=1|00:30:00|mem=8G|\n"
	storetest.Each(t, func(t *testing.T, s *gormstore.Store) {
		g := analysed(t, s, text)
		for range 2 {
			metrics, err := analytics.ParseMetrics("cpu_ledger,energy_kwh")
			if err != nil {
				t.Fatal(err)
			}
			groups, err := analytics.Usage(context.Background(), g, analytics.Query{By: "user", Energy: true, Ledger: analytics.NeedsLedger(metrics)})
			if err != nil || len(groups) != 2 {
				t.Fatalf("%+v, %v", groups, err)
			}
			alice, bob := groups[0].Sums.Ledgers.Core.Account, groups[1].Sums.Ledgers.Core.Account
			if alice.Allocated != 14400 || alice.Used != 5400 || alice.Forced != 7200 || alice.Idle != 1800 || bob.Lost != 7200 || bob.LostBy[efficiency.CauseOOM] != 7200 {
				t.Errorf("alice %+v, bob %+v", alice, bob)
			}
			got := map[string]any{}
			for _, m := range metrics {
				got[m.Name] = m.Value(groups[1].Sums)
			}
			if len(got) != 14 || got["cpu_lost_oom_hours"] != 2.0 || got["cpu_used_hours"] != 0.0 || groups[0].Sums.Energy.Joules != 3.6e6 {
				t.Errorf("bob %v, energy of alice %+v", got, groups[0].Sums.Energy)
			}
			analysed(t, s, text) // nothing changed: nothing is computed, and no number is lost
		}
	})
}
