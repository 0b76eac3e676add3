package advice

import (
	"math"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/ergon-hpc/ergon/shared/efficiency"
	"github.com/ergon-hpc/ergon/shared/workprint"
)

const gib = 1 << 30

// spec is a run in few words.
type spec struct {
	peak, limit       float64 // GiB
	hours, limitHours float64
	cores             float64
	cpus, nodes       int64
	state             string
	reasons           []efficiency.Reason
	bound             efficiency.Bound
	rules             []efficiency.Rule
	name, script      string
	// arguments are known unless empty; bytes are of the inputs.
	arguments string
	bytes     float64
}

func p[T any](v T) *T { return &v }

func (s spec) run() Run {
	fill := func(v *float64, d float64) {
		if *v == 0 {
			*v = d
		}
	}
	fill(&s.peak, 3)
	fill(&s.limit, 32)
	fill(&s.hours, 1)
	fill(&s.limitHours, 24)
	fill(&s.cores, 1)
	if s.cpus == 0 {
		s.cpus = 8
	}
	if s.state == "" {
		s.state = "COMPLETED"
	}
	if s.bound == "" {
		s.bound = efficiency.Upper
	}
	if s.name == "" {
		s.name = "fit_17"
	}
	nodes := max(1, s.nodes)
	elapsed := s.hours * 3600
	r := efficiency.Report{
		Job: efficiency.Job{
			Cluster: "c", User: "alice", Account: "phys", Partition: "cpu", Name: s.name, SlurmState: s.state,
			ElapsedSeconds: p(elapsed), LimitSeconds: p(s.limitHours * 3600), CPUs: p(s.cpus), Nodes: p(nodes), MemoryBytes: p(s.limit * gib),
		},
		Metrics: map[efficiency.MetricName]efficiency.Metric{
			efficiency.MemoryPeak: {Value: p(s.peak * gib), Bound: s.bound, Reasons: s.reasons},
			efficiency.CPUUsed:    {Value: p(s.cores * elapsed), Bound: efficiency.Exact},
		},
	}
	for _, rule := range s.rules {
		r.Findings = append(r.Findings, efficiency.Finding{Rule: rule})
	}
	r.Job.Script = workprint.Script(s.script)
	if s.arguments != "" {
		r.Job.Arguments = workprint.Arguments(s.arguments)
	}
	if s.bytes > 0 {
		r.Job.InputBytes = p(s.bytes)
	}
	return Run{Report: r}
}

func history(specs ...spec) (out []Run) {
	for _, s := range specs {
		out = append(out, s.run())
	}
	return out
}

func threads(r Run) Target {
	t := TargetOf(r)
	t.Tasks, t.CPUsPerTask = 1, t.CPUs
	return t
}

func ask(kind Kind, runs []Run) Item {
	return Advise(threads(runs[0]), runs, Options{}).Item(kind)
}

func TestCleanRunsGiveARecommendation(t *testing.T) {
	runs := history(spec{peak: 3}, spec{peak: 3.1}, spec{peak: 3.2}, spec{peak: 3.1}, spec{peak: 3, hours: 2})
	m := ask(Memory, runs)
	if m.Verdict != Cut || m.Directive != "--mem=4480M" || m.Largest != 3.2*gib || m.Runs != 5 {
		t.Errorf("%+v", m)
	}
	if want := (32*gib - 4480*(1<<20)) * 3600.0; math.Abs(m.Saving.ByteS-want) > 1 {
		t.Errorf("saving %v, want %v", m.Saving.ByteS, want)
	}
	if c := ask(CPUs, runs); c.Verdict != Cut || c.Directive != "--cpus-per-task=2" || c.Saving.CoreS != 6*3600 {
		t.Errorf("%+v", c)
	}
	if w := ask(Time, runs); w.Verdict != Cut || w.Directive != "--time=3:00:00" {
		t.Errorf("%+v", w)
	}
}

