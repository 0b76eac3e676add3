package efficiency

import (
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// cpuHours is no metric of a report but the allocation in its ledger; the cpu_hours of `admin usage` contain suspension.
const cpuHours MetricName = "ledger allocated (CPU hours)"

// comparison is one trap: the same rows for us and for the formulas of other tools.
type comparison struct {
	trap   string
	rows   []*record
	metric MetricName
	// truth is what the metric has to be; missing is the reason where no number can be right.
	truth   float64
	missing Reason
	wrong   map[string]float64 // by tool: numbers worked out by hand, for those that are off
	why     string
	// For energy: the power at 1 Hz or where the clock says, what all jobs used on the node, how many ran there.
	watts, at  []float64
	nodeCPU    float64
	jobsOnNode int
	// monitor is what tools see that sample the cgroups of each node.
	monitor []monitored
	// upper: our number is not the truth but says that it is an upper bound, and why.
	upper Reason
}

// monitored is a node of a job as a monitor of cgroups sees it.
type monitored struct {
	cpus, cpuSeconds float64
	// resident is the peak without file cache, memory what the job had there; bytes.
	resident, memory float64
	// percent of the job's CPUs that was busy, at regular times.
	percent []float64
}

// wall is end − start: with the time in which the job was suspended.
func (c comparison) wall() float64 {
	suspended, _ := c.rows[0].Duration("Suspended").Seconds()
	return c.elapsed() + suspended
}

func (c comparison) steps() []*record { return c.rows[1:] }

func (c comparison) elapsed() float64 { v, _ := c.rows[0].Elapsed().Seconds(); return v }

func (c comparison) cpus() float64 { n, _ := c.rows[0].Count("AllocCPUS").Value(); return float64(n) }

func (c comparison) allocatedMemory() float64 {
	n, _ := c.rows[0].TRES("AllocTRES").AllocMemory().Value()
	return float64(n)
}

func (c comparison) percentOf(v, all float64) (float64, bool) { return 100 * v / all, all > 0 }

func (c comparison) stepCPU() (float64, bool) {
	used, ok := seconds(c.steps(), "TotalCPU")
	v, some := c.percentOf(used, c.elapsed()*c.cpus())
	return v, ok && some
}

func (c comparison) report() Report {
	in := Input{Rows: c.rows}
	if c.watts != nil {
		f := powerFile("0", "n1", 0, c.watts...)
		if c.at != nil {
			f.Profile.Steps[0].Nodes[0].Energy.EpochS = c.at
		}
		in.Profiles = []ProfileFile{f}
	}
	if c.upper != "" {
		in.Cluster = &Cluster{JobAcctGather: "jobacct_gather/cgroup", CgroupVersion: 2}
	}
	if c.nodeCPU > 0 {
		in.Cluster, in.NodeCPU = sharedCluster(), map[string]float64{"n1": c.nodeCPU}
	}
	return Analyse(in)
}

// ours is our number, or the reasons of its absence.
func (c comparison) ours() (float64, bool, Metric) {
	r := c.report()
	if c.metric == cpuHours {
		return r.Ledger.CoreS.Allocated / 3600, true, Metric{Bound: Exact}
	}
	v, ok := r.Value(c.metric)
	return v, ok, r.Metrics[c.metric]
}

// traced is a series with a hole: 100 W for 10 s, nothing for 100 s, 300 W for 10 s.
func traced() (watts, at []float64) {
	for i := range 22 {
		w, t := 100.0, float64(1000+i)
		if i > 10 {
			w, t = 300, float64(1099+i)
		}
		watts, at = append(watts, w), append(at, t)
	}
	return watts, at
}

func comparisons() []comparison {
	watts, at := traced()
	return []comparison{
		{
			trap: "4 ranks, one takes 10 G, the others 1 G each", metric: MemoryEfficiency, truth: 32.5,
			rows: []*record{
				row("JobID=1", "State=COMPLETED", "AllocCPUS=4", "NNodes=1", "ElapsedRaw=3600", "ReqMem=40G", "AllocTRES=cpu=4,mem=40G,node=1"),
				row("JobID=1.0", "NTasks=4", "MaxRSS=10G", "TRESUsageInTot=mem=13G"),
			},
			wrong: map[string]float64{"seff < 24.11": 100, "reportseff": 100}, why: "MaxRSS is the largest task, not the mean",
			monitor: []monitored{{cpus: 4, resident: 13 * gib, memory: 40 * gib}},
		},
		{
			trap: "two steps of 10 G at the same time", metric: MemoryEfficiency, truth: 100,
			rows: []*record{
				row("JobID=1", "State=COMPLETED", "AllocCPUS=2", "NNodes=1", "ElapsedRaw=3600", "ReqMem=20G", "AllocTRES=cpu=2,mem=20G,node=1"),
				row("JobID=1.0", "NTasks=1", "MaxRSS=10G", "TRESUsageInTot=mem=10G", "Start=0100", "End=3700"),
				row("JobID=1.1", "NTasks=1", "MaxRSS=10G", "TRESUsageInTot=mem=10G", "Start=0100", "End=3700"),
			},
			wrong: map[string]float64{"seff < 24.11": 50, "seff ≥ 24.11": 50, "reportseff": 50}, why: "the largest step is not the job",
			monitor: []monitored{{cpus: 2, resident: 20 * gib, memory: 20 * gib}},
		},
		{
			trap: "ReqMem with a leaked flag (0x80000000 + 3000 MB per CPU)", metric: MemoryEfficiency, truth: 50,
			rows: []*record{
				row("JobID=1", "State=COMPLETED", "AllocCPUS=8", "NNodes=1", "ElapsedRaw=3600", "ReqMem=2147486648Mn"),
				row("JobID=1.0", "NTasks=1", "MaxRSS=12000M", "TRESUsageInTot=mem=12000M"),
			},
			wrong: map[string]float64{"reportseff": 100 * 12000.0 / 2147486648}, why: "old dumps print the flag as part of the number",
		},
		{
			trap: "ReqMem=0: the whole node", metric: MemoryEfficiency, truth: 100 * 100.0 / 251,
			rows: []*record{
				row("JobID=11", "State=COMPLETED", "AllocCPUS=64", "NNodes=1", "ElapsedRaw=3600", "ReqMem=0", "AllocTRES=cpu=64,mem=251G,node=1"),
				row("JobID=11.batch", "MaxRSS=100G", "NTasks=1", "TRESUsageInTot=mem=100G"),
			},
			why:     "0 is a request, not a number",
			monitor: []monitored{{cpus: 64, resident: 100 * gib, memory: 251 * gib}},
		},
		{
			trap: "TotalCPU empty (Slurm 25.05)", metric: CPUEfficiency, truth: 90,
			rows: []*record{
				row("JobID=1", "State=COMPLETED", "AllocCPUS=4", "NNodes=1", "ElapsedRaw=600", "TotalCPU=00:00:00"),
				row("JobID=1.0", "NTasks=4", "TotalCPU=00:00:00", "TRESUsageInTot=cpu=00:36:00,mem=2G"),
			},
			wrong: map[string]float64{"seff < 24.11": 0, "seff ≥ 24.11": 0}, why: "the CPU time is in TRESUsageInTot",
			monitor: []monitored{{cpus: 4, cpuSeconds: 2160, percent: []float64{90, 90}}},
		},
		{
			trap: "a job that did nothing", metric: CPUEfficiency, truth: 0,
			rows: []*record{
				row("JobID=5", "State=COMPLETED", "AllocCPUS=1", "NNodes=1", "ElapsedRaw=3600", "TotalCPU=00:00:00"),
				row("JobID=5.batch", "NTasks=1", "MaxRSS=1M", "TotalCPU=00:00:00", "TRESUsageInTot=cpu=00:00:00,mem=1M"),
			},
			why:     "zero is a measurement",
			monitor: []monitored{{cpus: 1, cpuSeconds: 0, percent: []float64{0, 0}}},
		},
		{
			trap: "20 nodes, Slurm saw only .batch on one", metric: CPUEfficiency, missing: UnmeasuredNodes,
			rows: []*record{
				row("JobID=7", "State=COMPLETED", "AllocCPUS=80", "NNodes=20", "ElapsedRaw=3600", "TotalCPU=04:00:00", "NodeList=n[1-20]"),
				row("JobID=7.batch", "State=COMPLETED", "NNodes=1", "NTasks=1", "AllocCPUS=4", "ElapsedRaw=3600", "TotalCPU=04:00:00", "NodeList=n1"),
			},
			monitor: append([]monitored{{cpus: 4, cpuSeconds: 14400, percent: []float64{100}}}, slices.Repeat([]monitored{{cpus: 4, percent: []float64{0}}}, 19)...),
			wrong:   map[string]float64{"seff < 24.11": 5, "seff ≥ 24.11": 5, "reportseff": 5, "jobstats": 5, "CEEMS": 100}, why: "what 19 nodes did is not known",
		},
		{
			trap: "GPUs only by type (gres/gpu:volta=2)", metric: GPUCount, truth: 2,
			rows:  []*record{row("JobID=1", "State=COMPLETED", "ElapsedRaw=60", "AllocTRES=gres/gpu:volta=2,mem=125G,node=1")},
			wrong: map[string]float64{"jobstats": 0}, why: "not every site has the generic count",
		},
		{
			trap: "batch, extern and step 0 each carry the node's energy", metric: Energy, truth: 101630,
			rows: []*record{
				row("JobID=1935", "State=COMPLETED", "AllocCPUS=128", "NNodes=1", "ElapsedRaw=122", "ConsumedEnergyRaw=101630"),
				row("JobID=1935.extern", "TRESUsageOutAve=energy=794,fs/disk=1", "ConsumedEnergyRaw=101630"),
				row("JobID=1935.0", "TRESUsageOutAve=energy=794,fs/disk=759156", "ConsumedEnergyRaw=101630"),
			},
			wrong: map[string]float64{"reportseff": 794}, why: "steps overlap; the job row counts each joule once",
		},
		{
			trap: "power: 10 s at 100 W, 100 s without samples, 10 s at 300 W", metric: Energy, truth: 4000,
			rows:  []*record{row("JobID=8", "State=COMPLETED", "AllocCPUS=4", "NNodes=1", "ElapsedRaw=120", "NodeList=n1")},
			watts: watts, at: at,
			wrong: map[string]float64{"ClusterCockpit": 36000}, why: "a hole is not bridged; the coverage says 20 of 120 s",
		},
		{
			trap: "shared node, 500 J idle of 1000 J; half the CPUs, all the work", metric: Energy, truth: 750,
			rows: []*record{
				row("JobID=8", "State=COMPLETED", "AllocCPUS=4", "NNodes=1", "ElapsedRaw=10", "Start=1000", "End=1010", "NodeList=n1", "ConsumedEnergyRaw=1000"),
				row("JobID=8.0", "State=COMPLETED", "TotalCPU=00:30.000", "NTasks=4", "NodeList=n1"),
			},
			nodeCPU: 30, jobsOnNode: 2,
			wrong: map[string]float64{"CEEMS": 950}, why: "who holds idle CPUs holds their idle power",
		},
		{
			trap: "a node at 120 W for a minute", metric: Energy, truth: 7200,
			rows:  []*record{row("JobID=8", "State=COMPLETED", "AllocCPUS=4", "NNodes=1", "ElapsedRaw=60", "NodeList=n1")},
			watts: slices.Repeat([]float64{120}, 61),
			wrong: map[string]float64{"ClusterCockpit": 0}, why: "kept in steps of 0.01 kWh, which is 36 000 J",
		},
		{
			trap: "all CPUs busy for half an hour, then nothing for as long", metric: CPUEfficiency, truth: 50,
			rows: []*record{
				row("JobID=9", "State=COMPLETED", "AllocCPUS=8", "NNodes=1", "ElapsedRaw=3600", "TotalCPU=04:00:00"),
				row("JobID=9.batch", "State=COMPLETED", "NTasks=1", "TotalCPU=04:00:00"),
			},
			monitor: []monitored{{cpus: 8, cpuSeconds: 14400, percent: []float64{100, 0}}},
			wrong:   map[string]float64{"CEEMS": 100}, why: "idle samples are part of the time",
		},
		{
			trap: "8 CPUs busy whenever the job ran, suspended for half an hour of an hour", metric: CPUEfficiency, truth: 100,
			rows: []*record{
				row("JobID=9", "State=COMPLETED", "AllocCPUS=8", "NNodes=1", "ElapsedRaw=1800", "Suspended=00:30:00", "Start=100000", "End=103600", "TotalCPU=04:00:00"),
				row("JobID=9.batch", "State=COMPLETED", "NTasks=1", "TotalCPU=04:00:00"),
			},
			monitor: []monitored{{cpus: 8, cpuSeconds: 14400, percent: []float64{100, 0}}},
			wrong:   map[string]float64{"jobstats": 50}, why: "a suspended job cannot use its CPUs",
		},
		{
			trap: "one node with 1 CPU busy, one with 31 CPUs idle", metric: CPUEfficiency, truth: 3.125,
			rows: []*record{
				row("JobID=9", "State=COMPLETED", "AllocCPUS=32", "NNodes=2", "NodeList=n[1-2]", "ElapsedRaw=3600", "TotalCPU=01:00:00",
					"AdminComment="+js1Text(`{"nodes":{"n1":{"cpus":1,"total_time":3600},"n2":{"cpus":31,"total_time":0}}}`)),
				row("JobID=9.0", "State=COMPLETED", "NTasks=2", "NNodes=2", "NodeList=n[1-2]", "TotalCPU=01:00:00"),
			},
			monitor: []monitored{{cpus: 1, cpuSeconds: 3600, percent: []float64{100}}, {cpus: 31, percent: []float64{0}}},
			wrong:   map[string]float64{"reportseff": 50, "CEEMS": 100}, why: "the ratio of the sums, not the mean of the percentages",
		},
		{
			trap: "cgroup v2: 2.8 G resident and 7.2 G of file cache in 10 G", metric: MemoryEfficiency, truth: 28, upper: PageCacheIncluded,
			rows: []*record{
				row("JobID=9", "State=COMPLETED", "AllocCPUS=4", "NNodes=1", "ElapsedRaw=3600", "ReqMem=10G", "AllocTRES=cpu=4,mem=10G,node=1"),
				row("JobID=9.batch", "State=COMPLETED", "NTasks=1", "MaxRSS=10G", "TRESUsageInTot=mem=10G", "TotalCPU=04:00:00"),
			},
			monitor: []monitored{{cpus: 4, resident: 2.8 * gib, memory: 10 * gib}},
			wrong:   map[string]float64{"seff < 24.11": 100, "seff ≥ 24.11": 100, "reportseff": 100},
			why:     "Slurm counts the cache: Ergon shows its number as an upper bound, names the reason, and advises nothing from it",
		},
		{
			trap: "completed after 69 of 60 minutes, within the grace time", metric: TimeEfficiency, truth: 115,
			rows:  []*record{row("JobID=9", "State=COMPLETED", "AllocCPUS=4", "NNodes=1", "ElapsedRaw=4140", "Timelimit=01:00:00")},
			wrong: map[string]float64{"jobstats": 100}, why: "what is over the limit is shown and explained",
		},
		{
			trap: "8 CPUs for an hour, suspended half of it", metric: cpuHours, truth: 4,
			rows: []*record{
				row("JobID=9", "State=COMPLETED", "AllocCPUS=8", "NNodes=1", "ElapsedRaw=1800", "Suspended=00:30:00", "Start=100000", "End=103600"),
				row("JobID=9.batch", "NTasks=1", "TotalCPU=04:00:00"),
			},
			wrong: map[string]float64{"XDMoD": 8}, why: "wall time contains suspension; so do the cpu_hours of Ergon's usage, the ledger does not",
		},
	}
}

func TestOtherToolsOnTheSameTraps(t *testing.T) {
	for _, c := range comparisons() {
		t.Run(c.trap, func(t *testing.T) {
			v, ok, m := c.ours()
			if c.missing != "" && (ok || !m.Has(c.missing)) {
				t.Errorf("%s = %v %v, want it missing with %s", c.metric, v, m.Reasons, c.missing)
			}
			switch {
			case c.upper != "" && (v < c.truth || m.Bound != Upper || !m.Has(c.upper)):
				t.Errorf("%s = %v (%s, %v), want an upper bound of %v that says %s", c.metric, v, m.Bound, m.Reasons, c.truth, c.upper)
			case c.upper == "" && c.missing == "" && (!ok || math.Abs(v-c.truth) > 1e-9*math.Abs(c.truth)):
				t.Errorf("%s = %v (%v), want %v", c.metric, v, m.Reasons, c.truth)
			}
			for _, tool := range otherTools() {
				theirs, shown := tool.formula(c)
				expected, off := c.wrong[tool.name]
				switch {
				case off && (!shown || math.Abs(theirs-expected) > 1e-9*math.Abs(expected)):
					t.Errorf("%s gives %v, worked out by hand: %v", tool.name, theirs, expected)
				case !off && shown && c.missing == "" && math.Abs(theirs-c.truth) > 1e-9*math.Abs(c.truth):
					t.Errorf("%s gives %v and the truth is %v: say so", tool.name, theirs, c.truth)
				}
			}
		})
	}
}

const docFile = "../../docs/efficiency.md"

// block is the text between the markers of a generated part of the document.
func block(t *testing.T, doc, name string) (from, to int) {
	t.Helper()
	begin, end := "<!-- begin generated: "+name+" -->\n", "<!-- end generated -->"
	from = strings.Index(doc, begin)
	if from < 0 {
		t.Fatalf("docs/efficiency.md has no block %q", name)
	}
	from += len(begin)
	to = strings.Index(doc[from:], end)
	if to < 0 {
		t.Fatalf("block %q has no end", name)
	}
	return from, from + to
}

func TestTheDocumentSaysWhatTheCodeSays(t *testing.T) {
	data, err := os.ReadFile(docFile)
	if err != nil {
		t.Fatal(err)
	}
	doc := string(data)
	for name, text := range map[string]string{"comparison": comparisonTable(), "thresholds": thresholdTable(t)} {
		from, to := block(t, doc, name)
		if doc[from:to] == text {
			continue
		}
		if os.Getenv("ERGON_TEST_UPDATE") != "1" {
			t.Errorf("docs/efficiency.md, %s, is not up to date; run: ERGON_TEST_UPDATE=1 go test ./efficiency (in shared/)", name)
			continue
		}
		doc = doc[:from] + text + doc[to:]
	}
	if doc != string(data) {
		if err := os.WriteFile(docFile, []byte(doc), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, word := range documented() {
		if !strings.Contains(doc, "`"+word+"`") {
			t.Errorf("docs/efficiency.md does not explain %s", word)
		}
	}
}

func comparisonTable() string {
	tools := otherTools()
	var b strings.Builder
	b.WriteString("| the job | number | Ergon |")
	for _, tool := range tools {
		b.WriteString(" " + tool.name + " |")
	}
	b.WriteString(" why |\n|---|---|---|" + strings.Repeat("---|", len(tools)) + "---|\n")
	for _, c := range comparisons() {
		fmt.Fprintf(&b, "| %s | %s |", c.trap, c.metric)
		v, ok, m := c.ours()
		cell := strings.TrimSpace(fmt.Sprintf("**%s** %s", sig(v), boundNote(m.Bound)))
		if !ok {
			cell = fmt.Sprintf("none: %s", c.missing)
		}
		b.WriteString(" " + cell + " |")
		for _, tool := range tools {
			b.WriteString(" " + shownBy(tool, c) + " |")
		}
		b.WriteString(" " + c.why + " |\n")
	}
	return b.String()
}

func shownBy(tool otherTool, c comparison) string {
	v, ok := tool.formula(c)
	if !ok {
		return "–"
	}
	return sig(v)
}

func boundNote(b Bound) string {
	if b == Exact {
		return ""
	}
	return "(" + string(b) + ")"
}

func sig(v float64) string {
	if math.Abs(v) >= 1000 {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}

// documented lists every word that a reader may meet in a report.
func documented() []string {
	var words []string
	for _, n := range MetricNames() {
		words = append(words, string(n))
	}
	for _, r := range allRules() {
		words = append(words, string(r))
	}
	for _, r := range allReasons() {
		words = append(words, string(r))
	}
	words = append(words, "allocated", "overuse", "used", "idle", "forced", "lost", "unmeasured")
	for _, c := range []Cause{CauseOOM, CauseTimeout, CauseNodeFail, CausePreemption, CauseRequeue, CauseUser} {
		words = append(words, string(c))
	}
	slices.Sort(words)
	return slices.Compact(words)
}
