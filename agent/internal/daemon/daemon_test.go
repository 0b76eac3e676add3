package daemon_test

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ergon-hpc/ergon/agent/internal/cloud"
	"github.com/ergon-hpc/ergon/agent/internal/config"
	"github.com/ergon-hpc/ergon/agent/internal/daemon"
	"github.com/ergon-hpc/ergon/agent/internal/enrol"
	"github.com/ergon-hpc/ergon/agent/internal/journal"
	"github.com/ergon-hpc/ergon/agent/internal/outbound"
	"github.com/ergon-hpc/ergon/agent/internal/outputs"
	"github.com/ergon-hpc/ergon/agent/internal/slurm/slurmtest"
	"github.com/ergon-hpc/ergon/agent/internal/socket"
	"github.com/ergon-hpc/ergon/shared/api"
	"github.com/ergon-hpc/ergon/shared/jobkey"
	"github.com/ergon-hpc/ergon/shared/workprint"
	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
)

// plane is a control plane at the socket that believes everybody.
type plane struct {
	*httptest.Server
	mu     sync.Mutex
	links  []api.Link
	events []api.AgentEvent
	rows   int
	// samples are the batches of sstat.
	samples []api.AccountingBatch
	nodes   int
	parts   []api.PartitionFacts
	// coordinators is what was told last of who coordinates which account.
	coordinators []api.Coordinator
	down         bool
	revoke       bool
	// holders, when set, says which agent reports a job, by the rules of the control plane; gone are agents that died.
	holders map[uuid.UUID]holder
	gone    map[string]bool
}

type holder struct {
	agent string
	told  bool
}

// hold is what the control plane answers for one event.
func (p *plane) hold(agent string, e api.AgentEvent) api.EventResultStatus {
	told := e.Told != nil && *e.Told
	h, held := p.holders[e.JobId]
	if p.holders == nil || held && h.agent == agent && (h.told || !told) {
		return api.EventResultStatusAccepted
	}
	if held && h.agent != agent && !p.gone[h.agent] && (h.told || !told) {
		return api.EventResultStatusHeld
	}
	p.holders[e.JobId] = holder{agent, told}
	return api.EventResultStatusAccepted
}

// agentOf reads who asks for a token, without checking the signature.
func agentOf(r *http.Request) string {
	var body api.AgentTokenJSONRequestBody
	_ = json.NewDecoder(r.Body).Decode(&body)
	var claims jwt.RegisteredClaims
	_, _, _ = jwt.NewParser().ParseUnverified(body.ClientAssertion, &claims)
	return claims.Issuer
}

