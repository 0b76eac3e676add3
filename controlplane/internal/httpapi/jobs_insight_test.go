package httpapi_test

import (
	"context"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore/storetest"
	"github.com/ergon-hpc/ergon/controlplane/internal/jobs"
	"github.com/ergon-hpc/ergon/shared/advice"
	"github.com/ergon-hpc/ergon/shared/api"
	"github.com/ergon-hpc/ergon/shared/efficiency"
	"github.com/ergon-hpc/ergon/shared/jobkey"
	"github.com/ergon-hpc/ergon/shared/workprint"
)

const window = "from=2026-11-01T00:00:00Z&to=2026-12-01T00:00:00Z"

// runsOf are n jobs of the same work: one of four CPUs busy, 1 of 32 GiB used, an hour of a day.
func runsOf(user, uid string, first, n int) string {
	text := "JobID|JobIDRaw|JobName|UID|User|State|Submit|Start|End|NodeList|ExitCode|ElapsedRaw|AllocCPUS|NNodes|AllocTRES|TotalCPU|TRESUsageInTot|TimelimitRaw|NTasks\n"
	for i := range n {
		id := fmt.Sprint(first + i)
		text += id + "|" + id + "|fit_" + id + "|" + uid + "|" + user + "|COMPLETED|1795000000|1795000010|1795003610|n1|0:0|3600|4|1|cpu=4,mem=32G,node=1||||\n" +
			id + ".0|" + id + ".0|fit|||COMPLETED|1795000010|1795000010|1795003610|n1|0:0|3600|4|1|cpu=4,mem=32G,node=1|01:00:00|cpu=01:00:00,mem=1G||1\n"
	}
	return text
}

func analysedSite(t *testing.T, s *gormstore.Store, dumps ...string) *site {
	t.Helper()
	x := newSite(t, s)
	for _, d := range dumps {
		if status, code := x.call("agent", "POST", "/agent/accounting", batch(d), nil); status != 200 {
			t.Fatalf("%d %s", status, code)
		}
	}
	if _, err := x.insight.AnalyseDue(context.Background(), func(int) {}); err != nil {
		t.Fatal(err)
	}
	return x
}

func TestFindingsOfAWindowAreAddedUpForTheirUser(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *gormstore.Store) {
		x := analysedSite(t, s, runsOf("alice", "1002", 20, 3), runsOf("carol", "1005", 40, 2))
		var mine api.JobFindings
		if status, code := x.call("alice", "GET", "/jobs/findings?"+window, nil, &mine); status != 200 {
			t.Fatalf("%d %s", status, code)
		}
		byRule := map[efficiency.Rule]efficiency.RuleTotal{}
		for _, r := range mine.Findings {
			byRule[r.Rule] = r
		}
		if r := byRule[efficiency.RuleMemoryOver]; mine.Jobs != 3 || mine.Analysed != 3 || mine.Started != 3 || r.Jobs != 3 || len(r.Worst) != 3 || r.Wasted.ByteS <= 0 {
			t.Errorf("%+v", mine)
		}
		for path, want := range map[string]int64{"?unix_user=carol&": 2, "?all_users=true&": 5} {
			var found api.JobFindings
			if status, _ := x.call("alice", "GET", "/jobs/findings"+path+window, nil, nil); status != 403 {
				t.Errorf("a user asks for %s: %d", path, status)
			}
			if status, _ := x.call("operator", "GET", "/jobs/findings"+path+window, nil, &found); status != 200 || found.Analysed != want {
				t.Errorf("an operator asks for %s: %d, %d jobs", path, status, found.Analysed)
			}
		}
		var none api.JobFindings
		if status, _ := x.call("bob", "GET", "/jobs/findings?"+window, nil, &none); status != 200 || none.Jobs != 0 || none.Findings == nil || len(none.Findings) != 0 {
			t.Errorf("bob: %d %+v", status, none)
		}
	})
}

