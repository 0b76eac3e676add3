package efficiency

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// anyField draws a value that a column may hold, often sensible, sometimes not.
func anyField(t *rapid.T, label string, sensible ...string) string {
	odd := []string{"", "Unknown", "None", "N/A", "-1", "18446744073709551614", "9223372036854775807", "1e300", "NaN", "16?", "a|b", "5-00:00:00", "0"}
	if rapid.IntRange(0, 9).Draw(t, label+"?") == 0 {
		return rapid.SampledFrom(odd).Draw(t, label)
	}
	return rapid.SampledFrom(sensible).Draw(t, label)
}

func anyJobRow(t *rapid.T) *record {
	f := func(name string, sensible ...string) string { return name + "=" + anyField(t, name, sensible...) }
	return row("JobID=7",
		f("State", "COMPLETED", "FAILED", "TIMEOUT", "OUT_OF_MEMORY", "RUNNING", "NODE_FAIL", "REQUEUED", "CANCELLED by 1000", "PENDING", "FUTURE"),
		f("ElapsedRaw", "0", "1", "53", "3600", "864000"), f("AllocCPUS", "1", "8", "128"), f("ReqCPUS", "1", "8"), f("NNodes", "1", "2", "20"),
		f("NodeList", "n1", "n[1-2]", "n[1-20]", "None assigned"), f("ReqMem", "4G", "0", "2147486648Mn", "100Mc"),
		f("AllocTRES", "cpu=8,mem=4G,node=1", "cpu=8,mem=4G,node=2,gres/gpu=2,gres/gpu:a100=2", ""), f("TotalCPU", "00:00:00", "10:00:00", "00:01.500"),
		f("Timelimit", "01:00:00", "UNLIMITED", "Partition_Limit"), f("ConsumedEnergyRaw", "0", "1000"), f("Start", "1000", "5000"), f("End", "5000", "9000"), f("Submit", "900", "5000"),
		f("Suspended", "00:00:00", "01:00:00"), f("DerivedExitCode", "0:0", "0:125"), f("ExitCode", "0:0", "1:0", "0:9"))
}

func anyStepRow(t *rapid.T, name string) *record {
	f := func(column string, sensible ...string) string {
		return column + "=" + anyField(t, name+column, sensible...)
	}
	return row("JobID=7."+name,
		f("State", "COMPLETED", "FAILED", "CANCELLED", "OUT_OF_MEMORY", "RUNNING"), f("NTasks", "1", "4", "40"), f("NNodes", "1", "2"), f("NodeList", "n1", "n2", "n[1-2]"),
		f("ElapsedRaw", "0", "53", "3600"), f("AllocCPUS", "1", "8"), f("TotalCPU", "00:00:00", "01:00.500", "10:00:00"), f("MaxRSS", "0", "100M", "3G"),
		f("TRESUsageInTot", "", "cpu=00:30:00,mem=1G", "cpu=00:00:00,mem=100M,gres/gpuutil=150,gres/gpumem=1G"),
		f("Start", "1000", "2000", "5000"), f("End", "2000", "5000", "9000"), f("ConsumedEnergyRaw", "0", "500"), f("ExitCode", "0:0", "0:9", "0:125"))
}

// anyRows is one job with some steps, each step name at most once.
func anyRows(t *rapid.T) []*record {
	rows := []*record{anyJobRow(t)}
	if rapid.IntRange(0, 4).Draw(t, "requeued") == 0 {
		rows = append(rows, anyJobRow(t))
	}
	for _, name := range []string{"batch", "extern", "0", "1", "2"} {
		if rapid.Bool().Draw(t, name) {
			rows = append(rows, anyStepRow(t, name))
		}
	}
	return rows
}

func anyInput(t *rapid.T) Input {
	in := Input{Rows: anyRows(t)}
	if rapid.Bool().Draw(t, "cluster") {
		in.Cluster = sharedCluster()
		in.Cluster.JobAcctGather = rapid.SampledFrom([]string{"", linux, "jobacct_gather/cgroup"}).Draw(t, "gather")
		in.Cluster.CgroupVersion = rapid.IntRange(0, 2).Draw(t, "cgroup")
		in.Price = &Tariff{Unit: "EUR", Constant: ptr(-5.0)}
		in.Carbon = &Tariff{Intervals: []Interval{{0, 4000, 300}, {6000, 9000, 200}}}
	}
	return in
}

// sound checks what must hold for every report.
func sound(t interface{ Errorf(string, ...any) }, r Report) {
	for _, a := range []*Account{r.Ledger.CoreS, r.Ledger.ByteS, r.Ledger.GPUS, r.Ledger.Joule} {
		conserved(t, a)
	}
	for _, name := range MetricNames() {
		m, ok := r.Metrics[name]
		if !ok || m.Value == nil && len(m.Reasons) == 0 {
			t.Errorf("%s: %+v has neither value nor reason", name, m)
		}
		if m.Value != nil && (math.IsNaN(*m.Value) || math.IsInf(*m.Value, 0) || *m.Value < 0 && name != Cost) {
			t.Errorf("%s = %v", name, *m.Value)
		}
		soundCoverage(t, name, m)
		// A ratio of several attempts is about those that have it, and keeps the words of the others.
		if len(r.Attempts) == 0 && m.Value != nil && (m.Bound == Exact && slices.ContainsFunc([]Reason{Sampled, KilledStep, MissingIntervals}, m.Has) ||
			m.Has(UnmeasuredNodes) && (m.Bound == Exact || m.Bound == Upper && m.Source != SourceLedger)) {
			t.Errorf("%s: %s with %v", name, m.Bound, m.Reasons)
		}
	}
	for i := range r.Attempts {
		sound(t, r.Attempts[i])
	}
}