func newPlane(t *testing.T) *plane {
	t.Helper()
	p := &plane{}
	mux := http.NewServeMux()
	handle := func(pattern string, h func(w http.ResponseWriter, r *http.Request)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			p.mu.Lock()
			defer p.mu.Unlock()
			switch {
			case p.down:
				answer(w, 503, api.Problem{Code: "busy", Status: 503})
			case p.revoke:
				answer(w, 401, api.Problem{Code: "unauthorized", Status: 401})
			default:
				h(w, r)
			}
		})
	}
	handle("POST /agents/enrol", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, 201, api.Agent{Id: uuid.New(), Cluster: "lab", Kind: "system", Name: "n", Scopes: []api.AgentScopes{}, CreatedAt: time.Now()})
	})
	handle("POST /agents/token", func(w http.ResponseWriter, r *http.Request) {
		answer(w, 200, api.AccessToken{AccessToken: agentOf(r), TokenType: "Bearer", ExpiresIn: 600, ServerTime: time.Now()})
	})
	handle("GET /agent/self", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, 200, api.AgentSelf{Links: p.links, ServerTime: time.Now()})
	})
	handle("POST /agent/links", func(w http.ResponseWriter, r *http.Request) {
		var body api.ConfirmLinkJSONBody
		_ = json.NewDecoder(r.Body).Decode(&body)
		if body.Challenge != "good" {
			detail := "the challenge has expired; run ergon link again"
			answer(w, 410, api.Problem{Code: "challenge_expired", Status: 410, Detail: &detail})
			return
		}
		p.links = append(p.links, api.Link{Id: uuid.New(), Cluster: "lab", Uid: body.Uid, UnixName: body.UnixName, UserId: uuid.New()})
		answer(w, 201, p.links[len(p.links)-1])
	})
	handle("DELETE /agent/links/{uid}", func(w http.ResponseWriter, _ *http.Request) { p.links = nil; w.WriteHeader(204) })
	handle("POST /agent/events", func(w http.ResponseWriter, r *http.Request) {
		var body api.PostEventsJSONBody
		_ = json.NewDecoder(r.Body).Decode(&body)
		results := []api.EventResult{}
		for _, e := range body.Events {
			status := p.hold(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), e)
			if status == api.EventResultStatusAccepted {
				p.events = append(p.events, e)
			}
			results = append(results, api.EventResult{EventId: e.EventId, Status: status})
		}
		answer(w, 200, map[string]any{"results": results})
	})
	handle("POST /agent/accounting", func(w http.ResponseWriter, r *http.Request) {
		var body api.AccountingBatch
		_ = json.NewDecoder(r.Body).Decode(&body)
		if body.SampledAt != nil {
			p.samples = append(p.samples, body)
		} else {
			p.rows += len(body.Rows)
		}
		answer(w, 200, api.AccountingResult{})
	})
	handle("PUT /agent/nodes", func(w http.ResponseWriter, r *http.Request) {
		var facts api.ClusterFacts
		_ = json.NewDecoder(r.Body).Decode(&facts)
		p.nodes = len(facts.Nodes)
		if facts.Partitions != nil {
			p.parts = *facts.Partitions
		}
		w.WriteHeader(204)
	})
	handle("PUT /agent/coordinators", func(w http.ResponseWriter, r *http.Request) {
		var body api.PutCoordinatorsJSONBody
		_ = json.NewDecoder(r.Body).Decode(&body)
		p.coordinators = body.Coordinators
		answer(w, 200, map[string]bool{"applied": true})
	})
	handle("GET /version", func(w http.ResponseWriter, _ *http.Request) { answer(w, 200, api.Version{}) })
	p.Server = httptest.NewServer(mux)
	t.Cleanup(p.Close)
	return p
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	if status >= 400 {
		w.Header().Set("Content-Type", "application/problem+json")
	}
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

func (p *plane) set(f func()) { p.mu.Lock(); defer p.mu.Unlock(); f() }

// told gives "type state phase" of each event so far.
func (p *plane) told() (out []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range p.events {
		phase := ""
		if e.Job.UploadPhase != nil {
			phase = " " + string(*e.Job.UploadPhase)
		}
		out = append(out, fmt.Sprintf("%s %s%s", e.Type, e.Job.State, phase))
	}
	return out
}

// worker stores one file, or fails as told.
type worker struct {
	mu         sync.Mutex
	jobs       []outputs.JobFiles
	collectErr error
	status     outputs.Status
	// hold, when set, keeps an upload under way until it is closed.
	hold chan struct{}
}

func (w *worker) Collect(_ context.Context, job outputs.JobFiles) (outputs.Manifest, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.jobs = append(w.jobs, job)
	return outputs.Manifest{Entries: []outputs.Entry{{Path: "x.nc", Class: outputs.ClassOutput, Status: outputs.StatusFound}}}, w.collectErr
}

func (w *worker) Upload(_ context.Context, _ outputs.JobFiles, m outputs.Manifest, env outputs.UploadEnv) (outputs.Manifest, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if env.Tickets == nil || env.Ledger == nil {
		return m, errors.New("no tickets or ledger")
	}
	env.Progress(outputs.Progress{Files: 3, FilesTotal: 7, Bytes: 1000, BytesTotal: 4000, Current: "a\x1b[2J.nc"})
	if w.hold != nil {
		<-w.hold
	}
	m.Entries[0].Status, m.Entries[0].Reason = w.status, "because"
	return m, nil
}

func (w *worker) Tail(context.Context, outputs.JobFiles, outputs.Class, int64, io.Writer) error {
	return nil
}

// node is a login node with an agent on it.
type node struct {
	t      *testing.T
	fake   *slurmtest.Fake
	plane  *plane
	worker *worker
	opt    daemon.Options
	stop   context.CancelFunc
	done   chan error
	log    *lockedLog
}

type lockedLog struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lockedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}
func (l *lockedLog) String() string { l.mu.Lock(); defer l.mu.Unlock(); return l.text.String() }