func TestTaintedRunsDoNotCount(t *testing.T) {
	clean := []spec{{}, {}, {}}
	for name, c := range map[string]struct {
		bad  spec
		kind Kind
		why  Reason
	}{
		"out of memory below the advice":  {spec{state: "OUT_OF_MEMORY", limit: 1, peak: 1}, Memory, OutOfMemory},
		"out of memory in a step":         {spec{rules: []efficiency.Rule{efficiency.RuleOutOfMemory}, limit: 1}, Memory, OutOfMemory},
		"timeout":                         {spec{state: "TIMEOUT", limitHours: 1}, Time, Timeout},
		"failed":                          {spec{state: "FAILED"}, Memory, NotCompleted},
		"running":                         {spec{state: "RUNNING"}, Time, NotCompleted},
		"a lower bound":                   {spec{bound: efficiency.Lower}, Memory, Unmeasured},
		"a killed step":                   {spec{reasons: efficiency.Reasons{efficiency.KilledStep}}, Memory, Truncated},
		"unmeasured nodes":                {spec{reasons: efficiency.Reasons{efficiency.UnmeasuredNodes}}, Memory, Truncated},
		"page cache":                      {spec{rules: []efficiency.Rule{efficiency.RulePageCache}}, Memory, PageCache},
		"too short":                       {spec{hours: 0.1}, Time, Short},
		"several nodes without a profile": {spec{nodes: 2, peak: 20}, Memory, Unmeasured},
	} {
		t.Run(name, func(t *testing.T) {
			runs := history(append(slices.Clone(clean), c.bad)...)
			item := ask(c.kind, runs)
			if item.Runs != 3 || item.Left[c.why] != 1 || item.Verdict != Cut {
				t.Errorf("%+v", item)
			}
			if got := ask(c.kind, append(history(clean[:2]...), c.bad.run())); got.Reason != TooFew || got.Directive != "" {
				t.Errorf("two clean runs: %+v", got)
			}
		})
	}
}

func TestASampledPeakOfARunBelowTwentyIntervalsDoesNotCount(t *testing.T) {
	runs := history(spec{}, spec{}, spec{})
	got := Advise(threads(runs[0]), runs, Options{SamplingSeconds: 300}).Item(Memory)
	if got.Reason != TooFew || got.Left[SampledShort] != 3 {
		t.Errorf("%+v", got)
	}
}

func TestAStoppedRunThatNeededMoreForbidsTheCut(t *testing.T) {
	if got := ask(Memory, history(spec{}, spec{}, spec{}, spec{state: "OUT_OF_MEMORY", limit: 16})); got.Reason != Beyond {
		t.Errorf("%+v", got)
	}
	if got := ask(Time, history(spec{}, spec{}, spec{}, spec{state: "TIMEOUT", limitHours: 10})); got.Reason != Beyond {
		t.Errorf("%+v", got)
	}
}

func TestSpreadIsRefusedUnlessSomethingExplainsIt(t *testing.T) {
	if got := ask(Memory, history(spec{peak: 1}, spec{peak: 1.1}, spec{peak: 1}, spec{peak: 9})); got.Reason != Spread {
		t.Errorf("%+v", got)
	}
	size := func(n string, peak float64) spec {
		return spec{peak: peak, script: "#!/bin/sh\n./fit --size " + n + "\n"}
	}
	runs := history(size("10", 1), size("10", 1.1), size("10", 1), size("90", 9), size("90", 9), size("90", 9.1))
	got := ask(Memory, runs)
	if got.Verdict != Cut || got.Runs != 3 || got.Largest != 1.1*gib || got.Left[OtherShape] != 3 {
		t.Errorf("the numbers in the script explain it: %+v", got)
	}
	got = ask(Memory, history(spec{peak: 1, cpus: 4}, spec{peak: 1, cpus: 4}, spec{peak: 1, cpus: 4}, spec{peak: 9, cpus: 64}))
	if got.Verdict != Cut || got.Runs != 3 {
		t.Errorf("the CPUs explain it: %+v", got)
	}
}

// Three runs at 97 %: on cgroup v2 that is file cache, and of an unknown gatherer nobody knows.
func TestMoreMemoryIsNeverAskedForBecauseOfWhatMayBeCache(t *testing.T) {
	for name, c := range map[string]struct {
		reasons []efficiency.Reason
		verdict Verdict
	}{
		"resident memory":    {[]efficiency.Reason{efficiency.Sampled}, Raise},
		"cgroup v2":          {[]efficiency.Reason{efficiency.PageCacheIncluded, efficiency.Sampled}, Refused},
		"memory.peak":        {[]efficiency.Reason{efficiency.PageCacheIncluded}, Refused},
		"gatherer not known": {nil, Refused},
	} {
		got := ask(Memory, history(spec{peak: 31, reasons: c.reasons}, spec{peak: 31, reasons: c.reasons}, spec{peak: 31, reasons: c.reasons}))
		if got.Verdict != c.verdict || got.Verdict == Refused && (got.Reason != PageCache || got.Directive != "" || got.Why == "") {
			t.Errorf("%s: %+v", name, got)
		}
	}
	cache := []efficiency.Reason{efficiency.PageCacheIncluded, efficiency.Sampled}
	if got := ask(Memory, history(spec{reasons: cache}, spec{reasons: cache}, spec{reasons: cache})); got.Verdict != Cut {
		t.Errorf("less may be asked for all the same: %+v", got)
	}
}

