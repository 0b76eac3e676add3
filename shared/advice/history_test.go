package advice

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/ergon-hpc/ergon/shared/efficiency"
	"github.com/ergon-hpc/ergon/shared/slurmfmt"
)

// row makes an accounting row of "Column=value" pairs.
func row(pairs ...string) *slurmfmt.Record {
	var names, values []string
	for _, pair := range pairs {
		name, v, _ := strings.Cut(pair, "=")
		names, values = append(names, name), append(values, v)
	}
	return slurmfmt.NewRecord(slurmfmt.NewColumns(names...), values, nil)
}

// accounted is a run as it comes from the accounting: an hour of 8 CPUs and 32 G, of which two CPUs and peak MiB were used.
func accounted(id, peak int, job ...string) Run {
	name := fmt.Sprintf("JobID=%d", id)
	rows := []*slurmfmt.Record{
		row(append([]string{
			name, "Cluster=c", "JobName=fit_17", "User=alice", "Account=phys", "Partition=cpu", "State=COMPLETED", "ExitCode=0:0", "AllocCPUS=8", "NNodes=1",
			"NodeList=n1", "ElapsedRaw=3600", "Timelimit=1-00:00:00", "AllocTRES=cpu=8,mem=32G,node=1",
		}, job...)...),
		row(name+".batch", "State=COMPLETED", "ExitCode=0:0", "NTasks=1", "NNodes=1", "ElapsedRaw=3600", fmt.Sprintf("TRESUsageInTot=cpu=02:00:00,mem=%dM", peak)),
	}
	return Run{Report: efficiency.Analyse(efficiency.Input{Rows: rows})}
}

func TestAdviceRestsOnWhatTheAccountingSays(t *testing.T) {
	runs := []Run{accounted(1, 3000), accounted(2, 3100), accounted(3, 2900), accounted(4, 3050)}
	a := Advise(threads(runs[0]), runs, Options{})
	// The largest is 3100 MiB, the margin for four runs 1.15 + 1.05/4 = 1.4125: 4379 MiB, in steps of 64.
	if m := a.Item(Memory); m.Directive != "--mem=4416M" || m.Verdict != Cut || m.Runs != 4 {
		t.Errorf("%+v", m)
	}
	if c := a.Item(CPUs); c.Directive != "--cpus-per-task=3" || c.Saving.CoreS != 5*3600 {
		t.Errorf("%+v", c)
	}
	if w := a.Item(Time); w.Directive != "--time=1:35:00" {
		t.Errorf("%+v", w)
	}
	if a.Runs != 4 || a.Fingerprint.Name != "fit_#" {
		t.Errorf("%d runs of %+v", a.Runs, a.Fingerprint)
	}
	if none := (Advice{}).Item(Memory); none.Kind != "" {
		t.Errorf("%+v", none)
	}
}

func TestARequeuedRunTeachesNothing(t *testing.T) {
	again := accounted(4, 3000)
	again.Report.Attempts = []efficiency.Report{{}, {}}
	runs := []Run{accounted(1, 3000), accounted(2, 3000), accounted(3, 3000), again}
	a := Advise(threads(runs[0]), runs, Options{})
	for _, kind := range []Kind{Memory, CPUs, Time} {
		if item := a.Item(kind); item.Runs != 3 || item.Left[NotCompleted] != 1 {
			t.Errorf("%s: %+v", kind, item)
		}
	}
	slim := Slim(again.Report)
	if len(slim.Attempts) != 2 {
		t.Error("the attempts got lost with what is not needed")
	}
}