func newNode(t *testing.T, system bool) *node {
	t.Helper()
	n := &node{t: t, fake: slurmtest.New(t), plane: newPlane(t), worker: &worker{status: outputs.StatusStored}, log: &lockedLog{}}
	home := t.TempDir()
	c, err := config.Default(config.Env{Getenv: func(name string) string { return map[string]string{"HOME": home}[name] }})
	if err != nil {
		t.Fatal(err)
	}
	on := true
	c.StateDir, c.Socket, c.Slurm.BinDir = filepath.Join(home, "state"), filepath.Join(home, "run", "a.sock"), n.fake.Dir
	c.Slurm.PollInterval, c.Slurm.SqueuePerMinute, c.Slurm.SacctPerMinute, c.Slurm.ScontrolPerMinute = 20*time.Millisecond, 1e6, 1e6, 1e6
	c.Accounting.WindowEvery, c.Uploads.Enabled, c.Uploads.Settle = 50*time.Millisecond, &on, time.Millisecond
	n.fake.Answer("scontrol", "ClusterName = lab\nSLURM_VERSION = 22.05.8\nPrivateData = none\nProfileHDF5Dir = /profiles\nNodeName=n1 CPUTot=4\n"+
		"PartitionName=gpu\n   JobDefaults=DefCpuPerGPU=16,DefMemPerGPU=4096\n   MaxNodes=1 MaxTime=02:00:00 OverSubscribe=EXCLUSIVE\n")
	n.fake.Answer("sacctmgr", "SlurmDBD configuration:\nPrivateData = none\n")
	n.opt = daemon.Options{
		Config: c, System: system, Self: cloud.Peer{UID: uint32(os.Getuid()), Name: "me"}, Version: "test", Environ: os.Environ(), Worker: n.worker,
		Name: func(context.Context, uint32) (string, error) { return "me", nil }, Place: homeless, Log: slog.New(slog.NewJSONHandler(n.log, nil)), Now: time.Now,
	}
	return n
}

func (n *node) enrol() {
	n.t.Helper()
	_, err := enrol.Register(n.t.Context(), n.opt.Config.StateDir, enrol.Request{Server: n.plane.URL, Token: "t", Name: "n", UID: -1, Rand: rand.Reader, HTTP: outbound.NewClient(time.Second)})
	if err != nil {
		n.t.Fatal(err)
	}
}

func (n *node) start() *socket.Client {
	n.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	n.stop, n.done = cancel, make(chan error, 1)
	ready := make(chan struct{})
	var once sync.Once
	n.opt.Notify = func(state string) {
		if state == "READY=1" {
			once.Do(func() { close(ready) })
		}
	}
	done, ended := n.done, make(chan struct{})
	go func() {
		defer close(ended)
		done <- daemon.Run(ctx, n.opt)
	}()
	n.t.Cleanup(func() { cancel(); <-ended }) // or it would still write below the directories that are removed next
	select {
	case <-ready:
	case err := <-n.done:
		n.t.Fatalf("the agent ended: %v\n%s", err, n.log)
	}
	c, err := socket.Find(n.t.Context(), func(string) string { return n.opt.Config.Socket })
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(c.Close)
	return c
}

func (n *node) halt() {
	n.t.Helper()
	n.stop()
	select {
	case err := <-n.done:
		if err != nil {
			n.t.Fatalf("stopping: %v", err)
		}
	case <-time.After(20 * time.Second):
		n.t.Fatal("the agent did not stop in 20 s")
	}
}

// until waits for something to come true.
func (n *node) until(what string, f func() bool) {
	n.t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if f() {
			return
		}
	}
	n.t.Fatalf("never: %s\ntold %q\nlog:\n%s", what, n.plane.told(), n.log)
}

func row(id uuid.UUID, state string) slurmtest.Row {
	now := time.Now().Unix()
	return slurmtest.Row{
		"JobID": "7", "JobIDRaw": "7", "UID": fmt.Sprint(os.Getuid()), "User": "me", "State": state, "Submit": fmt.Sprint(now - 60), "Start": fmt.Sprint(now - 50),
		"End": fmt.Sprint(now - 10), "ExitCode": "0:0", "JobName": "x", "Comment": jobkey.Tag(id, ""), "WorkDir": "/w",
	}
}