func TestAdviceComesFromTheUsersOwnHistory(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *gormstore.Store) {
		x := analysedSite(t, s, runsOf("alice", "1002", 20, 3), runsOf("carol", "1005", 40, 5))
		id := jobkey.Untagged("lab", "20", 1795000000).String()
		var a advice.Advice
		if status, code := x.call("alice", "GET", "/jobs/"+id+"/advice?from=2026-11-01T00:00:00Z", nil, &a); status != 200 {
			t.Fatalf("%d %s", status, code)
		}
		if m := a.Item(advice.Memory); a.Runs != 3 || m.Verdict != advice.Cut || m.Directive != "--mem=1536M" {
			t.Errorf("%d runs, %+v", a.Runs, a.Item(advice.Memory))
		}
		target := advice.Target{Fingerprint: advice.Fingerprint{Name: "fit_#"}, Nodes: 1, CPUs: 4, Tasks: 1, CPUsPerTask: 4}
		var b advice.Advice
		if status, code := x.call("alice", "POST", "/jobs/advice?from=2026-11-01T00:00:00Z", target, &b); status != 200 {
			t.Fatalf("%d %s", status, code)
		}
		if m, c := b.Item(advice.Memory), b.Item(advice.CPUs); m.Directive != "--mem=1536M" || m.Current != 32<<30 || c.Directive != "--cpus-per-task=2" || b.Runs != 3 {
			t.Errorf("of a script: %d runs, %+v, %+v", b.Runs, m, c)
		}
		if status, _ := x.call("bob", "GET", "/jobs/"+id+"/advice", nil, nil); status != 404 {
			t.Errorf("bob asks about alice's job: %d", status)
		}
		b = advice.Advice{}
		if status, _ := x.call("bob", "POST", "/jobs/advice?from=2026-11-01T00:00:00Z", target, &b); status != 200 || b.Runs != 0 {
			t.Errorf("bob has no history: %d, %d runs", status, b.Runs)
		}
		if status, code := x.call("bob", "POST", "/jobs/advice", map[string]any{"name": "x", "path": "/home/bob"}, nil); status != 400 || code != "invalid_request" {
			t.Errorf("an unknown member: %d %s", status, code)
		}
	})
}

// scriptedRun is a job of one name whose wrapper told of its script: an event, and its accounting.
func scriptedRun(t *testing.T, x *site, number int, script *workprint.Text, bytes int64, submitLine string) string {
	t.Helper()
	sub, at := uuid.Must(uuid.NewV7()), time.Unix(1795000000, 0).UTC()
	id := fmt.Sprint(number)
	event := api.AgentEvent{EventId: uuid.New(), JobId: jobkey.Tagged(sub, ""), Type: "submitted", At: at, Job: api.JobSnapshot{
		SlurmJobId: id, JobIdRaw: id, SubmissionId: &sub, Uid: 1002, UnixUser: "alice", State: "PENDING", SlurmState: "PENDING", SubmitAt: at, Script: script, InputBytes: &bytes,
	}}
	var res struct{ Results []api.EventResult }
	if status, code := x.call("agent", "POST", "/agent/events", map[string]any{"events": []api.AgentEvent{event}}, &res); status != 200 || res.Results[0].Status != "accepted" {
		t.Fatalf("%d %s %+v", status, code, res)
	}
	dump := "JobID|JobIDRaw|JobName|UID|User|State|Submit|Start|End|NodeList|ExitCode|ElapsedRaw|AllocCPUS|NNodes|AllocTRES|TotalCPU|TRESUsageInTot|TimelimitRaw|NTasks|Comment|SubmitLine\n" +
		id + "|" + id + "|same|1002|alice|COMPLETED|1795000000|1795000010|1795003610|n1|0:0|3600|4|1|cpu=4,mem=32G,node=1|||||" + jobkey.Tag(sub, "") + "|" + submitLine + "\n" +
		id + ".0|" + id + ".0|same|||COMPLETED|1795000010|1795000010|1795003610|n1|0:0|3600|4|1|cpu=4,mem=32G,node=1|01:00:00|cpu=01:00:00,mem=1G||1||\n"
	if status, code := x.call("agent", "POST", "/agent/accounting", batch(dump), nil); status != 200 {
		t.Fatalf("%d %s", status, code)
	}
	return event.JobId.String()
}

