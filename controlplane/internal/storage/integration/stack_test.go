package integration

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore"
	gormtest "github.com/ergon-hpc/ergon/controlplane/internal/gormstore/storetest"
	"github.com/ergon-hpc/ergon/controlplane/internal/httpapi"
	"github.com/ergon-hpc/ergon/controlplane/internal/httpapi/apitest"
	"github.com/ergon-hpc/ergon/controlplane/internal/objectstore"
	"github.com/ergon-hpc/ergon/controlplane/internal/principal"
	"github.com/ergon-hpc/ergon/controlplane/internal/s3store"
	"github.com/ergon-hpc/ergon/controlplane/internal/s3store/miniotest"
	"github.com/ergon-hpc/ergon/controlplane/internal/storage"
	"github.com/ergon-hpc/ergon/shared/api"
)

// The test binary is the embedded store's child too.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "objectstore" {
		if err := objectstore.RunChild(context.Background()); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// stack is everything between a client and its bytes. Tokens are "user:<id>" and those in agents.
type stack struct {
	t       testing.TB
	db      *gormstore.Store
	objects *objectstore.Server
	// objectsDir is the directory of the embedded object store; MinIO has none.
	objectsDir string
	store      *s3store.Store
	svc        *storage.Service
	url        string
	log        *syncBuffer
	clock      atomic.Int64 // nanoseconds that the server's clock is ahead
	agents     sync.Map     // token → principal.Principal
	seen       observed
}

type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

type observed struct {
	mu   sync.Mutex
	list []storage.Object
}

func (o *observed) Stored(_ context.Context, obj storage.Object) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.list = append(o.list, obj)
	return nil
}

func (s *stack) Authenticate(_ context.Context, token string) (principal.Principal, error) {
	if p, ok := s.agents.Load(token); ok {
		return p.(principal.Principal), nil
	}
	if id, err := uuid.Parse(token); err == nil {
		return principal.Principal{Kind: principal.User, ID: id.String(), Role: principal.RoleUser}, nil
	}
	return principal.Principal{}, apperr.New(apperr.Unauthorized, "no such token")
}

func newStack(t testing.TB, change func(*storage.Config)) *stack {
	t.Helper()
	return newStackThatRestarts(t, 10*time.Millisecond, change)
}

// newStackThatRestarts is newStack whose object store comes back only after pause when it is killed.
func newStackThatRestarts(t testing.TB, pause time.Duration, change func(*storage.Config)) *stack {
	t.Helper()
	s := &stack{t: t, db: gormtest.SQLite(t), log: &syncBuffer{}}
	s.startObjects(pause)
	return s.begin(change)
}

// each runs a test on SQLite with the embedded store, and on PostgreSQL with MinIO.
func each(t *testing.T, change func(*storage.Config), fn func(t *testing.T, s *stack)) {
	t.Helper()
	t.Run("sqlite and the embedded store", func(t *testing.T) { fn(t, newStack(t, change)) })
	t.Run("postgres and minio", func(t *testing.T) {
		s := &stack{t: t, db: gormtest.Postgres(t), log: &syncBuffer{}}
		s.open(miniotest.Start(t).Config)
		fn(t, s.begin(change))
	})
}

// begin makes the service and serves it, on a database and a store that are there.
func (s *stack) begin(change func(*storage.Config)) *stack {
	s.t.Helper()
	log, rows := s.logger(), s.db.Storage()
	cfg := storage.Config{
		Ledger: rows, Book: rows, Catalogue: rows, Owners: rows, Recounter: rows, Census: rows,
		Signer: s.store, Bytes: s.store, Multiparts: s.store, Eraser: s.store,
		Log: log, Now: s.now, NewID: uuid.New,
	}
	if change != nil {
		change(&cfg)
	}
	svc, err := storage.New(cfg)
	if err != nil {
		s.t.Fatal(err)
	}
	svc.Observe(&s.seen)
	s.svc = svc
	s.t.Cleanup(func() {
		if err := svc.Close(); err != nil {
			s.t.Error(err)
		}
	})
	s.serve(log)
	return s
}