// submit tells the agent of a submission and lets Slurm run and end it.
func (n *node) submit(c *socket.Client) uuid.UUID {
	n.t.Helper()
	id, err := jobkey.NewSubmission()
	if err != nil {
		n.t.Fatal(err)
	}
	in := socket.Intent{SubmissionID: id, Dirs: outputs.Dirs{Output: "/o"}, Globs: []string{"*.nc"}, Script: workprint.Script("./fit 10\n")}
	if err := c.Intent(n.t.Context(), in); err != nil {
		n.t.Fatal(err)
	}
	in.InputBytes = 1234 // staged after the intent
	if err := c.Result(n.t.Context(), socket.Result{Intent: in, BaseID: "7"}); err != nil {
		n.t.Fatal(err)
	}
	running := row(id, "RUNNING")
	n.fake.Answer("squeue", slurmtest.Squeue(running))
	n.until("the job is tracked", func() bool {
		jobs, err := c.Jobs(n.t.Context())
		return err == nil && len(jobs) == 1 && jobs[0].State == "RUNNING"
	})
	ended := slurmtest.Row{}
	for k, v := range running {
		ended[k] = v
	}
	ended["State"] = "COMPLETED"
	n.fake.Answer("sacct", slurmtest.Sacct(ended))
	n.fake.Answer("squeue", "")
	return id
}

func (n *node) state(c *socket.Client) socket.Job {
	n.t.Helper()
	jobs, err := c.Jobs(n.t.Context())
	if err != nil || len(jobs) != 1 {
		n.t.Fatalf("got %+v, %v", jobs, err)
	}
	return jobs[0]
}

func TestAJobGoesFromSubmissionToVerifiedOutputs(t *testing.T) {
	t.Parallel()
	n := newNode(t, false)
	n.enrol()
	c := n.start()
	id := n.submit(c)
	n.until("outputs are verified and told", func() bool { return slices.Contains(n.plane.told(), "manifest DONE verified") })
	want := []string{"submitted RUNNING", "state DONE", "upload DONE waiting", "upload DONE collecting", "upload DONE uploading", "manifest DONE verified"}
	if got := n.plane.told(); !slices.Equal(got, want) {
		t.Fatalf("told %q, want %q", got, want)
	}
	n.plane.set(func() {
		for _, e := range n.plane.events {
			if e.Job.Script == nil || e.Job.Script.Digest != workprint.Script("./fit 5\n").Digest || e.Job.Script.Numbers[0] != 10 || e.Job.InputBytes == nil || *e.Job.InputBytes != 1234 {
				t.Errorf("%s: script %+v, inputs %v", e.Type, e.Job.Script, e.Job.InputBytes)
			}
		}
	})
	job := n.worker.jobs[0]
	if job.SubmissionID != id || job.Dirs.Output != "/o" || job.Dirs.Profile != "/profiles/me" || !slices.Equal(job.Globs, []string{"*.nc"}) || job.Dirs.Work != "/w" ||
		time.Since(job.StartedAt) < 50*time.Second || time.Since(job.StartedAt) > time.Hour {
		t.Fatalf("the worker got %+v", job)
	}
	n.until("accounting is handed on", func() bool { n.plane.mu.Lock(); defer n.plane.mu.Unlock(); return n.plane.rows > 0 })
	n.halt()
}

func TestEverythingIsTakenUpAgainAfterARestartAndWithoutAServer(t *testing.T) {
	t.Parallel()
	n := newNode(t, false)
	n.enrol()
	n.plane.set(func() { n.plane.down = true })
	c := n.start()
	n.submit(c)
	n.until("the job has ended", func() bool { return n.state(c).State != "RUNNING" })
	status, err := c.Status(t.Context())
	if err != nil || status.OutboxEvents == 0 {
		t.Fatalf("got %+v, %v", status, err)
	}
	n.halt()
	n.plane.set(func() { n.plane.down = false })
	c = n.start()
	n.until("all is verified", func() bool { return n.state(c).State == "VERIFIED" })
	n.until("all is told", func() bool { return slices.Contains(n.plane.told(), "manifest DONE verified") })
	n.halt()
}

func TestTheAgentWaitsForItsEnrolment(t *testing.T) {
	t.Parallel()
	n := newNode(t, false)
	c := n.start()
	status, err := c.Status(t.Context())
	if err != nil || status.Enrolled {
		t.Fatalf("got %+v, %v", status, err)
	}
	n.submit(c)
	n.enrol()
	n.until("the job's outputs are verified", func() bool { return n.state(c).State == "VERIFIED" })
	n.halt()
}

// homeless has a primary group and no home.
func homeless(context.Context, uint32) (daemon.Place, error) { return daemon.Place{GID: 7}, nil }