func TestAccountingWithHolesIsNotLearnedFrom(t *testing.T) {
	unmeasured := accounted(4, 3000, "NodeList=n[1-2]")
	unmeasured.Report = efficiency.Analyse(efficiency.Input{Rows: []*slurmfmt.Record{
		row("JobID=4", "Cluster=c", "JobName=fit_17", "User=alice", "Account=phys", "Partition=cpu", "State=COMPLETED", "AllocCPUS=8", "NNodes=2", "NodeList=n[1-2]", "ElapsedRaw=3600", "AllocTRES=cpu=8,mem=32G,node=2"),
		row("JobID=4.batch", "State=COMPLETED", "NTasks=1", "NNodes=1", "NodeList=n1", "TRESUsageInTot=cpu=00:10:00,mem=10M"),
	}})
	runs := []Run{accounted(1, 3000), accounted(2, 3000), accounted(3, 3000), unmeasured}
	for _, kind := range []Kind{Memory, CPUs} {
		if item := Advise(threads(runs[0]), runs, Options{}).Item(kind); item.Runs != 3 || item.Left[Truncated] != 1 || item.Largest < 2 {
			t.Errorf("%s: %+v", kind, item)
		}
	}
}

func TestJobsWithGPUsGetNoAdviceAboutCPUs(t *testing.T) {
	gpu := func(id int) Run { return accounted(id, 3000) }
	runs := []Run{gpu(1), gpu(2), gpu(3)}
	for i := range runs {
		runs[i].Report.Job.GPUs = p(int64(2))
	}
	a := Advise(threads(runs[0]), runs, Options{})
	if c := a.Item(CPUs); c.Verdict != Refused || c.Reason != OtherShape || c.Directive != "" {
		t.Errorf("%+v", c)
	}
	if m := a.Item(Memory); m.Verdict != Cut {
		t.Errorf("memory is another question: %+v", m)
	}
}

func TestTheFullestNodeDecidesWhereAProfileKnowsIt(t *testing.T) {
	profiled := func(most float64) Run {
		r := spec{nodes: 2, limit: 64, peak: most + 1}.run()
		r.Report.Nodes = []efficiency.NodeUse{{Node: "n1", MemoryPeakBytes: p(1.0 * gib)}, {Node: "n2", MemoryPeakBytes: p(most * gib)}}
		m := r.Report.Metrics[efficiency.MemoryPeak]
		m.Source = efficiency.SourceProfile
		r.Report.Metrics[efficiency.MemoryPeak] = m
		return r
	}
	runs := []Run{profiled(20), profiled(19), profiled(20)}
	item := Advise(threads(runs[0]), runs, Options{}).Item(Memory)
	if item.Largest != 20*gib || item.Current != 32*gib || item.Verdict != Keep {
		t.Errorf("%+v: 21 GiB in all, 20 of them on one node of 32", item)
	}
	runs[1].Report.Nodes = runs[1].Report.Nodes[:1] // a node without a profile
	if item := Advise(threads(runs[0]), runs, Options{}).Item(Memory); item.Runs != 3 || item.Largest != 20*gib {
		t.Errorf("%+v: 20 GiB on both nodes together bound each of them", item)
	}
}

func TestAProfileThatLostAgainstTheAccountingTellsNoNodesApart(t *testing.T) {
	var runs []Run
	for range 3 {
		r := spec{nodes: 2, limit: 64, peak: 20}.run()
		r.Report.Nodes = []efficiency.NodeUse{{Node: "n1", MemoryPeakBytes: p(1.0 * gib)}, {Node: "n2", MemoryPeakBytes: p(0.5 * gib)}}
		runs = append(runs, r)
	}
	if item := Advise(threads(runs[0]), runs, Options{}).Item(Memory); item.Largest != 20*gib {
		t.Errorf("%+v: a gigabyte is what some of the tasks on n1 used", item)
	}
}

