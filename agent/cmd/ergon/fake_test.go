package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/agent/internal/session"
	"github.com/ergon-hpc/ergon/agent/internal/slurm/slurmtest"
	"github.com/ergon-hpc/ergon/shared/api"
	"github.com/ergon-hpc/ergon/shared/efficiency"
	"github.com/ergon-hpc/ergon/shared/slurmfmt"
)

// now is when the tests happen.
var now = time.Unix(1700050000, 0).UTC()

// desk is a user at a login node: an environment of its own, and what ergon printed.
type desk struct {
	t        *testing.T
	env      map[string]string
	in       string
	out, err bytes.Buffer
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	return &desk{t: t, env: map[string]string{"HOME": t.TempDir(), "PATH": "/nonexistent", "USER": "alice"}}
}

// run runs one command line and gives its exit code.
func (d *desk) run(args ...string) int {
	d.t.Helper()
	d.out.Reset()
	d.err.Reset()
	a := &app{In: strings.NewReader(d.in), Out: &d.out, Err: &d.err, Env: func(name string) string { return d.env[name] }, Now: func() time.Time { return now }}
	return a.execute(d.t.Context(), args)
}

// want runs a command that must end with a code and print all the texts, on either stream.
func (d *desk) want(code int, args []string, texts ...string) {
	d.t.Helper()
	got := d.run(args...)
	all := d.out.String() + d.err.String()
	if got != code {
		d.t.Errorf("ergon %s: exit code %d, want %d:\n%s", strings.Join(args, " "), got, code, all)
	}
	for _, text := range texts {
		if !strings.Contains(all, text) {
			d.t.Errorf("ergon %s lacks %q:\n%s", strings.Join(args, " "), text, all)
		}
	}
	if strings.ContainsRune(all, '\x1b') {
		d.t.Errorf("ergon %s printed an escape sequence: %q", strings.Join(args, " "), all)
	}
}

// command puts a shell script on the desk's PATH as a Slurm command.
func (d *desk) command(name, script string) {
	d.t.Helper()
	dir := d.env["BIN"]
	if dir == "" {
		dir = d.t.TempDir()
		d.env["BIN"], d.env["PATH"] = dir, dir+":/usr/bin:/bin"
	}
	if err := slurmtest.WriteProgram(filepath.Join(dir, name), "#!/bin/sh\n"+script, 0o700); err != nil {
		d.t.Fatal(err)
	}
}

// slurm makes a cluster whose sacct prints the given rows, for the ids that it is asked for.
func (d *desk) slurm(rows ...map[string]string) {
	d.t.Helper()
	var b strings.Builder
	columns := slurmfmt.SacctColumns()
	b.WriteString(strings.Join(columns, "¦") + "\n")
	for _, row := range rows {
		cells := make([]string, len(columns))
		for i, name := range columns {
			cells[i] = row[name]
		}
		b.WriteString(strings.Join(cells, "¦") + "\n")
	}
	file := filepath.Join(d.t.TempDir(), "rows")
	if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
		d.t.Fatal(err)
	}
	d.command("sacct", `for a; do case $a in --delimiter=*) d=${a#--delimiter=};; --jobs=*) ids=${a#--jobs=};; esac; done
awk -v ids=",$ids," 'NR==1 || ids==",," { print; next } { split($0, f, "¦"); id=f[1]; sub(/\..*/, "", id); base=id; sub(/[_+].*/, "", base); if (index(ids, "," id ",") || index(ids, "," base ",")) print }' `+file+` | sed "s/¦/$d/g"
`)
	d.command("scontrol", "case \"$*\" in 'show config') echo 'ClusterName = c1';; 'show node') ;; *) echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1;; esac\n")
	d.command("squeue", "exit 0\n")
	d.command("sstat", "exit 0\n")
}

