package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/ergon-hpc/ergon/shared/advice"
	"github.com/ergon-hpc/ergon/shared/api"
	"github.com/ergon-hpc/ergon/shared/efficiency"
)

// history gives a site that knows findings, advice and usage. seen collects what it was asked.
func (s *site) history(found api.JobFindings, a advice.Advice, u api.Usage) (seen *[]string) {
	seen = &[]string{}
	inner := s.Config.Handler
	mux := http.NewServeMux()
	mux.HandleFunc("GET /jobs/findings", func(w http.ResponseWriter, _ *http.Request) { reply(w, 200, found) })
	mux.HandleFunc("GET /jobs/{id}/advice", func(w http.ResponseWriter, _ *http.Request) { reply(w, 200, a) })
	mux.HandleFunc("GET /jobs/usage", func(w http.ResponseWriter, r *http.Request) {
		*seen = append(*seen, r.URL.Query().Encode())
		reply(w, 200, u)
	})
	mux.HandleFunc("POST /jobs/advice", func(w http.ResponseWriter, r *http.Request) {
		var target map[string]any
		if err := json.NewDecoder(r.Body).Decode(&target); err != nil {
			s.t.Error(err)
		}
		text, _ := json.Marshal(target)
		*seen = append(*seen, string(text))
		reply(w, 200, a)
	})
	s.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, pattern := mux.Handler(r); pattern != "" && !s.down {
			mux.ServeHTTP(w, r)
			return
		}
		inner.ServeHTTP(w, r)
	})
	return seen
}

// told is advice as a server gives it.
func told() advice.Advice {
	return advice.Advice{Fingerprint: advice.Fingerprint{Name: "fit_#"}, Runs: 40, Items: []advice.Item{
		{Kind: advice.Memory, Verdict: advice.Cut, Directive: "--mem=7G", Why: "The largest took 6 GiB\x1b[2J.", Runs: 40},
	}}
}

func TestFindingsComeFromTheServerThatKnowsTheJobs(t *testing.T) {
	t.Parallel()
	d := worked(t)
	s := d.login()
	s.history(api.JobFindings{Jobs: 70, Started: 60, Analysed: 50, Findings: []efficiency.RuleTotal{{Rule: "idle_gpu", Severity: "warning", Jobs: 9, Text: "GPUs\x1b[2J held", Worst: []string{"11"}}}}, advice.Advice{}, api.Usage{})
	d.want(exitOK, []string{"findings"}, "70 jobs since 30d, 60 of them started (from http", "50 of them are analysed", "idle_gpu in 9 jobs", "worst: 11")
	s.down = true
	d.want(exitOK, []string{"findings"}, "5 jobs since 30d", "from the local sacct", "memory_over_requested in 4 jobs")
}

func TestFindingsAreLocalWhereTheServerKnowsNoJobs(t *testing.T) {
	t.Parallel()
	d := worked(t)
	d.login().history(api.JobFindings{Findings: []efficiency.RuleTotal{}}, advice.Advice{}, api.Usage{})
	d.want(exitOK, []string{"findings"}, "5 jobs since 30d", "from the local sacct")
	away := newDesk(t) // no Slurm there
	away.login().history(api.JobFindings{Findings: []efficiency.RuleTotal{}}, advice.Advice{}, api.Usage{})
	away.want(exitOK, []string{"findings"}, "0 jobs since 30d", "Nothing worth telling")
}

func TestAdviceOfAScriptComesFromTheServerWithoutTheScript(t *testing.T) {
	t.Parallel()
	d := worked(t)
	s := d.login()
	seen := s.history(api.JobFindings{}, told(), api.Usage{})
	path := writeScript(t, batch, 0o600)
	d.want(exitOK, []string{"advise", path, "--cluster", "c1"}, "40 earlier runs of the same work (name fit_#, from http", "+#SBATCH -c 8 --mem=7G")
	if len(*seen) != 1 || !strings.Contains((*seen)[0], `"memory_bytes":34359738368`) || !strings.Contains((*seen)[0], `"cluster":"c1"`) || strings.Contains((*seen)[0], "srun") {
		t.Errorf("sent %v", *seen)
	}
	s.down = true
	d.want(exitOK, []string{"advise", path}, "4 earlier runs", "from the local sacct", "--mem=4608M")
}

func TestAdviceAboutAJobComesFromTheServerThatKnowsIt(t *testing.T) {
	t.Parallel()
	d := worked(t)
	s := d.login()
	s.history(api.JobFindings{}, told(), api.Usage{})
	s.jobs = []api.Job{apiJob("11", "c1", api.DONE, "COMPLETED")}
	d.want(exitOK, []string{"advise", "11"}, "40 earlier runs", "#SBATCH --mem=7G")
	d.want(exitOK, []string{"advise", "2"}, "from the local sacct", "#SBATCH --mem=4608M") // the server does not know it
	away := newDesk(t)
	away.login().history(api.JobFindings{}, told(), api.Usage{})
	away.want(exitNotFound, []string{"advise", "2"}, "no job 2")
}

func TestUsageIsPrintedAsTheServerSums(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.want(exitNotLoggedIn, []string{"usage"}, "log")
	s := d.login()
	key, hours := "phys\x1b[2J", 12.5
	seen := s.history(api.JobFindings{}, advice.Advice{}, api.Usage{
		By: "account", Metrics: []string{"cpu_hours", "cost"}, Notes: []string{"cost is in EUR"},
		Groups: []struct {
			Key    *string             `json:"key"`
			Values map[string]*float64 `json:"values"`
		}{{&key, map[string]*float64{"cpu_hours": &hours, "cost": nil}}},
	})
	d.want(exitOK, []string{"usage", "--by", "account", "--metrics", "cpu_hours,cost", "--cluster", "c1"}, "cost is in EUR", "12.50", "phys")
	if len(*seen) != 1 || !strings.Contains((*seen)[0], "by=account") || !strings.Contains((*seen)[0], "cluster=c1") {
		t.Errorf("asked %v", *seen)
	}
	d.want(exitOK, []string{"usage", "-o", "csv"}, "account,cpu_hours,cost\n", ",12.5,\n")
	d.want(exitUsage, []string{"usage", "-o", "xml"}, "table, csv or json")
}