func TestEveryAnswerIsASentenceThatSaysWhy(t *testing.T) {
	histories := map[string][]Run{
		"clean": history(spec{}, spec{}, spec{}), "few": history(spec{}), "spread": history(spec{peak: 1}, spec{peak: 1}, spec{peak: 9}),
		"beyond": history(spec{}, spec{}, spec{}, spec{state: "OUT_OF_MEMORY", limit: 20}), "near": history(spec{peak: 31.9, cores: 8}, spec{peak: 31.8, cores: 8}, spec{peak: 31.9, cores: 8}),
		"idle": history(spec{cores: 1e-9}, spec{cores: 1e-9}, spec{cores: 1e-9}), "small": history(spec{peak: 0.01, limit: 0.5}, spec{peak: 0.01, limit: 0.5}, spec{peak: 0.01, limit: 0.5}),
	}
	seen := map[Reason]bool{}
	for name, runs := range histories {
		for _, target := range []Target{threads(runs[0]), TargetOf(runs[0]), {Fingerprint: TargetOf(runs[0]).Fingerprint}} {
			for _, item := range Advise(target, runs, Options{}).Items {
				seen[item.Reason] = true
				if len(item.Why) < 20 || !strings.HasSuffix(item.Why, ".") || strings.Contains(item.Why, "NaN") || strings.Contains(item.Why, "Inf") {
					t.Errorf("%s, %s: %q", name, item.Kind, item.Why)
				}
				if advises := item.Verdict == Cut || item.Verdict == Raise; advises && (!strings.HasPrefix(item.Directive, "--") || !strings.HasSuffix(item.RiskText, ".")) {
					t.Errorf("%s, %s: %q with the risk %q", name, item.Kind, item.Directive, item.RiskText)
				}
			}
		}
	}
	for _, reason := range []Reason{"", TooFew, Spread, NotAsked, ShapeUnknown, Beyond} {
		if !seen[reason] {
			t.Errorf("no history ends with %q", reason)
		}
	}
	for _, reason := range RunReasons() {
		if slices.Contains([]Reason{TooFew, Spread, NotAsked, ShapeUnknown, Beyond}, reason) {
			t.Errorf("%s is a reason to refuse, not to leave a run out", reason)
		}
	}
}

// TestTheRiskIsTheShareOfRunsThatAreLargerThanAllBefore draws histories whose runs are exchangeable, of three very
// different distributions: the stated chance does not depend on which one it is.
func TestTheRiskIsTheShareOfRunsThatAreLargerThanAllBefore(t *testing.T) {
	for name, draw := range map[string]func(*rand.Rand) float64{
		"even":      func(r *rand.Rand) float64 { return 2 + r.Float64() },
		"long tail": func(r *rand.Rand) float64 { return 2 + min(1.9, r.ExpFloat64()/3) + 1e-6*r.Float64() },
		"two kinds": func(r *rand.Rand) float64 { return 2 + float64(r.IntN(2)) + 0.1*r.Float64() },
	} {
		for _, n := range []int{3, 9} {
			t.Run(fmt.Sprintf("%s, %d runs", name, n), func(t *testing.T) {
				r := rand.New(rand.NewPCG(uint64(n), 7))
				const trials = 4000
				larger, within := 0, 0
				for range trials {
					specs := make([]spec, n)
					for i := range specs {
						specs[i] = spec{peak: draw(r)}
					}
					item := ask(Memory, history(specs...))
					next := draw(r) * gib
					if next > item.Largest {
						larger++
					}
					if item.Directive != "" && next <= item.Recommended {
						within++
					}
					if math.Abs(item.Risk-1/float64(n+1)) > 1e-12 {
						t.Fatalf("risk %v for %d runs", item.Risk, n)
					}
				}
				// Three standard deviations of a share of 4000.
				share, want := float64(larger)/trials, 1/float64(n+1)
				if slack := 3 * math.Sqrt(want*(1-want)/trials); math.Abs(share-want) > slack {
					t.Errorf("%.3f of the next runs were larger than all before, the advice says %.3f", share, want)
				}
				if safe := float64(within) / trials; safe < 1-want {
					t.Errorf("only %.3f of the next runs fit into what was advised", safe)
				}
			})
		}
	}
}