// sacctRow is a row with what all rows of one job share.
func sacctRow(pairs ...string) map[string]string {
	row := map[string]string{
		"Cluster": "c1", "User": "alice", "Account": "physics", "Partition": "batch", "Submit": "1700000000", "Start": "1700000060", "End": "1700003660",
		"ElapsedRaw": "3600", "TimelimitRaw": "120", "NNodes": "1", "AllocCPUS": "2", "AllocTRES": "billing=2,cpu=2,mem=4G,node=1", "NodeList": "n1", "State": "COMPLETED", "ExitCode": "0:0",
	}
	for _, p := range pairs {
		name, v, _ := strings.Cut(p, "=")
		row[name] = v
	}
	return row
}

// site is a server that speaks the contract: every answer is a value of the generated types.
type site struct {
	*httptest.Server
	t       *testing.T
	jobs    []api.Job
	reports map[uuid.UUID]efficiency.Report
	events  []api.JobEvent
	files   []api.FileObject
	data    map[string][]byte
	summary api.JobsSummary
	series  *api.SeriesSet
	array   *api.ArraySummary
	results *api.JobResults
	deleted []string
	down    bool
	endless bool    // the list of files
	uploads *intake // nil: this site takes none
	crowd   *crowd  // holds up requests to the store
}

// login gives the desk a session at a site.
func (d *desk) login() *site {
	d.t.Helper()
	s := &site{t: d.t, reports: map[uuid.UUID]efficiency.Report{}, data: map[string][]byte{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /jobs", s.listJobs)
	mux.HandleFunc("GET /jobs/summary", func(w http.ResponseWriter, _ *http.Request) { reply(w, 200, s.summary) })
	mux.HandleFunc("GET /jobs/{id}", s.getJob)
	mux.HandleFunc("GET /jobs/{id}/efficiency", s.getReport)
	mux.HandleFunc("GET /jobs/{id}/series", func(w http.ResponseWriter, _ *http.Request) {
		if s.series == nil {
			refuse(w, 404, api.NotFound, "no profiles")
			return
		}
		reply(w, 200, s.series)
	})
	mux.HandleFunc("GET /jobs/{id}/array", func(w http.ResponseWriter, _ *http.Request) {
		if s.array == nil {
			refuse(w, 404, api.NotAnalysed, "no task is analysed")
			return
		}
		reply(w, 200, s.array)
	})
	mux.HandleFunc("GET /jobs/{id}/results", func(w http.ResponseWriter, _ *http.Request) {
		if s.results == nil {
			reply(w, 200, api.JobResults{})
			return
		}
		reply(w, 200, s.results)
	})
	mux.HandleFunc("GET /jobs/{id}/events", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, 200, map[string]any{"events": s.events})
	})
	mux.HandleFunc("GET /files/list", s.listFiles)
	mux.HandleFunc("GET /files/{id}", s.getFile)
	mux.HandleFunc("DELETE /files/{id}", func(w http.ResponseWriter, r *http.Request) {
		s.deleted = append(s.deleted, r.PathValue("id"))
		w.WriteHeader(204)
	})
	mux.HandleFunc("GET /files/presign/download", s.download)
	mux.HandleFunc("GET /store/{key}", func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write(s.data[r.PathValue("key")]) })
	mux.HandleFunc("POST /files/presign/upload", s.presignUpload)
	mux.HandleFunc("PUT /store/{key}", s.takePut)
	mux.HandleFunc("POST /files/uploads/{id}/complete", s.completeUpload)
	mux.HandleFunc("GET /me", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, 200, api.Me{Links: []api.Link{}, Quota: api.Quota{LimitBytes: 10 << 30, UsedBytes: 3 << 30, ReservedBytes: 1 << 30, LimitObjects: 100, UsedObjects: 7}})
	})
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.crowd != nil && strings.HasPrefix(r.URL.Path, "/store/") {
			defer s.crowd.enter()()
		}
		switch {
		case s.down:
			refuse(w, 503, api.Busy, "down for maintenance")
		case r.Header.Get("Authorization") != "Bearer access" && !strings.HasPrefix(r.URL.Path, "/store/"):
			refuse(w, 401, api.Unauthorized, "no token")
		default:
			mux.ServeHTTP(w, r)
		}
	}))
	d.t.Cleanup(s.Close)
	dir := d.t.TempDir()
	d.env["ERGON_CONFIG_DIR"] = filepath.Join(dir, "ergon")
	if err := session.NewStore(d.env["ERGON_CONFIG_DIR"]).Save(session.State{Server: s.URL, Username: "alice", AccessToken: "access", RefreshToken: "refresh", ExpiresAt: now.Add(time.Hour)}); err != nil {
		d.t.Fatal(err)
	}
	return s
}

