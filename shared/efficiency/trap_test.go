package efficiency

import (
	"encoding/json"
	"errors"
	"io"
	"math"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/ergon-hpc/ergon/shared/slurmfmt"
)

// trap is one line of testdata/traps.jsonl: rows of other tools' bug reports with the
// true answer and the wrong ones.
type trap struct {
	ID         string                     `json:"id"`
	Truth      map[string]json.RawMessage `json:"truth"`
	KnownWrong map[string]json.RawMessage `json:"known_wrong"`
}

const trapFile = "testdata/traps.jsonl"

func traps(t *testing.T) map[string]trap {
	t.Helper()
	data, err := os.ReadFile(trapFile)
	if err != nil {
		t.Fatal(err)
	}
	out := make(map[string]trap)
	for line := range strings.Lines(string(data)) {
		var one trap
		if err := json.Unmarshal([]byte(line), &one); err != nil {
			t.Fatal(err)
		}
		out[one.ID] = one
	}
	return out
}

// trapReports reads the rows as `ergon explain` does.
func trapReports(t *testing.T) map[string][]Report {
	t.Helper()
	f, err := os.Open(trapFile)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	jr, err := slurmfmt.NewJSONReader(f, slurmfmt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	out := make(map[string][]Report)
	for {
		c, err := jr.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range Group(c.Records) {
			out[c.ID] = append(out[c.ID], Analyse(Input{ID: c.ID, Rows: g.Rows}))
		}
	}
}

// answers gives, for each key of a truth, the number that Ergon computes.
func answers() map[string]func(Report) *float64 {
	metric := func(n MetricName, unit float64) func(Report) *float64 {
		return func(r Report) *float64 {
			if v, ok := r.Value(n); ok {
				return finite(v / unit)
			}
			return nil
		}
	}
	return map[string]func(Report) *float64{
		"cpu_eff_pct": metric(CPUEfficiency, 1), "mem_eff_pct": metric(MemoryEfficiency, 1),
		"mem_eff_upper_pct": metric(MemoryEfficiency, 1), "mem_upper_bound_bytes": metric(MemoryPeak, 1),
		"time_eff_pct": metric(TimeEfficiency, 1), "energy_j": metric(Energy, 1), "mean_power_w": metric(PowerAverage, 1),
		"max_rss_kib":     metric(MemoryPeak, 1024),
		"reqmem_mb_total": func(r Report) *float64 { return finite(*r.Job.MemoryRequestedBytes / (1 << 20)) },
		"per_cpu_mb": func(r Report) *float64 {
			return finite(*r.Job.MemoryRequestedBytes / (1 << 20) / float64(*r.Job.CPUs))
		},
	}
}

// halfDigit is half a unit in the last digit that the truth gives.
func halfDigit(text string) float64 {
	_, fraction, _ := strings.Cut(text, ".")
	return 0.5*math.Pow10(-len(fraction)) + 1e-9
}

func TestTrapsGiveTheirTruth(t *testing.T) {
	reports := trapReports(t)
	numbers := answers()
	for id, tr := range traps(t) {
		t.Run(id, func(t *testing.T) {
			got := reports[id]
			if len(got) == 0 {
				t.Fatal("no report")
			}
			for key, raw := range tr.Truth {
				if compute := numbers[key]; compute != nil {
					compareTruth(t, key, string(raw), compute(got[0]))
					continue
				}
				otherTruth(t, key, raw, got)
			}
		})
	}
}

func compareTruth(t *testing.T, key, text string, got *float64) {
	t.Helper()
	expected, err := strconv.ParseFloat(text, 64)
	if err != nil {
		t.Fatal(err)
	}
	if got == nil {
		t.Fatalf("%s is missing, want %s", key, text)
	}
	if math.Abs(*got-expected) > halfDigit(text) {
		t.Errorf("%s = %v, want %s", key, *got, text)
	}
}

// otherTruth checks the truths that are no single number. An unknown key fails: a new
// trap must not pass unseen.
func otherTruth(t *testing.T, key string, raw json.RawMessage, got []Report) {
	t.Helper()
	switch key {
	case "source":
		if s := got[0].Metrics[CPUUsed].Source; s != SourceTRES {
			t.Errorf("source = %s for %s", s, raw)
		}
	case "verdict":
		if hasRule(got[0], RulePageCache) == nil || len(got[0].Actions) > 0 {
			t.Errorf("findings %v, actions %v: want page cache suspected and no advice", got[0].Findings, got[0].Actions)
		}
	case "rss_plus_shmem_from_exporter_gb":
		// A measurement outside Slurm; nothing of it is in the rows.
	case "gpus":
		gpuTruth(t, raw, got)
	case "all_parse":
		for _, r := range got {
			if r.Metrics[CPUEfficiency].Has(BadJobID) {
				t.Errorf("%s was not understood", r.Job.JobID)
			}
		}
	case "gpu":
		wantMissing(t, got[0], GPUUtilization, NoStepData)
	default:
		t.Errorf("no check for the truth %q", key)
	}
}

func gpuTruth(t *testing.T, raw json.RawMessage, got []Report) {
	t.Helper()
	var counts []float64
	if err := json.Unmarshal(raw, &counts); err != nil {
		t.Fatal(err)
	}
	if len(got) != len(counts) {
		t.Fatalf("%d jobs, want %d: rows without JobID are jobs of their own", len(got), len(counts))
	}
	for i, n := range counts {
		want(t, got[i], GPUCount, n)
	}
}

func TestTrapsDoNotGiveTheKnownWrongAnswers(t *testing.T) {
	reports := trapReports(t)
	related := map[string][]MetricName{
		"reportseff-41-mpi-step": {MemoryEfficiency}, "reportseff-66-energy": {Energy},
		"imbalanced-ranks": {MemoryEfficiency}, "totalcpu-empty-25.05": {CPUEfficiency},
		"mem-zero": {MemoryEfficiency},
	}
	for id, names := range related {
		for tool, raw := range traps(t)[id].KnownWrong {
			var bad float64
			if json.Unmarshal(raw, &bad) != nil {
				continue // "---": the tool shows nothing, and TestTrapsGiveTheirTruth wants a number
			}
			for _, name := range names {
				if v, ok := reports[id][0].Value(name); ok && math.Abs(v-bad) < 0.5 {
					t.Errorf("%s: %s = %v, the wrong answer of %s", id, name, v, tool)
				}
			}
		}
	}
}

func TestTrapBoundsAreNamed(t *testing.T) {
	r := trapReports(t)["reportseff-41-mpi-step"][0]
	for _, name := range []MetricName{MemoryPeak, MemoryEfficiency} {
		if m := r.Metrics[name]; m.Bound != Upper || !m.Has(PerTaskMaximum) {
			t.Errorf("%s has bound %s and reasons %v", name, m.Bound, m.Reasons)
		}
	}
	if r.ID != "reportseff-41-mpi-step" || r.Job.JobID != "131042" {
		t.Errorf("id %q, job %q", r.ID, r.Job.JobID)
	}
}
