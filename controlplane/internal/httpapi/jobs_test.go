package httpapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore/storetest"
	"github.com/ergon-hpc/ergon/controlplane/internal/httpapi"
	"github.com/ergon-hpc/ergon/controlplane/internal/httpapi/apitest"
	"github.com/ergon-hpc/ergon/controlplane/internal/insight"
	"github.com/ergon-hpc/ergon/controlplane/internal/jobs"
	"github.com/ergon-hpc/ergon/controlplane/internal/principal"
	"github.com/ergon-hpc/ergon/shared/api"
	"github.com/ergon-hpc/ergon/shared/jobkey"
)

// tokens maps tokens to callers.
type tokens map[string]principal.Principal

func (t tokens) Authenticate(_ context.Context, token string) (principal.Principal, error) {
	if p, ok := t[token]; ok {
		return p, nil
	}
	return principal.Principal{}, apperr.New(apperr.Unauthorized, "no such token")
}

// profilesOnDisk serves stored objects out of a directory.
type profilesOnDisk string

func (d profilesOnDisk) Open(_ context.Context, key string) (io.ReadCloser, error) {
	return os.Open(filepath.Join(string(d), filepath.Base(key)))
}

// site is a server with two users, an operator, and the site's agent.
type site struct {
	t          testing.TB
	url        string
	store      *gormstore.Store
	insight    *insight.Service
	alice, bob uuid.UUID
	cluster    jobs.Cluster
	jobs       *jobs.Service
}

func newSite(t *testing.T, s *gormstore.Store) *site {
	t.Helper()
	rows, reports := gormstore.NewJobs(s), gormstore.NewInsight(s)
	c, _, err := rows.ClusterByName(context.Background(), "lab", true)
	if err != nil {
		t.Fatal(err)
	}
	x := &site{t: t, store: s, alice: uuid.New(), bob: uuid.New(), cluster: c}
	log := slog.New(slog.DiscardHandler)
	x.insight = insight.New(reports, profilesOnDisk("../../../shared/hdf5/testdata"), time.Now, log, insight.Config{})
	svc := jobs.New(rows, rows, time.Now, nil)
	x.jobs = svc
	auth := tokens{
		"alice": {Kind: principal.User, ID: x.alice.String(), Role: principal.RoleUser}, "bob": {Kind: principal.User, ID: x.bob.String(), Role: principal.RoleUser},
		"operator": {Kind: principal.User, ID: uuid.NewString(), Role: principal.RoleOperator},
		"agent": {
			Kind: principal.Agent, ID: uuid.NewString(), ClusterID: c.ID, AgentKind: principal.AgentSystem,
			Scopes: []principal.Scope{principal.ScopeJobsLinked, principal.ScopeAccountingCluster},
		},
	}
	server, err := httpapi.New(httpapi.Config{Log: log, Now: time.Now, Authenticator: auth, Handlers: httpapi.Handlers{
		Jobs: httpapi.NewJobs(svc, x.insight, rows, time.Now), AgentJobs: httpapi.NewAgentJobs(svc, nil),
	}})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(apitest.Check(t, server))
	t.Cleanup(srv.Close)
	x.url = srv.URL
	now := map[gormstore.Dialect]string{gormstore.SQLite: "1", gormstore.Postgres: "now()"}[s.Dialect()]
	for id, name := range map[uuid.UUID]string{x.alice: "alice", x.bob: "bob"} {
		x.sql("INSERT INTO users (id, username, created_at) VALUES ('%s', '%s', %s)", id, name, now)
	}
	x.sql("INSERT INTO links (id, cluster_id, uid, gid, unix_name, user_id, created_at) VALUES ('%s', '%s', 1002, 1, 'alice', '%s', %s)", uuid.New(), c.ID, x.alice, now)
	return x
}

func (x *site) sql(format string, args ...any) {
	x.t.Helper()
	if _, err := x.store.SQL().Exec(fmt.Sprintf(format, args...)); err != nil {
		x.t.Fatal(err)
	}
}