func TestInSystemModeOutputsWaitForALink(t *testing.T) {
	t.Parallel()
	n := newNode(t, true)
	n.enrol()
	c := n.start()
	n.submit(c)
	n.until("the outputs are left alone", func() bool { return n.state(c).State == "KEPT" })
	var shown *socket.Error
	if _, err := c.Link(t.Context(), "stale"); !errors.As(err, &shown) || !strings.Contains(shown.Message, "expired") {
		t.Fatalf("got %v", err)
	}
	linked, err := c.Link(t.Context(), "good")
	if err != nil || linked.UnixName != "me" || linked.Cluster != "lab" {
		t.Fatalf("got %+v, %v", linked, err)
	}
	n.until("they are collected after all", func() bool { return n.state(c).State == "VERIFIED" })
	if err := c.Unlink(t.Context()); err != nil {
		t.Fatal(err)
	}
	if status, err := c.Status(t.Context()); err != nil || status.Linked == nil || *status.Linked {
		t.Fatalf("got %+v, %v", status, err)
	}
	n.until("the cluster is described", func() bool { n.plane.mu.Lock(); defer n.plane.mu.Unlock(); return n.plane.nodes == 1 })
	n.halt()
	want := `[{"def_cpu_per_gpu":16,"exclusive":true,"limit_seconds":7200,"name":"gpu"}]`
	if got, _ := json.Marshal(n.plane.parts); string(got) != want {
		t.Errorf("partitions %s, want %s", got, want)
	}
}

func TestTheAgentTellsWhoCoordinatesWhichAccount(t *testing.T) {
	t.Parallel()
	n := newNode(t, true)
	n.fake.Answer("sacctmgr", "root|\nphysics|alice,zoe\nchemistry|bob\n")
	n.enrol()
	n.start()
	n.until("coordinators are told", func() bool {
		n.plane.mu.Lock()
		defer n.plane.mu.Unlock()
		return slices.Equal(n.plane.coordinators, []api.Coordinator{
			{Account: "physics", UnixName: "alice"}, {Account: "physics", UnixName: "zoe"}, {Account: "chemistry", UnixName: "bob"},
		})
	})
}

func TestWhatTheWorkerSaysDecidesTheState(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		set  func(*worker)
		want string
	}{
		"needs login": {func(w *worker) { w.collectErr = fmt.Errorf("x: %w", outputs.ErrNeedsLogin) }, "NEEDS_LOGIN"},
		"unsupported": {func(w *worker) { w.collectErr = outputs.ErrUnsupported }, "KEPT"},
		"no helper":   {func(w *worker) { w.collectErr = outputs.ErrNotLinked }, "KEPT"},
		"hung mount":  {func(w *worker) { w.collectErr = outputs.ErrTimeout }, "COLLECTING"},
		"quota":       {func(w *worker) { w.status = outputs.StatusBlocked }, "UPLOAD_BLOCKED"},
		"not sent":    {func(w *worker) { w.status = outputs.StatusFound }, "UPLOADING"},
		"unstable":    {func(w *worker) { w.status = outputs.StatusUnstable }, "VERIFIED"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newNode(t, false)
			n.enrol()
			c.set(n.worker)
			client := n.start()
			n.submit(client)
			n.until("the state is "+c.want, func() bool { return n.state(client).State == c.want })
			n.halt()
		})
	}
}

func TestARevokedKeyStopsUploadsAndNotTracking(t *testing.T) {
	t.Parallel()
	n := newNode(t, false)
	n.enrol()
	n.plane.set(func() { n.plane.revoke = true })
	c := n.start()
	n.until("revocation is known", func() bool { s, err := c.Status(t.Context()); return err == nil && s.Revoked })
	n.submit(c)
	n.until("tracking goes on", func() bool { return n.state(c).State == "ENDED" })
	time.Sleep(1500 * time.Millisecond)
	if got := n.state(c); got.State != "ENDED" || len(n.worker.jobs) != 0 {
		t.Fatalf("got %+v, %d collections", got, len(n.worker.jobs))
	}
	n.halt()
}