func TestTwoScriptsOfOneNameAreAdvisedApart(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *gormstore.Store) {
		x := newSite(t, s)
		x.jobs.Intake(jobs.Intake{NoSubmitLine: true})
		one, two := workprint.Script("./one --size 5\n"), workprint.Script("./two --size 5\n")
		var ofOne, ofTwo string
		for i := range 3 {
			ofOne = scriptedRun(t, x, 50+i, one, 1000, "sbatch -n 1 job.sh in.dat 7")
			ofTwo = scriptedRun(t, x, 60+i, two, 0, "sbatch -n 1 job.sh in.dat 7")
		}
		ofThird := scriptedRun(t, x, 70, one, 0, "sbatch job.sh other.dat")
		unknown := scriptedRun(t, x, 71, nil, 0, "")
		for name, bad := range map[string]api.JobSnapshot{
			"a text": {Script: &workprint.Text{Digest: "cat /etc/passwd"}}, "many numbers": {Script: &workprint.Text{Digest: one.Digest, Numbers: make([]float64, workprint.MaxNumbers+1)}},
			"a negative number": {Script: &workprint.Text{Digest: one.Digest, Numbers: []float64{-1}}}, "a negative size": {InputBytes: ptrTo(int64(-1))},
		} {
			bad.SlurmJobId, bad.JobIdRaw, bad.UnixUser, bad.State, bad.SlurmState, bad.SubmitAt = "9", "9", "alice", "PENDING", "PENDING", time.Unix(1795000000, 0).UTC()
			event := api.AgentEvent{EventId: uuid.New(), JobId: uuid.New(), Type: "submitted", At: bad.SubmitAt, Job: bad}
			if status, code := x.call("agent", "POST", "/agent/events", map[string]any{"events": []api.AgentEvent{event}}, nil); status != 400 || code != "invalid_request" {
				t.Errorf("%s: %d %s", name, status, code)
			}
		}
		if _, err := x.insight.AnalyseDue(context.Background(), func(int) {}); err != nil {
			t.Fatal(err)
		}
		for id, want := range map[string]advice.Group{ofOne: {SameScript: 3, SameArguments: 3}, ofTwo: {SameScript: 3, SameArguments: 3}, ofThird: {SameScript: 1, SameArguments: 1}, unknown: {}} {
			var a advice.Advice
			if status, code := x.call("alice", "GET", "/jobs/"+id+"/advice?from=2026-11-01T00:00:00Z", nil, &a); status != 200 {
				t.Fatalf("%d %s", status, code)
			}
			if runs := map[string]int{ofOne: 4, ofTwo: 4, ofThird: 2, unknown: 8}[id]; a.Runs != runs || a.Group != want {
				t.Errorf("%d runs, want %d; %+v, want %+v", a.Runs, runs, a.Group, want)
			}
		}
		var r efficiency.Report
		if x.call("alice", "GET", "/jobs/"+ofOne+"/efficiency", nil, &r); r.Job.Script == nil || r.Job.Script.Numbers[0] != 5 || r.Job.InputBytes == nil || *r.Job.InputBytes != 1000 || r.Job.Arguments.Numbers[0] != 7 {
			t.Errorf("%+v", r.Job)
		}
	})
}

func TestUsageIsTheCallersOwnUnlessAnOperatorAsksForAll(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *gormstore.Store) {
		x := analysedSite(t, s, runsOf("alice", "1002", 20, 3), runsOf("carol", "1005", 40, 2))
		var u api.Usage
		if status, code := x.call("alice", "GET", "/jobs/usage?by=month&metrics=job_count,cpu_hours,cpu_ledger,energy_kwh", nil, &u); status != 200 {
			t.Fatalf("%d %s", status, code)
		}
		if len(u.Groups) != 1 || *u.Groups[0].Key != "2026-11" {
			t.Fatalf("%+v", u)
		}
		got := func(name string) float64 {
			v := u.Groups[0].Values[name]
			if v == nil {
				return math.NaN()
			}
			return *v
		}
		sum := got("cpu_used_hours") + got("cpu_idle_hours") + got("cpu_forced_hours") + got("cpu_lost_hours") + got("cpu_unmeasured_hours")
		if got("job_count") != 3 || got("cpu_hours") != 12 || got("cpu_used_hours") != 3 || got("cpu_allocated_hours")+got("cpu_overuse_hours") != sum || !math.IsNaN(got("energy_kwh")) {
			t.Errorf("%+v", u.Groups)
		}
		if status, _ := x.call("alice", "GET", "/jobs/usage?by=user&all_users=true", nil, nil); status != 403 {
			t.Errorf("a user asks for all: %d", status)
		}
		if status, _ := x.call("operator", "GET", "/jobs/usage?by=user&all_users=true", nil, &u); status != 200 || len(u.Groups) != 2 {
			t.Errorf("operator: %d %+v", status, u)
		}
		for _, path := range []string{"?by=colour", "?metrics=smell", "?timezone=Mars/Base"} {
			if status, code := x.call("alice", "GET", "/jobs/usage"+path, nil, nil); status != 400 || code != "invalid_request" {
				t.Errorf("%s: %d %s", path, status, code)
			}
		}
	})
}