// call sends body (nil: none) and decodes the answer into out; it returns the status and the problem's code.
func (x *site) call(token, method, path string, body, out any) (status int, code string) {
	x.t.Helper()
	var b bytes.Buffer
	if body != nil {
		if err := json.NewEncoder(&b).Encode(body); err != nil {
			x.t.Fatal(err)
		}
	}
	req, err := http.NewRequestWithContext(context.Background(), method, x.url+path, &b)
	if err != nil {
		x.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		x.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		x.t.Fatal(err)
	}
	if res.StatusCode >= http.StatusMultipleChoices {
		var p api.Problem
		_ = json.Unmarshal(text, &p)
		return res.StatusCode, string(p.Code)
	}
	if out != nil {
		if err := json.Unmarshal(text, out); err != nil {
			x.t.Fatalf("%s: %v", text, err)
		}
	}
	return res.StatusCode, ""
}

// batch makes accounting rows out of a dump.
func batch(text string) api.AccountingBatch {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	out := api.AccountingBatch{Columns: strings.Split(lines[0], "|")}
	for _, l := range lines[1:] {
		out.Rows = append(out.Rows, strings.Split(l, "|"))
	}
	return out
}

const head = "JobID|JobIDRaw|JobName|UID|User|State|Submit|Start|End|NodeList|ExitCode|ElapsedRaw|AllocCPUS|NNodes|AllocTRES|TotalCPU|TimelimitRaw\n"

func finished(id, uid, user string) string {
	return head + id + "|" + id + "|sim|" + uid + "|" + user + "|COMPLETED|1795000000|1795000010|1795004010|n1|0:0|4000|4|1|cpu=4,mem=8G,node=1|01:06:40|120\n" +
		id + ".batch|" + id + ".batch|batch|||COMPLETED|1795000010|1795000010|1795004010|n1|0:0|4000|4|1|cpu=4,mem=8G,node=1|01:06:40|\n"
}

func TestFromAccountingToTheReport(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *gormstore.Store) {
		x := newSite(t, s)
		var res api.AccountingResult
		if status, code := x.call("agent", "POST", "/agent/accounting", batch(finished("20", "1002", "alice")), &res); status != 200 || res.Jobs != 1 || res.Rows != 2 {
			t.Fatalf("%d %s %+v", status, code, res)
		}
		id := jobkey.Untagged("lab", "20", 1795000000).String()
		if status, code := x.call("alice", "GET", "/jobs/"+id+"/efficiency", nil, nil); status != 409 && code != "not_analysed" {
			t.Errorf("before the analysis: %d %s", status, code)
		}
		if w, err := x.insight.AnalyseDue(context.Background(), func(int) {}); err != nil || w.Analysed != 1 {
			t.Fatalf("%+v %v", w, err)
		}
		var report api.Report
		if status, code := x.call("alice", "GET", "/jobs/"+id+"/efficiency", nil, &report); status != 200 {
			t.Fatalf("%d %s", status, code)
		}
		if v, ok := report.Value("cpu_efficiency"); !ok || v != 25 {
			t.Errorf("cpu efficiency %v %v", v, ok)
		}
		var list struct {
			Jobs []api.Job
		}
		x.call("alice", "GET", "/jobs?cluster=lab&state=DONE", nil, &list)
		if len(list.Jobs) != 1 || list.Jobs[0].CpuEfficiency == nil || *list.Jobs[0].CpuEfficiency.Value != 25 || len(list.Jobs[0].Attempts) != 1 {
			t.Errorf("%+v", list)
		}
		var sum api.JobsSummary
		x.call("alice", "GET", "/jobs/summary?from=2026-11-01T00:00:00Z&to=2026-12-01T00:00:00Z", nil, &sum)
		if sum.Jobs != 1 || *sum.Analysed != 1 || sum.CpuAllocatedCoreS != 16000 || len(sum.Worst) != 1 || *sum.Aggregate["cpu_efficiency"].Value != 25 || sum.Worst[0].Verdict == "" {
			t.Errorf("%+v", sum)
		}
		if status, code := x.call("alice", "GET", "/jobs/"+id+"/series", nil, nil); code != "not_analysed" {
			t.Errorf("series without a profile: %d %s", status, code)
		}
	})
}

// profiled is the accounting of the job whose step 20.0 wrote the profile 20_0_n1.h5: the times of both agree.
const profiled = head +
	"20|20|sim|1002|alice|COMPLETED|1795421970|1795421973|1795421988|n1|0:0|15|4|1|cpu=4,mem=8G,node=1|00:00:15|120\n" +
	"20.0|20.0|burn|||COMPLETED|1795421973|1795421973|1795421988|n1|0:0|15|4|1|cpu=4,mem=8G,node=1|00:00:15|\n"