func TestADeclarationThatComesLateIsCollectedAfterAll(t *testing.T) {
	t.Parallel()
	n := newNode(t, false)
	n.enrol()
	c := n.start()
	id, err := jobkey.NewSubmission()
	if err != nil {
		t.Fatal(err)
	}
	ended := row(id, "COMPLETED")
	n.fake.Answer("sacct", slurmtest.Sacct(ended)) // adopted by its tag alone
	n.until("it is adopted and verified", func() bool {
		jobs, err := c.Jobs(t.Context())
		return err == nil && len(jobs) == 1 && jobs[0].State == "VERIFIED"
	})
	late := socket.Result{Intent: socket.Intent{SubmissionID: id, Globs: []string{"*.nc"}, Script: workprint.Script("./fit 10\n")}, BaseID: "7"}
	if err := errors.Join(c.Result(t.Context(), late), c.Result(t.Context(), late)); err != nil {
		t.Fatal(err)
	}
	n.until("it is collected again, with the declaration", func() bool {
		n.worker.mu.Lock()
		defer n.worker.mu.Unlock()
		return len(n.worker.jobs) == 2 && slices.Equal(n.worker.jobs[1].Globs, []string{"*.nc"})
	})
	n.until("and verified again", func() bool { return n.state(c).State == "VERIFIED" })
	n.until("its script is told with the next event", func() bool {
		n.plane.mu.Lock()
		defer n.plane.mu.Unlock()
		return n.plane.events[len(n.plane.events)-1].Job.Script != nil
	})
	n.halt()
}

// A short job's end is told before its wrapper says how large the inputs were: they are told all the same.
func TestWhatTheWrapperSaysOfAJobThatHasEndedIsTold(t *testing.T) {
	t.Parallel()
	for name, intended := range map[string]bool{"its intent came": true, "found by its tag alone": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newNode(t, false)
			n.enrol()
			c := n.start()
			id, err := jobkey.NewSubmission()
			if err != nil {
				t.Fatal(err)
			}
			in := socket.Intent{SubmissionID: id, Globs: []string{"*.nc"}, Script: workprint.Script("./fit 10\n")}
			if !intended {
				in.Globs = nil // nothing is collected anew
			} else if err := c.Intent(t.Context(), in); err != nil {
				t.Fatal(err)
			}
			n.fake.Answer("sacct", slurmtest.Sacct(row(id, "COMPLETED")))
			n.until("it is verified and told", func() bool { return slices.Contains(n.plane.told(), "manifest DONE verified") })
			in.InputBytes = 1234
			if err := c.Result(t.Context(), socket.Result{Intent: in, BaseID: "7"}); err != nil {
				t.Fatal(err)
			}
			n.until("its script and inputs are told", func() bool {
				n.plane.mu.Lock()
				defer n.plane.mu.Unlock()
				last := n.plane.events[len(n.plane.events)-1].Job
				return last.Script != nil && last.InputBytes != nil && *last.InputBytes == 1234
			})
			n.halt()
		})
	}
}

// The name service hangs: neither intent nor result waits for it. The name comes into the row when it answers.
func TestASubmissionDoesNotWaitForTheNameService(t *testing.T) {
	t.Parallel()
	n := newNode(t, false)
	asked, answer := make(chan struct{}, 1), make(chan struct{})
	n.opt.Name = func(ctx context.Context, _ uint32) (string, error) {
		select {
		case asked <- struct{}{}:
		default:
		}
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case <-answer:
			return "alice", nil
		}
	}
	client := n.start()
	id, err := jobkey.NewSubmission()
	if err != nil {
		t.Fatal(err)
	}
	in := socket.Intent{SubmissionID: id}
	if err := errors.Join(client.Intent(t.Context(), in), client.Result(t.Context(), socket.Result{Intent: in, BaseID: "7"})); err != nil {
		t.Fatal(err)
	}
	<-asked
	close(answer)
	n.until("the row has its name", func() bool { return n.submission(id).User == "alice" })
	if s := n.submission(id); s.State != journal.SubmissionTracked || s.BaseID != "7" {
		t.Fatalf("got %+v", s)
	}
}

// submission reads a row of the running agent's journal.
func (n *node) submission(id uuid.UUID) (s journal.Submission) {
	n.t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(n.opt.Config.StateDir, "journal.db")+"?mode=ro")
	if err != nil {
		n.t.Fatal(err)
	}
	defer db.Close()
	row := db.QueryRowContext(n.t.Context(), "SELECT user, state, base_id FROM submissions WHERE id = ?", id.String())
	if err := row.Scan(&s.User, &s.State, &s.BaseID); err != nil {
		n.t.Fatal(err)
	}
	return s
}