func reply(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

func refuse(w http.ResponseWriter, status int, code api.ErrorCode, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(api.Problem{Code: code, Status: status, Title: string(code), Detail: &detail, Type: "about:blank"})
}

// page cuts a list: two rows a page, so that every list is paged.
func page[T any](r *http.Request, all []T) (some []T, next *string) {
	from := 0
	_, _ = fmt.Sscan(r.URL.Query().Get("cursor"), &from)
	to := min(len(all), from+2)
	if to < len(all) {
		next = new(string)
		*next = fmt.Sprint(to)
	}
	return all[from:to], next
}

func (s *site) listJobs(w http.ResponseWriter, r *http.Request) {
	q, found := r.URL.Query(), []api.Job{}
	for _, j := range s.jobs {
		id := q.Get("slurm_job_id")
		if (id == "" || j.SlurmJobId == id || deref(j.ArrayJobId) == id) && (q.Get("cluster") == "" || j.Cluster == q.Get("cluster")) &&
			(q.Get("state") == "" || string(j.State) == q.Get("state")) {
			found = append(found, j)
		}
	}
	some, next := page(r, found)
	reply(w, 200, struct {
		Jobs       []api.Job `json:"jobs"`
		NextCursor *string   `json:"next_cursor,omitempty"`
	}{some, next})
}

func (s *site) getJob(w http.ResponseWriter, r *http.Request) {
	for _, j := range s.jobs {
		if j.Id.String() == r.PathValue("id") {
			reply(w, 200, j)
			return
		}
	}
	refuse(w, 404, api.NotFound, "no such job")
}

func (s *site) getReport(w http.ResponseWriter, r *http.Request) {
	id, err := uuid.Parse(r.PathValue("id"))
	report, known := s.reports[id]
	if err != nil || !known {
		refuse(w, 409, api.NotAnalysed, "not analysed yet")
		return
	}
	reply(w, 200, report)
}

func (s *site) listFiles(w http.ResponseWriter, r *http.Request) {
	q, found := r.URL.Query(), []api.FileObject{}
	for _, f := range s.files {
		if (q.Get("name") == "" || f.Name == q.Get("name")) && (q.Get("job_id") == "" || f.JobId != nil && f.JobId.String() == q.Get("job_id")) &&
			strings.HasPrefix(f.Name, q.Get("name_prefix")) && (q.Get("class") == "" || string(f.Class) == q.Get("class")) {
			found = append(found, f)
		}
	}
	some, next := page(r, found)
	if s.endless {
		next = new(string)
		*next = "again"
	}
	reply(w, 200, struct {
		Files      []api.FileObject `json:"files"`
		NextCursor *string          `json:"next_cursor,omitempty"`
	}{some, next})
}

func (s *site) fileByID(w http.ResponseWriter, id string) *api.FileObject {
	for _, f := range s.files {
		if f.Id.String() == id {
			return &f
		}
	}
	refuse(w, 404, api.NotFound, "no such file")
	return nil
}

func (s *site) getFile(w http.ResponseWriter, r *http.Request) {
	if f := s.fileByID(w, r.PathValue("id")); f != nil {
		reply(w, 200, f)
	}
}

func (s *site) download(w http.ResponseWriter, r *http.Request) {
	f := s.fileByID(w, r.URL.Query().Get("id"))
	if f == nil {
		return
	}
	reply(w, 200, map[string]any{"file": f, "get": api.PresignedRequest{
		Method: api.GET, Url: s.URL + "/store/" + f.Id.String() + "?signature=sekret", Headers: map[string]string{}, ExpiresAt: now.Add(time.Minute),
	}})
}