// soundCoverage: not more was measured than there was, and more than all is said.
func soundCoverage(t interface{ Errorf(string, ...any) }, name MetricName, m Metric) {
	nodes, all := m.Coverage.Nodes, m.Coverage.NodesAllocated
	if nodes != nil && all != nil && (*nodes < 0 || *nodes > *all) {
		t.Errorf("%s: %d of %d nodes", name, *nodes, *all)
	}
	if m.Value == nil {
		return
	}
	if s := m.Coverage.Seconds; s != nil && *s < 0 {
		t.Errorf("%s: %v s", name, *s)
	}
	if (name == CPUEfficiency || name == MemoryEfficiency || name == GPUUtilization || name == TimeEfficiency) && *m.Value > 100 && !m.Has(OverLimit) {
		t.Errorf("%s = %v without over_limit", name, *m.Value)
	}
}

func TestEveryReportIsSoundAndSurvivesJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := Analyse(anyInput(t))
		sound(t, r)
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		var back Report
		if err := json.Unmarshal(text, &back); err != nil {
			t.Fatal(err)
		}
		again, err := json.Marshal(back)
		if err != nil || string(again) != string(text) {
			t.Fatalf("round trip changed the report (%v):\n%s\n%s", err, text, again)
		}
		sound(t, back)
	})
}

func TestTheOrderOfTheRowsDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := anyInput(t)
		if len(splitAttempts(in.Rows)) > 1 {
			// Attempts without times are told apart by order alone.
			for _, a := range splitAttempts(in.Rows) {
				if a.start < 0 || a.submit < 0 {
					t.Skip("no times")
				}
			}
			for _, r := range in.Rows {
				if _, ok := unix(r.Time("Start")); !ok {
					t.Skip("no times")
				}
			}
		}
		first := Analyse(in)
		seed := rapid.Uint64().Draw(t, "seed")
		in.Rows = append([]*record{}, in.Rows...)
		rand.New(rand.NewPCG(seed, 1)).Shuffle(len(in.Rows), func(i, j int) { in.Rows[i], in.Rows[j] = in.Rows[j], in.Rows[i] })
		if diff := cmp.Diff(first, Analyse(in)); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestSplittingAStepKeepsItsCPUTime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		job := row("JobID=7", "State=COMPLETED", "AllocCPUS=8", "NNodes=1", "ElapsedRaw=1000")
		total := rapid.IntRange(0, 8_000_000).Draw(t, "ms")
		part := rapid.IntRange(0, total).Draw(t, "part")
		step := func(name string, ms int) *record {
			return row("JobID=7."+name, "State=COMPLETED", "NTasks=1", fmt.Sprintf("TotalCPU=%02d:%02d.%03d", ms/60000, ms/1000%60, ms%1000))
		}
		one := analyse(t0{}, job, step("0", total))
		two := analyse(t0{}, job, step("0", part), step("1", total-part))
		if diff := cmp.Diff(one.Metrics[CPUEfficiency], two.Metrics[CPUEfficiency]); diff != "" {
			t.Fatal(diff)
		}
		if diff := cmp.Diff(one.Ledger.CoreS, two.Ledger.CoreS); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestBoundsAreMonotone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rows := []*record{row("JobID=7", "State=COMPLETED", "AllocCPUS=8", "NNodes=1", "ElapsedRaw=10000", "AllocTRES=mem=4G,cpu=8,node=1")}
		var before Report
		for i := range rapid.IntRange(1, 6).Draw(t, "steps") {
			start := rapid.IntRange(1000, 3000).Draw(t, "start")
			rows = append(rows, row(fmt.Sprintf("JobID=7.%d", i), "State=COMPLETED", "NTasks=2",
				fmt.Sprintf("TotalCPU=00:%02d.000", rapid.IntRange(0, 59).Draw(t, "cpu")),
				fmt.Sprintf("MaxRSS=%dM", rapid.IntRange(1, 500).Draw(t, "rss")),
				fmt.Sprintf("Start=%d", start), fmt.Sprintf("End=%d", start+rapid.IntRange(0, 2000).Draw(t, "length"))))
			r := Analyse(Input{Rows: rows})
			for _, name := range []MetricName{CPUUsed, MemoryPeak} {
				now, _ := r.Value(name)
				if was, ok := before.Value(name); ok && now < was {
					t.Fatalf("%s fell from %v to %v with one more step", name, was, now)
				}
			}
			before = r
		}
		// The named upper bound is never below the sum of task peaks that TRES gives.
		upper, _ := before.Value(MemoryPeak)
		var widest float64
		for _, r := range rows[1:] {
			n, _ := r.Size("MaxRSS").Value()
			widest = max(widest, float64(n))
		}
		if upper < widest {
			t.Fatalf("upper bound %v below the largest task %v", upper, widest)
		}
	})
}

func TestEmptyInputGivesAReportOfReasons(t *testing.T) {
	r := Analyse(Input{ID: "x"})
	sound(t, r)
	if r.ID != "x" || r.Attempts == nil || r.Findings == nil || r.Actions == nil {
		t.Errorf("%+v", r)
	}
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var shape map[string]any
	if err := json.Unmarshal(text, &shape); err != nil {
		t.Fatal(err)
	}
	for _, list := range []string{"attempts", "findings", "actions", "nodes", "sources"} {
		if reflect.TypeOf(shape[list]) != reflect.TypeOf([]any{}) {
			t.Errorf("%s is %v in JSON, want a list", list, shape[list])
		}
	}
}
