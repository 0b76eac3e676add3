package app

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/controlplane/internal/audit"
	"github.com/ergon-hpc/ergon/shared/api"
)

// oldClient speaks as benchwrap's cli_auth.py and cli_sync.py do.
type oldClient struct {
	t            *testing.T
	base, access string
	http         *http.Client
}

type oldTokens struct{ Access, Refresh string }

func newOldClient(t *testing.T, base string) *oldClient {
	return &oldClient{t: t, base: base, http: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 2 * time.Minute}}
}

// call sends a request as `requests` would and decodes the answer of the wanted status.
func (c *oldClient) call(want int, method, path string, query url.Values, body string, into any) {
	c.t.Helper()
	r, err := http.NewRequestWithContext(c.t.Context(), method, c.base+path+"?"+query.Encode(), strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if c.access != "" {
		r.Header.Set("Authorization", "Bearer "+c.access)
	}
	resp, err := c.http.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != want {
		c.t.Fatalf("%s %s answers %d %s, want %d, %v", method, path, resp.StatusCode, text, want, err)
	}
	if !strings.HasPrefix(resp.Header.Get("Deprecation"), "@") && want < 404 {
		c.t.Errorf("%s %s carries no deprecation header", method, path)
	}
	if into != nil {
		answer{body: text}.into(c.t, into)
	}
}

func (c *oldClient) register(user, password string) (tokens oldTokens) {
	c.t.Helper()
	c.call(http.StatusCreated, "POST", "/auth/register", nil, `{"username":"`+user+`","password":"`+password+`"}`, &tokens)
	c.access = tokens.Access
	return tokens
}

type oldUpload struct {
	URL, Key string
	Headers  map[string]string
}

// put is upload_one: its headers, then a content type of its own guess, then the length; it gives the store's status.
func (c *oldClient) put(g oldUpload, content []byte, mediaType string) int {
	c.t.Helper()
	r, err := http.NewRequestWithContext(c.t.Context(), http.MethodPut, g.URL, bytes.NewReader(content))
	if err != nil {
		c.t.Fatal(err)
	}
	for name, value := range g.Headers {
		r.Header.Set(name, value)
	}
	r.Header.Set("Content-Type", mediaType)
	r.Header.Set("User-Agent", "python-requests/2.32.3")
	resp, err := c.http.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

func (c *oldClient) upload(name, benchmark string, content []byte, mediaType string) oldUpload {
	c.t.Helper()
	var g oldUpload
	c.call(http.StatusOK, "POST", "/storage/presign/upload", url.Values{"object_name": {name}, "benchmark_name": {benchmark}}, "", &g)
	if status := c.put(g, content, mediaType); status != http.StatusOK {
		c.t.Fatalf("PUT of %s answers %d", name, status)
	}
	return g
}

type oldList struct {
	Objects []struct {
		Key, Name     string
		Size          int64
		BenchmarkName string    `json:"benchmark_name"`
		LastModified  time.Time `json:"last_modified"`
	}
}

func (c *oldClient) list(prefix string) (list oldList) {
	c.t.Helper()
	c.call(http.StatusOK, "GET", "/storage/list", url.Values{"prefix": {prefix}}, "", &list)
	return list
}

// lockedBuffer is a log that a test reads while the server writes.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func bootLogged(t *testing.T, environ ...string) (*App, *lockedBuffer) {
	t.Helper()
	log := &lockedBuffer{}
	deps := testDeps()
	deps.Log = slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	return bootWith(t, testConfig(t, environ...), deps), log
}

func TestWithoutTheSwitchBenchwrapMeetsNothing(t *testing.T) {
	a := boot(t, testConfig(t))
	c := newOldClient(t, a.URL())
	for _, route := range [][2]string{
		{"POST", "/api/auth/register"},
		{"POST", "/api/auth/password"},
		{"POST", "/api/auth/refresh"},
		{"POST", "/api/storage/presign/upload"},
		{"GET", "/api/storage/presign/download"},
		{"GET", "/api/storage/list"},
	} {
		c.call(http.StatusNotFound, route[0], route[1], nil, "", nil)
	}
}

func TestBenchwrapRegistersLogsInAndRefreshes(t *testing.T) {
	a, log := bootLogged(t, "ERGON_COMPAT_BENCHWRAP=true")
	const password = "correct horse battery"
	c := newOldClient(t, a.URL()+"/api")
	first := c.register("alice", password)
	c.access = ""
	c.call(http.StatusConflict, "POST", "/auth/register", nil, `{"username":"alice","password":"`+password+`"}`, nil)
	c.call(http.StatusBadRequest, "POST", "/auth/register", nil, `"alice"`, nil)
	c.call(http.StatusUnauthorized, "POST", "/auth/password", url.Values{"u": {"alice"}, "p": {"wrong horse battery"}}, "", nil)
	var login, next oldTokens
	c.call(http.StatusOK, "POST", "/auth/password", url.Values{"u": {"alice"}, "p": {password}}, "", &login)
	c.call(http.StatusOK, "POST", "/auth/refresh", url.Values{"rid": {login.Refresh}}, "", &next)
	if next.Access == "" || next.Refresh == login.Refresh || next.Refresh == first.Refresh {
		t.Error("the refresh token was not rotated")
	}
	c.call(http.StatusUnauthorized, "POST", "/auth/refresh", url.Values{"rid": {"nonsense"}}, "", nil)
	c.call(http.StatusUnauthorized, "GET", "/storage/list", nil, "", nil)
	for _, secret := range []string{"correct", "horse", login.Refresh, next.Access} {
		if strings.Contains(log.String(), secret) {
			t.Errorf("the log holds a secret")
		}
	}
	for _, action := range []string{"benchwrap.register", "benchwrap.password", "benchwrap.refresh"} {
		if n := a.count(t, "SELECT COUNT(*) FROM audit WHERE action = ? AND outcome = ?", action, audit.OK); n != 1 {
			t.Errorf("%d audit rows of %s", n, action)
		}
	}
}

func (a *App) count(t *testing.T, query string, args ...any) (n int) {
	t.Helper()
	if err := a.store.SQL().QueryRowContext(t.Context(), query, args...).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestBenchwrapUploadsListsAndDownloads(t *testing.T) {
	a, log := bootLogged(t, "ERGON_COMPAT_BENCHWRAP=true", "ERGON_COMPAT_BENCHWRAP_MAX_BYTES=5000")
	c := newOldClient(t, a.URL()+"/api")
	c.register("alice", "correct horse battery")
	g := c.upload("stream_triad/job_7/out.txt", "stream_triad", []byte("1.5 GB/s\n"), "text/plain")
	c.upload("stream_triad/job_7/empty", "stream_triad", nil, "application/octet-stream")
	c.upload("too-large", "", make([]byte, 5001), "application/octet-stream")
	if status := c.put(g, []byte("other"), "text/plain"); status != http.StatusPreconditionFailed {
		t.Errorf("a replay answers %d", status)
	}
	list := c.list("")
	if len(list.Objects) != 2 {
		t.Fatalf("listed: %+v", list)
	}
	only := c.list("stream_triad/job_7/o").Objects
	if len(only) != 1 || only[0].Name != "stream_triad/job_7/out.txt" || only[0].Size != 9 || only[0].BenchmarkName != "stream_triad" || only[0].Key != g.Key {
		t.Fatalf("listed: %+v", only)
	}
	for _, ref := range []url.Values{{"object_name": {"stream_triad/job_7/out.txt"}}, {"key": {g.Key}}} {
		var down oldUpload
		c.call(http.StatusOK, "GET", "/storage/presign/download", ref, "", &down)
		if code, body := get(t, down.URL); code != http.StatusOK || body != "1.5 GB/s\n" || down.Key != g.Key {
			t.Errorf("%v: %d %q", ref, code, body)
		}
	}
	c.call(http.StatusNotFound, "GET", "/storage/presign/download", url.Values{"object_name": {"absent"}}, "", nil)
	c.call(http.StatusBadRequest, "POST", "/storage/presign/upload", url.Values{"object_name": {"../../etc/passwd"}}, "", nil)
	c.call(http.StatusBadRequest, "POST", "/storage/presign/upload", nil, "", nil)
	if n := a.count(t, "SELECT reserved_bytes + reserved_objects FROM quotas"); n != 0 {
		t.Errorf("%d bytes and objects are still reserved", n)
	}
	for action, want := range map[string]int{"benchwrap.presign_upload": 3, "benchwrap.presign_download": 2, "benchwrap.list": 2} {
		if n := a.count(t, "SELECT COUNT(*) FROM audit WHERE action = ? AND outcome = ?", action, audit.OK); n != want {
			t.Errorf("%d audit rows of %s, want %d", n, action, want)
		}
	}
	if n := a.count(t, "SELECT used_bytes FROM quotas"); n != 9 {
		t.Errorf("%d bytes are booked", n)
	}
	if strings.Contains(log.String(), "X-Amz-Signature") {
		t.Error("the log holds a presigned URL")
	}
	other := newOldClient(t, a.URL()+"/api")
	other.register("bob", "another horse battery")
	if len(other.list("").Objects) != 0 {
		t.Error("bob sees alice's files")
	}
	other.call(http.StatusNotFound, "GET", "/storage/presign/download", url.Values{"key": {g.Key}}, "", nil)
}

// The client never completes and need not list: what came is recorded all the same, within 30 s of being issued.
func TestAnUploadOfBenchwrapIsRecordedWithoutAnotherCall(t *testing.T) {
	a, _ := bootLogged(t, "ERGON_COMPAT_BENCHWRAP=true")
	c := newOldClient(t, a.URL()+"/api")
	c.register("alice", "correct horse battery")
	c.upload("a/b", "stream_triad", []byte("content"), "text/plain")
	within(t, "the upload is recorded", func() bool {
		return a.count(t, "SELECT COUNT(*) FROM objects WHERE name = 'a/b' AND size_bytes = 7") == 1
	})
	within(t, "its reservation is settled", func() bool {
		return a.count(t, "SELECT used_bytes + 1000 * reserved_objects FROM quotas") == 7 && a.count(t, "SELECT COUNT(*) FROM benchwrap_uploads WHERE state = 'done'") == 1
	})
}

func TestTheSameContentAgainIsStoredOnce(t *testing.T) {
	a, _ := bootLogged(t, "ERGON_COMPAT_BENCHWRAP=true")
	c := newOldClient(t, a.URL()+"/api")
	c.register("alice", "correct horse battery")
	for _, content := range []string{"one", "one", "two", "one"} { // benchwrap sync --force
		c.upload("a/b", "", []byte(content), "text/plain")
		c.list("")
	}
	if n := a.count(t, "SELECT COUNT(*) FROM objects WHERE name = 'a/b'"); n != 2 {
		t.Errorf("%d objects of two contents", n)
	}
	if n := a.count(t, "SELECT used_bytes + 1000 * reserved_objects FROM quotas"); n != 6 {
		t.Errorf("%d bytes are booked", n)
	}
}

func TestAProfileOfBenchwrapIsAnalysedWithItsJob(t *testing.T) {
	a, _ := bootLogged(t, "ERGON_COMPAT_BENCHWRAP=true", "ERGON_QUEUE_SWEEP=1s")
	c := newOldClient(t, a.URL()+"/api")
	c.register("alice", "correct horse battery")
	job := a.ownJob(t, "alice", "23")
	profile, err := os.ReadFile(filepath.Join("..", "..", "..", "shared", "hdf5", "testdata", "23_0_n1.h5"))
	if err != nil {
		t.Fatal(err)
	}
	c.upload("profiles/23_0_n1.h5", "flops_matrix_mul", profile, "application/octet-stream")
	c.list("")
	sum := sha256.Sum256(profile)
	n := a.count(t, `SELECT COUNT(*) FROM objects o JOIN benchwrap_uploads b ON b.upload_id = o.id
		WHERE o.job_id = ? AND o.class = 'profile' AND o.sha256 = ? AND b.benchmark_name = 'flops_matrix_mul' AND b.slurm_job_id = '23' AND b.state = 'done'`,
		job.String(), hex.EncodeToString(sum[:]))
	if n != 1 {
		t.Fatalf("%d objects are recorded with job and benchmark", n)
	}
	deadline := time.Now().Add(5 * time.Minute) // only ends a wait that would be for ever
	for {
		got := send(t, "GET", a.URL()+"/jobs/"+job.String()+"/series", c.access, nil)
		if got.code == http.StatusOK && strings.Contains(string(got.body), `"n1"`) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the profile was not analysed: %d %.300s", got.code, got.body)
		}
		time.Sleep(100 * time.Millisecond)
	}
	var files struct{ Files []api.FileObject }
	send(t, "GET", a.URL()+"/files/list?job_id="+job.String(), c.access, nil).into(t, &files)
	if len(files.Files) != 1 || files.Files[0].Class != api.FileClassProfile || files.Files[0].Sha256 != hex.EncodeToString(sum[:]) {
		t.Errorf("files of the job: %+v", files.Files)
	}
}

// ownJob gives a user a finished job with one accounting row, as an agent's report would have made it.
func (a *App) ownJob(t *testing.T, username, slurmID string) uuid.UUID {
	t.Helper()
	job, cluster := uuid.New(), uuid.NewString()
	exec := func(query string, args ...any) {
		t.Helper()
		if _, err := a.store.SQL().ExecContext(t.Context(), query, args...); err != nil {
			t.Fatalf("%s: %v", query, err)
		}
	}
	exec("INSERT INTO clusters (id, name, created_at) VALUES (?, 'c1', 1)", cluster)
	exec(`INSERT INTO jobs (id, cluster_id, user_id, slurm_job_id, job_id_raw, uid, state, slurm_state, submit_at, accounting_at, created_at, updated_at)
		SELECT ?, ?, id, ?, ?, 1000, 'DONE', 'COMPLETED', 1, 1, 1, 1 FROM users WHERE username = ?`, job.String(), cluster, slurmID, slurmID, username)
	exec(`INSERT INTO accounting_rows (job_id, attempt, step, digest, weight, fields, updated_at) VALUES (?, 0, '', 'd', 1, ?, 1)`, job.String(),
		`{"JobID":"23","JobIDRaw":"23","Cluster":"c1","State":"COMPLETED","Submit":"1795422415","Start":"1795422415","End":"1795422442","ElapsedRaw":"27",`+
			`"AllocCPUS":"8","NNodes":"2","AllocTRES":"cpu=8,mem=2G,node=2","NodeList":"n[1-2]","ExitCode":"0:0"}`)
	return job
}