func TestAnArrayIsDescribedByItsTasks(t *testing.T) {
	text := "JobID|JobIDRaw|JobName|UID|User|State|Submit|Start|End|NodeList|ExitCode|ElapsedRaw|AllocCPUS|NNodes|AllocTRES|TotalCPU\n"
	for i := range 12 {
		state, used := "COMPLETED", fmt.Sprintf("00:%02d:00", 5*i)
		if i == 3 {
			state = "TIMEOUT"
		}
		text += fmt.Sprintf("70_%d|%d|sim|1002|alice|%s|1795000000|1795000010|1795003610|n1|0:0|3600|1|1|cpu=1,mem=8G,node=1|\n", i, 70+i, state) +
			fmt.Sprintf("70_%d.0|%d.0|sim|||%s|1795000010|1795000010|1795003610|n1|0:0|3600|1|1|cpu=1,mem=8G,node=1|%s\n", i, 70+i, state, used)
	}
	storetest.Each(t, func(t *testing.T, s *gormstore.Store) {
		x := analysedSite(t, s, text)
		var list struct{ Jobs []api.Job }
		x.call("alice", "GET", "/jobs?slurm_job_id=70_2", nil, &list)
		var sum efficiency.ArraySummary
		if status, code := x.call("alice", "GET", "/jobs/"+list.Jobs[0].Id.String()+"/array", nil, &sum); status != 200 {
			t.Fatalf("%d %s", status, code)
		}
		d := sum.Distributions[efficiency.CPUEfficiency]
		if sum.JobID != "70" || sum.Tasks != 12 || sum.States["COMPLETED"] != 11 || len(sum.Failed[efficiency.CauseTimeout]) != 1 || d.N != 12 || d.Worst[0].JobID != "70_0" {
			t.Errorf("%+v", sum)
		}
		if status, _ := x.call("bob", "GET", "/jobs/"+list.Jobs[0].Id.String()+"/array", nil, nil); status != 404 {
			t.Errorf("bob: %d", status)
		}
	})
}

func TestWhatAJobTookIsDividedAmongItsStoredOutputs(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *gormstore.Store) {
		x := analysedSite(t, s, runsOf("alice", "1002", 20, 1))
		id := jobkey.Untagged("lab", "20", 1795000000).String()
		x.sql("UPDATE reports SET energy_j = 3600, cost = 0.5, cost_unit = 'EUR' WHERE job_id = '%s'", id)
		at, yes := fmt.Sprint(time.Now().UnixMicro()), "1"
		if s.Dialect() == gormstore.Postgres {
			at, yes = "now()", "true"
		}
		for name, of := range map[string]struct {
			user  uuid.UUID
			class string
			size  int
		}{"a.dat": {x.alice, "output", 300}, "b.dat": {x.alice, "output", 100}, "log": {x.alice, "stdout", 50}, "foreign": {x.bob, "output", 600}} {
			x.sql(`INSERT INTO objects (id, user_id, job_id, class, name, object_key, size_bytes, sha256, sha256_verified, content_type, created_at)
				VALUES ('%s', '%s', '%s', '%s', '%s', 'k/%s', %d, 'aa', %s, '', %s)`, uuid.New(), of.user, id, of.class, name, name, of.size, yes, at)
		}
		var res api.JobResults
		if status, code := x.call("alice", "GET", "/jobs/"+id+"/results", nil, &res); status != 200 {
			t.Fatalf("%d %s", status, code)
		}
		if len(res.Results) != 2 || *res.Job.EnergyJoule != 3600 || res.Job.CarbonGram != nil {
			t.Fatalf("%+v", res)
		}
		a, b := res.Results[0], res.Results[1]
		if a.Name != "a.dat" || *a.Footprint.EnergyJoule != 2700 || *b.Footprint.Cost != 0.125 || *b.Footprint.CostUnit != "EUR" || b.Footprint.CarbonGram != nil {
			t.Errorf("%+v %+v", a, b)
		}
		x.sql("UPDATE reports SET carbon_g = 80 WHERE job_id = '%s'", id)
		x.call("alice", "GET", "/jobs/"+id+"/results", nil, &res)
		if a, b := res.Results[0].Footprint.CarbonGram, res.Results[1].Footprint.CarbonGram; a == nil || b == nil || *a != 60 || *b != 20 {
			t.Errorf("80 g of 300 and 100 bytes: %v %v", a, b)
		}
		if status, _ := x.call("bob", "GET", "/jobs/"+id+"/results", nil, nil); status != 404 {
			t.Errorf("bob: %d", status)
		}
	})
}