func TestProfileRefinesTheReport(t *testing.T) {
	x := newSite(t, storetest.SQLite(t))
	x.call("agent", "POST", "/agent/accounting", batch(profiled), nil)
	id := jobkey.Untagged("lab", "20", 1795421970)
	if _, err := x.insight.AnalyseDue(context.Background(), func(int) {}); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat("../../../shared/hdf5/testdata/20_0_n1.h5")
	if err != nil {
		t.Fatal(err)
	}
	x.sql(`INSERT INTO objects (id, user_id, job_id, class, name, object_key, size_bytes, sha256, sha256_verified, content_type, created_at)
		VALUES ('%s', '%s', '%s', 'profile', '20_0_n1.h5', 'k/20_0_n1.h5', %d, 'aa', 1, '', %d)`, uuid.New(), x.alice, id, info.Size(), time.Now().UnixMicro())
	if err := x.insight.Recover(context.Background()); err != nil { // nobody told of the profile: it is found all the same
		t.Fatal(err)
	}
	if w, err := x.insight.AnalyseDue(context.Background(), func(int) {}); err != nil || w.Analysed != 1 {
		t.Fatalf("%+v %v", w, err)
	}
	if err := x.insight.Recover(context.Background()); err != nil {
		t.Fatal(err)
	}
	if due, err := x.insight.Due(context.Background(), 5); err != nil || len(due) != 0 {
		t.Errorf("due again: %v %v", due, err)
	}
	var report api.Report
	x.call("alice", "GET", "/jobs/"+id.String()+"/efficiency", nil, &report)
	if report.Job.JobID != "20" || !slices.Contains(report.Sources, "hdf5_profile") {
		t.Errorf("job %+v from %q, want it from its profile too", report.Job, report.Sources)
	}
}

func TestOthersJobsDoNotExist(t *testing.T) {
	x := newSite(t, storetest.SQLite(t))
	x.call("agent", "POST", "/agent/accounting", batch(finished("20", "1002", "alice")), nil)
	id := jobkey.Untagged("lab", "20", 1795000000).String()
	for _, path := range []string{"/jobs/" + id, "/jobs/" + id + "/events", "/jobs/" + id + "/efficiency", "/jobs/" + id + "/series", "/jobs/" + uuid.NewString()} {
		if status, code := x.call("bob", "GET", path, nil, nil); status != 404 || code != "not_found" {
			t.Errorf("%s: %d %s", path, status, code)
		}
	}
	if status, code := x.call("bob", "GET", "/jobs?all_users=true", nil, nil); status != 403 {
		t.Errorf("all users as bob: %d %s", status, code)
	}
	var list struct{ Jobs []api.Job }
	if status, _ := x.call("operator", "GET", "/jobs?all_users=true", nil, &list); status != 200 || len(list.Jobs) != 1 {
		t.Errorf("operator: %d, %d jobs", status, len(list.Jobs))
	}
	if status, _ := x.call("operator", "GET", "/jobs/"+id, nil, nil); status != 200 {
		t.Errorf("operator: %d", status)
	}
}

func TestListsArePaged(t *testing.T) {
	x := newSite(t, storetest.SQLite(t))
	text := head
	for i := range 5 {
		text += fmt.Sprintf("%d|%d|sim|1002|alice|COMPLETED|%d|1795000010|1795004010|n1|0:0|4000|4|1|||\n", 30+i, 30+i, 1795000000+i/2)
	}
	x.call("agent", "POST", "/agent/accounting", batch(text), nil)
	var seen []string
	path := "/jobs?limit=2"
	for path != "" {
		var page struct {
			Jobs []api.Job `json:"jobs"`
			Next *string   `json:"next_cursor"`
		}
		if status, code := x.call("alice", "GET", path, nil, &page); status != 200 {
			t.Fatalf("%d %s", status, code)
		}
		for _, j := range page.Jobs {
			seen = append(seen, j.SlurmJobId)
		}
		path = ""
		if page.Next != nil {
			path = "/jobs?limit=2&cursor=" + *page.Next
		}
	}
	if len(seen) != 5 || seen[0] != "34" {
		t.Errorf("saw %v", seen)
	}
	if status, code := x.call("alice", "GET", "/jobs?cursor=garbage", nil, nil); status != 400 || code != "invalid_request" {
		t.Errorf("bad cursor: %d %s", status, code)
	}
}