func TestAdviceStaysWithinNodeAndPartition(t *testing.T) {
	sampled := []efficiency.Reason{efficiency.Sampled}
	full := history(spec{peak: 31, hours: 23, reasons: sampled}, spec{peak: 31, hours: 23, reasons: sampled}, spec{peak: 31, hours: 23, reasons: sampled})
	full[0].Report.Job.NodeList = "n1"
	cluster := func(gibs, hours float64) *efficiency.Cluster {
		return &efficiency.Cluster{
			DefaultType: "a", NodeTypes: map[string]efficiency.NodeType{"a": {MemoryBytes: gibs * gib}},
			Partitions: map[string]efficiency.Partition{"cpu": {LimitSeconds: hours * 3600}},
		}
	}
	advise := func(gibs, hours float64, partition string) Advice {
		return Advise(threads(full[0]), full, OptionsOf(cluster(gibs, hours), full[0].Report.Job, partition))
	}
	a := advise(36, 26, "")
	if m, l := a.Item(Memory), a.Item(Time); m.Directive != "--mem=36G" || l.Directive != "--time=1-02:00:00" {
		t.Errorf("%+v, %+v", m, l)
	}
	a = advise(32, 24, "cpu")
	if m, l := a.Item(Memory), a.Item(Time); m.Verdict != Keep || l.Verdict != Keep || m.Directive+l.Directive != "" {
		t.Errorf("there is no more: %+v, %+v", m, l)
	}
	if m := advise(36, 26, "other").Item(Memory); m.Verdict != Raise || m.Recommended <= 36*gib {
		t.Errorf("the nodes of another partition are not known: %+v", m)
	}
	if OptionsOf(nil, efficiency.Job{}, "") != (Options{}) {
		t.Error("nothing is known of no cluster")
	}
}

func TestOtherVerdicts(t *testing.T) {
	sampled := []efficiency.Reason{efficiency.Sampled}
	if got := ask(Memory, history(spec{peak: 31, reasons: sampled}, spec{peak: 31.5, reasons: sampled}, spec{peak: 31, reasons: sampled})); got.Verdict != Raise || got.Recommended <= 32*gib {
		t.Errorf("%+v", got)
	}
	if got := ask(Memory, history(spec{peak: 20}, spec{peak: 21}, spec{peak: 20})); got.Verdict != Keep || got.Directive != "" || got.Why == "" {
		t.Errorf("%+v", got)
	}
	runs := history(spec{}, spec{}, spec{})
	unknown := TargetOf(runs[0])
	if got := Advise(unknown, runs, Options{}).Item(CPUs); got.Reason != ShapeUnknown {
		t.Errorf("%+v", got)
	}
	tasks := unknown
	tasks.Tasks, tasks.CPUsPerTask = 8, 1
	if got := Advise(tasks, runs, Options{}).Item(CPUs); got.Directive != "--ntasks=2" {
		t.Errorf("%+v", got)
	}
	if got := Advise(Target{Fingerprint: unknown.Fingerprint}, runs, Options{}); got.Item(Memory).Reason != NotAsked || got.Item(Time).Reason != NotAsked {
		t.Errorf("%+v", got)
	}
}

func TestOtherWorkIsNoHistory(t *testing.T) {
	runs := history(spec{}, spec{}, spec{}, spec{name: "other"}, spec{name: "fit_99"})
	if a := Advise(threads(runs[0]), runs, Options{}); a.Runs != 4 {
		t.Errorf("%d runs of the same work", a.Runs)
	}
	with := func(script string) spec { return spec{script: script} }
	runs = history(with("a 1\n"), with("a 2\n"), with("b 1\n"), spec{})
	if a := Advise(threads(runs[0]), runs, Options{}); a.Runs != 3 {
		t.Errorf("%d runs with the same script or none known", a.Runs)
	}
}