func TestAHetJobHasATotalWithItsComponents(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *gormstore.Store) {
		text := "JobID|JobIDRaw|JobName|UID|User|State|Submit|Start|End|NodeList|ExitCode|ElapsedRaw|AllocCPUS|NNodes|AllocTRES|TRESUsageInTot\n" +
			"80+0|80|sim|1002|alice|COMPLETED|1795000000|1795000010|1795003610|n1|0:0|3600|1|1|cpu=1,mem=8G,node=1|\n" +
			"80+0.batch|80.batch|sim|||COMPLETED|1795000010|1795000010|1795003610|n1|0:0|3600|1|1|cpu=1,mem=8G,node=1|cpu=01:00:00,mem=1G\n" +
			"80+1|81|sim|1002|alice|OUT_OF_MEMORY|1795000000|1795000010|1795003610|n2|0:125|3600|3|1|cpu=3,mem=8G,node=1|\n" +
			"80+1.0|81.0|sim|||OUT_OF_MEMORY|1795000010|1795000010|1795003610|n2|0:125|3600|3|1|cpu=3,mem=8G,node=1|cpu=00:00:00,mem=8G\n"
		x := analysedSite(t, s, text)
		for _, raw := range []string{"80", "81"} {
			var r api.Report
			path := "/jobs/" + jobkey.Untagged("lab", raw, 1795000000).String() + "/efficiency?total=true"
			if status, code := x.call("alice", "GET", path, nil, &r); status != 200 {
				t.Fatalf("%d %s", status, code)
			}
			if v, _ := r.Value(efficiency.CPUEfficiency); v != 25 || r.ID != "80" || len(r.Attempts) != 2 || r.Attempts[0].Job.JobID != "80+0" || r.Job.SlurmState != "OUT_OF_MEMORY" {
				t.Errorf("%s: %v %+v", raw, v, r.Job)
			}
			if status, _ := x.call("bob", "GET", path, nil, nil); status != 404 {
				t.Errorf("another user: %d", status)
			}
		}
	})
}

func TestARunningJobIsSeenLive(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *gormstore.Store) {
		const running = head + "20|20|sim|1002|alice|RUNNING|1795000000|1795000010|Unknown|n1|0:0|100|4|1|cpu=4,mem=8G,node=1||120\n"
		x := analysedSite(t, s, running, finished("21", "1002", "alice"))
		at := time.Now()
		live := batch("JobID|JobIDRaw|Submit|Start|NTasks|TRESUsageInTot\n20.batch|20|1795000000|1795000010|1|cpu=00:01:40,mem=1G\n")
		live.SampledAt = &at
		var res api.AccountingResult
		if status, code := x.call("agent", "POST", "/agent/accounting", live, &res); status != 200 || res.Jobs != 1 || res.Rows != 1 {
			t.Fatalf("%d %s %+v", status, code, res)
		}
		if status, _ := x.call("alice", "POST", "/agent/accounting", live, nil); status != 403 {
			t.Errorf("a user sends samples: %d", status)
		}
		var report api.Report
		if status, code := x.call("alice", "GET", "/jobs/"+jobkey.Untagged("lab", "20", 1795000000).String()+"/efficiency", nil, &report); status != 200 {
			t.Fatalf("%d %s", status, code)
		}
		used := report.Metrics["cpu_used"]
		if used.Value == nil || *used.Value != 100 || used.Source != efficiency.SourceSstat || !used.Has(efficiency.Running) {
			t.Errorf("%+v", used)
		}
		var found api.JobFindings
		if status, _ := x.call("alice", "GET", "/jobs/findings?"+window, nil, &found); status != 200 || found.Analysed != 1 {
			t.Errorf("%d: findings of %d jobs, one of which has ended", status, found.Analysed)
		}
	})
}

func ptrTo[T any](v T) *T { return &v }