func TestEventsReachTheirOwner(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *gormstore.Store) {
		x := newSite(t, s)
		sub := uuid.Must(uuid.NewV7())
		event := api.AgentEvent{
			EventId: uuid.New(), JobId: jobkey.Tagged(sub, ""), Seq: 0, Type: "submitted", At: time.Now().UTC(),
			Job:      api.JobSnapshot{SlurmJobId: "40", JobIdRaw: "40", SubmissionId: &sub, Uid: 1002, UnixUser: "alice", State: "PENDING", SlurmState: "PENDING", SubmitAt: time.Now().UTC()},
			Manifest: &[]api.ManifestEntry{{Path: "a\x00b", Class: "output", Size: 3, Status: "found"}},
		}
		name := "evil\x00\n|name"
		event.Job.Name = &name
		bad := event
		bad.EventId, bad.JobId = uuid.New(), uuid.New()
		var res struct{ Results []api.EventResult }
		status, code := x.call("agent", "POST", "/agent/events", map[string]any{"events": []api.AgentEvent{event, event, bad}}, &res)
		if status != 200 || len(res.Results) != 3 || res.Results[0].Status != "accepted" || res.Results[1].Status != "duplicate" || res.Results[2].Status != "refused" {
			t.Fatalf("%d %s %+v", status, code, res)
		}
		var list struct{ Events []api.JobEvent }
		x.call("alice", "GET", "/jobs/"+event.JobId.String()+"/events", nil, &list)
		if len(list.Events) != 1 || list.Events[0].Manifest == nil {
			t.Errorf("%+v", list)
		}
		if status, code := x.call("alice", "GET", "/jobs/"+event.JobId.String()+"/efficiency", nil, nil); code != "not_analysed" {
			t.Errorf("a job without accounting: %d %s", status, code)
		}
		if status, _ := x.call("alice", "POST", "/agent/events", map[string]any{"events": []api.AgentEvent{}}, nil); status != 403 {
			t.Errorf("a user posts events: %d", status)
		}
	})
}

func TestClusterFactsReachTheAnalysis(t *testing.T) {
	x := newSite(t, storetest.SQLite(t))
	gather, freq := "jobacct_gather/cgroup", "task=30,energy=10"
	v := api.ClusterFactsCgroupVersion("v2")
	facts := map[string]any{
		"slurm_version": "22.05.8", "job_acct_gather_type": gather, "job_acct_gather_frequency": freq, "cgroup_version": v,
		"nodes":      []map[string]any{{"name": "n1", "sockets": 1, "cores_per_socket": 2, "threads_per_core": 2, "memory_bytes": 1 << 33, "gres": "gpu:a100:2(S:0)"}},
		"partitions": []map[string]any{{"name": "main", "limit_seconds": 7200}, {"name": "gpu", "def_cpu_per_gpu": 16, "exclusive": true}, {"name": "long", "unlimited": true}},
	}
	if status, code := x.call("agent", "PUT", "/agent/nodes", facts, nil); status != 204 {
		t.Fatalf("%d %s", status, code)
	}
	inPartition := strings.NewReplacer("TimelimitRaw\n", "TimelimitRaw|Partition\n", "|120\n", "|Partition_Limit|main\n", "01:06:40|\n", "01:06:40||\n")
	x.call("agent", "POST", "/agent/accounting", batch(inPartition.Replace(finished("20", "1002", "alice"))), nil)
	if _, err := x.insight.AnalyseDue(context.Background(), func(int) {}); err != nil {
		t.Fatal(err)
	}
	var report api.Report
	x.call("alice", "GET", "/jobs/"+jobkey.Untagged("lab", "20", 1795000000).String()+"/efficiency", nil, &report)
	if report.Job.ThreadsPerCore == nil || *report.Job.ThreadsPerCore != 2 {
		t.Errorf("threads per core: %+v", report.Job)
	}
	if v, ok := report.Value("time_efficiency"); !ok || math.Abs(v-100*4000.0/7200) > 1e-9 {
		t.Errorf("4000 s of the partition's two hours: %v %v", v, ok)
	}
}