func (s *stack) logger() *slog.Logger {
	return slog.New(slog.NewJSONHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func (s *stack) startObjects(pause time.Duration) {
	s.t.Helper()
	self, err := os.Executable()
	if err != nil {
		s.t.Fatal(err)
	}
	s.objectsDir = s.t.TempDir()
	s.objects, err = objectstore.Start(context.Background(), objectstore.Config{
		Dir: s.objectsDir, Command: []string{self, "objectstore"}, Log: s.logger(), FirstPause: pause,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		if err := s.objects.Close(); err != nil {
			s.t.Error(err)
		}
	})
	k := s.objects.Keys()
	s.open(s3store.Config{
		URL: s.objects.URL(), Region: s.objects.Region(), Bucket: s.objects.Bucket(),
		Maintenance: s3store.Identity(k.Maintenance), PutSigner: s3store.Identity(k.PutSigner), GetSigner: s3store.Identity(k.GetSigner),
	})
}

func (s *stack) open(cfg s3store.Config) {
	s.t.Helper()
	store, err := s3store.Open(cfg)
	if err != nil {
		s.t.Fatal(err)
	}
	s.store = store
}

func (s *stack) serve(log *slog.Logger) {
	s.t.Helper()
	s.listen(apitest.Check(s.t, s.handler(log)))
}

func (s *stack) handler(log *slog.Logger) http.Handler {
	s.t.Helper()
	h, err := httpapi.New(httpapi.Config{
		Log: log, Now: s.now, Authenticator: s,
		Handlers: httpapi.Handlers{Files: httpapi.NewFiles(s.svc, s.svc), AgentFiles: httpapi.NewAgentUploads(s.svc)},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return h
}

func (s *stack) listen(h http.Handler) {
	srv := httptest.NewServer(h)
	s.t.Cleanup(srv.Close)
	s.url = srv.URL
}

// killObjects ends the object store with SIGKILL and waits until it is back.
func (s *stack) killObjects() {
	s.t.Helper()
	pid := s.objects.PID()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		s.t.Fatal(err)
	}
	s.eventually("the object store comes back", func() bool { return s.objects.PID() != 0 && s.objects.PID() != pid })
}

func (s *stack) eventually(what string, ok func() bool) {
	s.t.Helper()
	deadline := time.Now().Add(3 * time.Minute) // only ends a wait that would be for ever
	for !ok() {
		if time.Now().After(deadline) {
			s.t.Fatalf("not within three minutes: %s", what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func (s *stack) now() time.Time { return time.Now().Add(time.Duration(s.clock.Load())) }

func (s *stack) exec(query string, args ...any) {
	s.t.Helper()
	if err := s.db.Tx(context.Background(), func(tx *gorm.DB) error { return tx.Exec(query, args...).Error }); err != nil {
		s.t.Fatal(err)
	}
}

// born is when all rows of these tests were made.
var born = gormstore.At(time.Unix(1, 0))

func (s *stack) user() string {
	s.t.Helper()
	id := uuid.NewString()
	s.exec("INSERT INTO users (id, username, created_at) VALUES (?, ?, ?)", id, id, born)
	return id
}

// job makes a job of user on a cluster of its own, linked, and gives the token of the cluster's agent.
func (s *stack) job(user string) (job uuid.UUID, agent string) {
	s.t.Helper()
	job, cluster := uuid.New(), uuid.NewString()
	s.exec("INSERT INTO clusters (id, name, created_at) VALUES (?, ?, ?)", cluster, cluster, born)
	s.exec(`INSERT INTO jobs (id, cluster_id, user_id, slurm_job_id, job_id_raw, uid, state, slurm_state, submit_at, created_at, updated_at)
		VALUES (?, ?, ?, '1', '1', 1000, 'DONE', 'COMPLETED', ?, ?, ?)`, job.String(), cluster, user, born, born, born)
	s.exec("INSERT INTO links (id, cluster_id, uid, gid, unix_name, user_id, created_at) VALUES (?, ?, 1000, 1000, 'u', ?, ?)", uuid.NewString(), cluster, user, born)
	agent = "agent-of-" + cluster
	s.agents.Store(agent, principal.Principal{
		Kind: principal.Agent, ID: uuid.NewString(), ClusterID: cluster, AgentKind: principal.AgentSystem, Scopes: []principal.Scope{principal.ScopeJobsLinked},
	})
	return job, agent
}

// call makes a request and decodes its answer, whatever its status.
func (s *stack) call(token, method, path string, body, into any) int {
	s.t.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		s.t.Fatal(err)
	}
	var in io.Reader = http.NoBody
	if body != nil {
		in = bytes.NewReader(raw)
	}
	req, err := http.NewRequest(method, s.url+path, in)
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	if into != nil && len(answer) > 0 {
		if err := json.Unmarshal(answer, into); err != nil {
			s.t.Fatalf("%s %s: %v in %.200s", method, path, err, answer)
		}
	}
	return resp.StatusCode
}

// want is call with the status that must come.
func (s *stack) want(status int, token, method, path string, body, into any) {
	s.t.Helper()
	var problem api.Problem
	if status >= 400 && into == nil {
		into = &problem
	}
	if got := s.call(token, method, path, body, into); got != status {
		s.t.Fatalf("%s %s answers %d, want %d: %+v", method, path, got, status, into)
	}
}

// wantCode is call with the problem code that must come.
func (s *stack) wantCode(code api.ErrorCode, token, method, path string, body any) api.Problem {
	s.t.Helper()
	var p api.Problem
	if s.call(token, method, path, body, &p); p.Code != code {
		s.t.Errorf("%s %s: %+v, want %s", method, path, p, code)
	}
	return p
}

func request(name string, content []byte) api.UploadRequest {
	return api.UploadRequest{Name: name, Size: int64(len(content)), Sha256: sum(content)}
}

func sum(content []byte) string { return storage.Digest(sha256.Sum256(content)).Hex() }

// send does what a presigned request says; a broken connection is status 0.
func send(t testing.TB, p api.PresignedRequest, body []byte, change func(*http.Request)) (int, []byte) {
	t.Helper()
	req, err := http.NewRequest(string(p.Method), p.Url, bytes.NewReader(body))
	if err != nil {
		t.Fatal("the URL cannot be parsed")
	}
	for k, v := range p.Headers {
		if k != "Content-Length" {
			req.Header.Set(k, v)
		}
	}
	if change != nil {
		change(req)
	}
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		return 0, nil
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, nil
	}
	return resp.StatusCode, got
}

// put uploads a file whole, as a client does.
func (s *stack) put(user, name string, content []byte) api.FileObject {
	s.t.Helper()
	var t api.UploadTicket
	s.want(http.StatusCreated, user, http.MethodPost, "/files/presign/upload", request(name, content), &t)
	if status, text := send(s.t, *t.Put, content, nil); status != http.StatusOK {
		s.t.Fatalf("PUT: %d %s", status, text)
	}
	return s.complete(user, t)
}

func (s *stack) complete(token string, t api.UploadTicket) api.FileObject {
	s.t.Helper()
	var f api.FileObject
	s.want(http.StatusOK, token, http.MethodPost, "/files/uploads/"+t.UploadId.String()+"/complete", nil, &f)
	return f
}

func (s *stack) download(user string, f api.FileObject) []byte {
	s.t.Helper()
	var d struct {
		Get api.PresignedRequest `json:"get"`
	}
	s.want(http.StatusOK, user, http.MethodGet, "/files/presign/download?id="+f.Id.String(), nil, &d)
	status, got := send(s.t, d.Get, nil, nil)
	if status != http.StatusOK {
		s.t.Fatalf("GET: %d", status)
	}
	return got
}

func (s *stack) quota(user string) (used, usedObjects, reserved, reservedObjects int64) {
	s.t.Helper()
	err := s.db.SQL().QueryRow("SELECT used_bytes, used_objects, reserved_bytes, reserved_objects FROM quotas WHERE user_id = $1", user).
		Scan(&used, &usedObjects, &reserved, &reservedObjects)
	if err != nil {
		s.t.Fatal(err)
	}
	return used, usedObjects, reserved, reservedObjects
}

func (s *stack) wantQuota(user string, used, usedObjects, reserved, reservedObjects int64) {
	s.t.Helper()
	a, b, c, d := s.quota(user)
	if a != used || b != usedObjects || c != reserved || d != reservedObjects {
		s.t.Errorf("quota: used %d bytes %d objects, reserved %d bytes %d objects; want %d %d, %d %d", a, b, c, d, used, usedObjects, reserved, reservedObjects)
	}
}
