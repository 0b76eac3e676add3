package efficiency

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"slices"
	"testing"

	"github.com/ergon-hpc/ergon/e2e/harness"
	"github.com/ergon-hpc/ergon/e2e/site"
)

// report is what these tests read of a report, from the server and from `ergon seff -o json`.
type report struct {
	Job struct {
		SlurmState string   `json:"slurm_state"`
		Start      *float64 `json:"start"`
		End        *float64 `json:"end"`
		Elapsed    *float64 `json:"elapsed_s"`
		Suspended  *float64 `json:"suspended_s"`
		CPUs       *float64 `json:"cpus"`
	} `json:"job"`
	Metrics map[string]metric `json:"metrics"`
	Ledger  struct {
		Core *account `json:"core_s"`
	} `json:"ledger"`
	Findings []struct {
		Rule string `json:"rule"`
	} `json:"findings"`
	Everyday string   `json:"everyday"`
	Sources  []string `json:"sources"`
	Series   *struct {
		Lines []line `json:"lines"`
	} `json:"series"`
}

// line is one quantity over time; a null is a moment without data.
type line struct {
	Name   string     `json:"name"`
	Node   string     `json:"node"`
	Values []*float64 `json:"values"`
}

// total is the mean over time of the total over the nodes.
func (r report) total(t *testing.T, name string) float64 {
	t.Helper()
	if r.Series == nil {
		t.Fatal("the report has no series")
	}
	for _, l := range r.Series.Lines {
		if l.Name == name && l.Node == "" {
			var sum, n float64
			for _, v := range l.Values {
				if v != nil {
					sum, n = sum+*v, n+1
				}
			}
			if n == 0 {
				t.Fatalf("the line %s has no value at any moment", name)
			}
			t.Logf("%s: %g on average over %g moments", name, sum/n, n)
			return sum / n
		}
	}
	t.Fatalf("the report has no line %s", name)
	return 0
}

type metric struct {
	Value    *float64 `json:"value"`
	Unit     string   `json:"unit"`
	Bound    string   `json:"bound"`
	Source   string   `json:"source"`
	Reasons  []string `json:"reasons"`
	Coverage struct {
		Seconds *float64 `json:"seconds"`
	} `json:"coverage"`
}

type account struct {
	Allocated  float64 `json:"allocated"`
	Overuse    float64 `json:"overuse"`
	Used       float64 `json:"used"`
	Idle       float64 `json:"idle"`
	Forced     float64 `json:"forced"`
	Lost       float64 `json:"lost"`
	Unmeasured float64 `json:"unmeasured"`
}

func (m metric) String() string {
	if m.Value == nil {
		return fmt.Sprintf("nothing %v", m.Reasons)
	}
	return fmt.Sprintf("%g %s (%s, %s) %v", *m.Value, m.Unit, m.Bound, m.Source, m.Reasons)
}

// value is a number that has to be there.
func (r report) value(t *testing.T, name string) float64 {
	t.Helper()
	m := r.Metrics[name]
	if m.Value == nil {
		t.Fatalf("%s is missing: %v", name, m.Reasons)
	}
	return *m.Value
}

// between checks a number against what the job did.
func (r report) between(t *testing.T, name string, low, high float64) {
	t.Helper()
	v := r.value(t, name)
	t.Logf("%s %s; expected %g to %g", name, r.Metrics[name], low, high)
	if v < low || v > high {
		t.Errorf("%s is %s; the job did %g to %g", name, r.Metrics[name], low, high)
	}
}

// seff is the report that needs no server.
func seff(t *testing.T, id string) report {
	t.Helper()
	r, refused := ask(t, id)
	if refused != "" {
		t.Fatalf("ergon seff %s: %s", id, refused)
	}
	return r
}

// ask is seff for a job that may not be known yet.
func ask(t *testing.T, id string) (r report, refused string) {
	t.Helper()
	got := alice.Run(t, "ergon", "seff", id, "-o", "json")
	if got.Code != 0 {
		return r, got.Stderr
	}
	if err := json.Unmarshal([]byte(got.Stdout), &r); err != nil {
		t.Fatalf("ergon seff -o json: %v\n%s", err, got.Stdout)
	}
	return r, ""
}

// finished waits for the server's report of a job that ended well, and for `ergon seff` to say the same. With profile
// the report has to rest on the series that the job's node wrote.
func finished(t *testing.T, id string, profile bool) report {
	t.Helper()
	done := site.Ended
	if profile {
		done = site.Settled
	}
	job := alice.WaitJob(t, id, "over", done)
	if job.State != "DONE" {
		t.Fatalf("job %s is %s (%s)", id, job.State, job.SlurmState)
	}
	var r report
	harness.EventuallyEach(t, site.Patience, askEvery, func() (bool, string) {
		r = report{}
		status, err := alice.Get(t.Context(), "/jobs/"+job.ID+"/efficiency", &r)
		complete := r.Metrics["cpu_used"].Value != nil && (!profile || slices.Contains(r.Sources, "hdf5_profile"))
		return err == nil && status == http.StatusOK && complete, fmt.Sprintf("job %s has no complete report: %d, %v, sources %v", id, status, err, r.Sources)
	})
	same(t, r, seff(t, id))
	balanced(t, r)
	return r
}

// same compares the server's report with the local one.
func same(t *testing.T, server, local report) {
	t.Helper()
	if len(server.Metrics) < 19 {
		t.Errorf("%d metrics", len(server.Metrics))
	}
	for name, a := range server.Metrics {
		b := local.Metrics[name]
		if (a.Value == nil) != (b.Value == nil) || a.Source != b.Source || a.Bound != b.Bound || a.Value != nil && math.Abs(*a.Value-*b.Value) > 1e-9*math.Abs(*a.Value) {
			t.Errorf("%s: the server says %s, ergon seff %s", name, a, b)
		}
	}
}

// balanced checks that the ledger adds up exactly.
func balanced(t *testing.T, r report) {
	t.Helper()
	a := r.Ledger.Core
	if a == nil {
		t.Error("no ledger of core seconds")
		return
	}
	if a.Allocated+a.Overuse != a.Used+a.Idle+a.Forced+a.Lost+a.Unmeasured {
		t.Errorf("the ledger does not add up: %+v", *a)
	}
}