// drawn is a history of clean and other runs.
func drawn(t *rapid.T) []spec {
	one := rapid.Custom(func(t *rapid.T) spec {
		return spec{
			peak: rapid.Float64Range(0.1, 40).Draw(t, "peak"), limit: rapid.Float64Range(1, 64).Draw(t, "limit"),
			hours: rapid.Float64Range(0.05, 40).Draw(t, "hours"), limitHours: rapid.Float64Range(0.1, 48).Draw(t, "limit hours"),
			cores: rapid.Float64Range(0.01, 20).Draw(t, "cores"), cpus: rapid.Int64Range(1, 32).Draw(t, "cpus"),
			state:     rapid.SampledFrom([]string{"COMPLETED", "COMPLETED", "COMPLETED", "FAILED", "TIMEOUT", "OUT_OF_MEMORY"}).Draw(t, "state"),
			arguments: rapid.SampledFrom([]string{"", "--size 10", "--size 20", "--size 30"}).Draw(t, "arguments"),
		}
	})
	return rapid.SliceOfN(one, 1, 12).Draw(t, "history")
}

func TestNeverBelowTheLargestThatCounts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		runs := history(drawn(t)...)
		for _, item := range Advise(threads(runs[0]), runs, Options{}).Items {
			if item.Verdict == Refused {
				if item.Directive != "" || item.Reason == "" || item.Why == "" {
					t.Fatalf("a refusal says why and advises nothing: %+v", item)
				}
				continue
			}
			if item.Recommended < item.Largest {
				t.Fatalf("%+v", item)
			}
			left := 0
			for _, n := range item.Left {
				left += n
			}
			if item.Runs+left != len(runs) || item.Runs < 3 || item.Risk <= 0 || item.Margin < 1 {
				t.Fatalf("%d runs: %+v", len(runs), item)
			}
			if (item.Directive != "") != (item.Verdict == Cut || item.Verdict == Raise) {
				t.Fatalf("%+v", item)
			}
		}
	})
}

func TestTheOrderOfHistoryDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		specs := drawn(t)
		target := threads(specs[0].run())
		a := Advise(target, history(specs...), Options{})
		b := Advise(target, history(rapid.Permutation(specs).Draw(t, "order")...), Options{})
		if !reflect.DeepEqual(a, b) {
			t.Fatalf("%+v\n%+v", a, b)
		}
	})
}

func TestALargerPeakNeverLowersTheAdvice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		specs := drawn(t)
		target := threads(specs[0].run())
		before := Advise(target, history(specs...), Options{MaxSpread: 1e9}).Item(Memory)
		i := rapid.IntRange(0, len(specs)-1).Draw(t, "which")
		specs[i].peak *= rapid.Float64Range(1, 3).Draw(t, "factor")
		after := Advise(target, history(specs...), Options{MaxSpread: 1e9}).Item(Memory)
		if before.Verdict != Refused && after.Verdict != Refused && after.Recommended < before.Recommended {
			t.Fatalf("%+v\n%+v", before, after)
		}
	})
}

func TestSlimReportsGiveTheSameAdvice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		runs := history(drawn(t)...)
		slim := make([]Run, len(runs))
		for i, r := range runs {
			slim[i] = Run{Report: Slim(r.Report)}
		}
		target := threads(runs[0])
		if a, b := Advise(target, runs, Options{}), Advise(target, slim, Options{}); !reflect.DeepEqual(a, b) {
			t.Fatalf("%+v\n%+v", a, b)
		}
	})
}

func TestMemoryOfSeveralNodesIsBoundedByTheirSum(t *testing.T) {
	// AllocTRES is of the whole job: four nodes with 8 GiB each.
	one := spec{nodes: 4, limit: 32, peak: 3}
	runs := history(one, one, one)
	item := Advise(threads(runs[0]), runs, Options{}).Item(Memory)
	if item.Verdict != Cut || item.Current != 8*gib || item.Largest != 3*gib {
		t.Errorf("all nodes together took less than one has: %+v", item)
	}
	one.peak = 9
	runs = history(one, one, one)
	if item := Advise(threads(runs[0]), runs, Options{}).Item(Memory); item.Verdict != Refused || item.Left[Unmeasured] != 3 {
		t.Errorf("one node may have held it all: %+v", item)
	}
}

func TestATargetMatchesItsOwnWork(t *testing.T) {
	runs := history(spec{name: "fit_17"}, spec{name: "fit_99"}, spec{name: "other"})
	target := TargetOf(runs[0])
	for i, want := range []bool{true, true, false} {
		if got := target.Matches(runs[i].Report.Job); got != want {
			t.Errorf("%s: %v", runs[i].Report.Job.Name, got)
		}
	}
}