func TestHostileIntentsAreRefused(t *testing.T) {
	t.Parallel()
	n := newNode(t, false)
	c := n.start()
	good, err := jobkey.NewSubmission()
	if err != nil {
		t.Fatal(err)
	}
	hostile := map[string]socket.Result{
		"no id":        {},
		"no digest":    {Intent: socket.Intent{SubmissionID: good, Script: &workprint.Text{Digest: "rm -rf"}}},
		"no size":      {Intent: socket.Intent{SubmissionID: good, InputBytes: -1}},
		"v4 id":        {Intent: socket.Intent{SubmissionID: uuid.New()}},
		"relative dir": {Intent: socket.Intent{SubmissionID: good, Dirs: outputs.Dirs{Output: "../x"}}},
		"NUL":          {Intent: socket.Intent{SubmissionID: good, Globs: []string{"a\x00b"}}},
		"many globs":   {Intent: socket.Intent{SubmissionID: good, Globs: make([]string, 300)}},
		"option as id": {Intent: socket.Intent{SubmissionID: good}, BaseID: "-1"},
		"several ids":  {Intent: socket.Intent{SubmissionID: good}, BaseID: "7,8"},
	}
	for name, r := range hostile {
		var shown *socket.Error
		if err := c.Result(t.Context(), r); !errors.As(err, &shown) || shown.Status != 400 {
			t.Errorf("%s: got %v", name, err)
		}
	}
	n.halt()
}

func TestTheLogHoldsNoTokenAndNoKey(t *testing.T) {
	t.Parallel()
	n := newNode(t, false)
	n.enrol()
	c := n.start()
	n.submit(c)
	n.until("all is verified", func() bool { return n.state(c).State == "VERIFIED" })
	n.halt()
	for _, secret := range []string{"Bearer", "eyJ", "PRIVATE", "assertion="} {
		if strings.Contains(n.log.String(), secret) {
			t.Errorf("the log holds %q:\n%s", secret, n.log)
		}
	}
}

// The journal was rebuilt, or is new, while the server is away: nobody knows who is linked, so nothing is decided.
func TestOutputsWaitUntilItIsKnownWhoIsLinked(t *testing.T) {
	t.Parallel()
	n := newNode(t, true)
	n.enrol()
	n.plane.set(func() {
		n.plane.down = true
		n.plane.links = []api.Link{{Uid: int64(os.Getuid()), UnixName: "me"}}
	})
	c := n.start()
	n.submit(c)
	n.until("the job has ended", func() bool { return n.state(c).State == "ENDED" })
	time.Sleep(1500 * time.Millisecond)
	if got := n.state(c); got.State != "ENDED" || got.UploadPhase != "waiting" {
		t.Fatalf("got %+v", got)
	}
	n.halt()
	n.plane.set(func() { n.plane.down = false })
	c = n.start()
	n.until("the outputs are verified", func() bool { return n.state(c).State == "VERIFIED" })
	n.halt()
}

func TestAResumedLinkBringsBackWhatWasLeftAlone(t *testing.T) {
	t.Parallel()
	n := newNode(t, true)
	n.enrol()
	yes := true
	n.plane.set(func() {
		n.plane.links = []api.Link{{Uid: int64(os.Getuid()), UnixName: "me", Suspended: &yes}}
	})
	c := n.start()
	n.submit(c)
	n.until("the outputs are left alone", func() bool { return n.state(c).State == "KEPT" })
	n.plane.set(func() { n.plane.links = nil })
	if _, err := c.Link(t.Context(), "good"); err != nil { // the agent asks for the links at once
		t.Fatal(err)
	}
	n.until("they are collected after all", func() bool { return n.state(c).State == "VERIFIED" })
	n.halt()
}

func TestTheStatusTellsHowFarAnUploadIs(t *testing.T) {
	t.Parallel()
	n := newNode(t, false)
	n.enrol()
	n.worker.hold = make(chan struct{})
	c := n.start()
	n.submit(c)
	var got []socket.Sending
	n.until("something is on its way", func() bool {
		s, err := c.Status(t.Context())
		got = s.Sending
		return err == nil && len(got) > 0
	})
	want := socket.Sending{SlurmJobID: "7", Files: 3, FilesTotal: 7, Bytes: 1000, BytesTotal: 4000, Current: "a\uFFFD[2J.nc"}
	if len(got) != 1 || got[0] != want {
		t.Fatalf("got %+v", got)
	}
	close(n.worker.hold)
	n.until("nothing is any more", func() bool { s, err := c.Status(t.Context()); return err == nil && len(s.Sending) == 0 })
	n.halt()
}
