package integration

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/ergon-hpc/ergon/controlplane/internal/audit"
	"github.com/ergon-hpc/ergon/controlplane/internal/erasure"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore"
	gormtest "github.com/ergon-hpc/ergon/controlplane/internal/gormstore/storetest"
	"github.com/ergon-hpc/ergon/controlplane/internal/objectstore"
	"github.com/ergon-hpc/ergon/controlplane/internal/s3store"
	"github.com/ergon-hpc/ergon/controlplane/internal/s3store/miniotest"
	"github.com/ergon-hpc/ergon/controlplane/internal/storage"
)

// The test binary is the embedded store's child, and a worker that is killed.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "objectstore":
			end(objectstore.RunChild(context.Background()))
		case "worker":
			end(worker())
		}
	}
	os.Exit(m.Run())
}

func end(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

var site = storage.Limit{Bytes: 1 << 40, Objects: 1000}

// world is a database and an object store with people in them.
type world struct {
	t     *testing.T
	place gormstore.Config // where the database is
	db    *gormstore.Store
	store *s3store.Store
	cfg   s3store.Config
	files *storage.Service
	names *names
	ahead time.Duration // of the clock
}

// auditSecret is the server's.
var auditSecret = []byte("0123456789abcdef0123456789abcdef")

// names is the real audit log, as app joins it.
type names struct {
	db  *gormstore.Store
	log *audit.Log
}

func newNames(db *gormstore.Store) (*names, error) {
	log, err := audit.New(db, time.Now, auditSecret)
	return &names{db: db, log: log}, err
}

func (n *names) Forget(ctx context.Context, userID string) error {
	return audit.ForgetUser(ctx, n.db, userID, time.Now())
}

func (n *names) Record(ctx context.Context, action, subject string, detail map[string]string) error {
	return n.log.Record(ctx, audit.Event{Action: action, Subject: subject, Outcome: audit.OK, Detail: detail})
}

// shutter ends sessions as identity does.
type shutter struct{ db *gormstore.Store }

func (s shutter) Shut(ctx context.Context, userID string) error {
	return s.db.Tx(ctx, func(tx *gorm.DB) error {
		return tx.Exec("UPDATE sessions SET revoked_at = ? WHERE user_id = ? AND revoked_at IS NULL", gormstore.At(time.Now()), userID).Error
	})
}

// each runs a test on SQLite with the embedded store, and on PostgreSQL with a MinIO that keeps versions.
func each(t *testing.T, fn func(w *world)) {
	t.Helper()
	t.Run("sqlite and the embedded store", func(t *testing.T) { fn(smallWorld(t)) })
	t.Run("postgres and a versioned minio", func(t *testing.T) {
		cfg := miniotest.Start(t).Config
		w := newWorld(t, gormstore.Config{URL: gormtest.PostgresURL(t)}, cfg)
		for _, a := range w.store.SetUp(t.Context(), s3store.Keep{OldVersions: 1, Multiparts: 8, Exports: 8}) {
			if a.Name == "versioning" && !a.Done {
				t.Fatalf("no versions: %s", a.Text)
			}
		}
		fn(w)
	})
}

// smallWorld is what needs nothing beside the server.
func smallWorld(t *testing.T) *world {
	t.Helper()
	return newWorld(t, gormstore.Config{Path: filepath.Join(t.TempDir(), "ergon.db"), Synchronous: "NORMAL"}, embedded(t))
}

func embedded(t *testing.T) s3store.Config {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	server, err := objectstore.Start(context.Background(), objectstore.Config{
		Dir: t.TempDir(), Command: []string{self, "objectstore"}, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	k := server.Keys()
	return s3store.Config{
		URL: server.URL(), Region: server.Region(), Bucket: server.Bucket(),
		Maintenance: s3store.Identity(k.Maintenance), PutSigner: s3store.Identity(k.PutSigner), GetSigner: s3store.Identity(k.GetSigner),
	}
}

func newWorld(t *testing.T, place gormstore.Config, cfg s3store.Config) *world {
	t.Helper()
	db := openDB(t, place)
	store, err := s3store.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	names, err := newNames(db)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, place: place, db: db, store: store, cfg: cfg, names: names}
	w.files = newFiles(t, db, store, w.now)
	return w
}

func openDB(t *testing.T, place gormstore.Config) *gormstore.Store {
	t.Helper()
	db, err := gormstore.Open(context.Background(), place)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	if _, err := db.Migrate(context.Background()); err != nil {
		t.Fatal(err)
	}
	return db
}

func newFiles(t testing.TB, db *gormstore.Store, store *s3store.Store, now func() time.Time) *storage.Service {
	files, err := openFiles(db, store, now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := files.Close(); err != nil {
			t.Error(err)
		}
	})
	return files
}

func openFiles(db *gormstore.Store, store *s3store.Store, now func() time.Time) (*storage.Service, error) {
	rows := db.Storage()
	return storage.New(storage.Config{
		Ledger: rows, Book: rows, Catalogue: rows, Owners: rows, Recounter: rows, Census: rows,
		Signer: store, Bytes: store, Multiparts: store, Eraser: store, Log: slog.New(slog.DiscardHandler), Now: now, NewID: uuid.New, Quota: site,
	})
}

func (w *world) now() time.Time { return time.Now().Add(w.ahead) }

// urlLife is how long URLs may be in use in these tests.
const urlLife = 70 * time.Minute

// saga is the feature, with whatever the test puts between it and its ports.
func (w *world) saga(change func(*erasure.Config)) *erasure.Service {
	w.t.Helper()
	rows := w.db.Erasures(site)
	cfg := erasure.Config{
		Store: rows, Exports: rows, Archive: w.store, Access: shutter{w.db}, Files: w.files, Names: w.names, Log: slog.New(slog.DiscardHandler),
		Now: w.now, NewID: uuid.New, URLLife: urlLife, TempDir: w.t.TempDir(),
	}
	if change != nil {
		change(&cfg)
	}
	svc, err := erasure.New(cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	return svc
}

func (w *world) exec(query string, args ...any) {
	w.t.Helper()
	if err := w.db.Tx(context.Background(), func(tx *gorm.DB) error { return tx.Exec(query, args...).Error }); err != nil {
		w.t.Fatalf("%s: %v", query, err)
	}
}

// person is an account with everything that an account can have.
type person struct {
	id, name, unix string
	job, own       uuid.UUID
	keys           []string
	late           storage.Ticket // a URL that was given out and not used
}

func (w *world) person() *person {
	w.t.Helper()
	p := &person{id: uuid.NewString(), job: uuid.New(), own: uuid.New()}
	p.name, p.unix = "name-"+p.id[:8], "unix-"+p.id[:8]
	now, cluster := gormstore.At(w.now()), uuid.NewString()
	w.exec("INSERT INTO users (id, username, pw_hash, created_at) VALUES (?, ?, 'x', ?)", p.id, p.name, now)
	w.exec("INSERT INTO clusters (id, name, created_at) VALUES (?, ?, ?)", cluster, cluster, now)
	w.exec("INSERT INTO sessions (id, user_id, user_agent, auth_at, last_used_at, created_at) VALUES (?, ?, ?, ?, ?, ?)", uuid.NewString(), p.id, p.name, now, now, now)
	w.exec("INSERT INTO links (id, cluster_id, uid, gid, unix_name, user_id, created_at) VALUES (?, ?, 7, 7, ?, ?, ?)", uuid.NewString(), cluster, p.unix, p.id, now)
	w.exec("INSERT INTO agents (id, cluster_id, kind, owner_user_id, name, public_key, scopes, unix_name, created_at) VALUES (?, ?, 'user', ?, ?, ?, '', ?, ?)",
		uuid.NewString(), cluster, p.id, p.name, p.id, p.unix, now)
	w.exec("INSERT INTO enrolments (token_hash, cluster_id, kind, created_by, exp, created_at) VALUES (?, ?, 'user', ?, ?, ?)", p.id, cluster, p.id, now, now)
	w.exec("INSERT INTO quota_rules (scope, subject, limit_bytes, limit_objects) VALUES ('user', ?, ?, 1000)", p.id, int64(1<<40))
	for id, own := range map[uuid.UUID]bool{p.job: false, p.own: true} {
		w.exec(`INSERT INTO jobs (id, cluster_id, user_id, slurm_job_id, job_id_raw, self_asserted, uid, unix_user, account, name, state, slurm_state, cpus, submit_at, created_at, updated_at)
			VALUES (?, ?, ?, '1', '1', ?, 7, ?, 'physics', ?, 'DONE', 'COMPLETED', 4, ?, ?, ?)`, id.String(), cluster, p.id, own, p.unix, p.name, now, now, now)
		w.exec("INSERT INTO job_reporters (job_id, agent_id, told, since) VALUES (?, ?, ?, ?)", id.String(), uuid.NewString(), true, now)
		w.exec("INSERT INTO attempts (job_id, attempt, slurm_state, submit_at, cpus) VALUES (?, 0, 'COMPLETED', ?, 4)", id.String(), now)
		w.exec("INSERT INTO accounting_rows (job_id, attempt, step, digest, weight, fields, updated_at) VALUES (?, 0, '', 'd', 1, ?, ?)", id.String(), `{"User":"`+p.unix+`"}`, now)
		w.exec("INSERT INTO job_events (event_id, job_id, seq, type, state, slurm_state, message, at, received_at) VALUES (?, ?, 1, 'x', 'x', 'x', ?, ?, ?)", uuid.NewString(), id.String(), p.unix, now, now)
		w.exec("INSERT INTO reports (job_id, report, inputs_digest, computed_at) VALUES (?, ?, 'd', ?)", id.String(), `{"user":"`+p.unix+`"}`, now)
	}
	w.files3(p)
	w.traces(p, cluster)
	w.plantedEverywhere(p)
	return p
}

// files3 stores files, gives up one, and leaves uploads open: one that was sent and not completed, one multipart with a part,
// one multipart whose id nobody wrote down, and a URL that nobody used yet.
func (w *world) files3(p *person) {
	w.t.Helper()
	for i := range 3 {
		t := w.ticket(p, fmt.Sprintf("file-%d-of-%s", i, p.name), []byte("content"))
		w.put(*t.Put, []byte("content"))
		if i < 2 {
			if _, err := w.files.Complete(context.Background(), storage.Caller{UserID: p.id}, t.Upload.ID); err != nil {
				w.t.Fatal(err)
			}
		}
	}
	big := w.reserve(p, storage.Request{Name: "big", SizeBytes: storage.SingleMaxBytes + 1, SHA256: sha256.Sum256([]byte(p.id))})
	part := []storage.PartWish{{Number: 1, SizeBytes: big.Upload.Plan.PartBytes}}
	if _, err := w.files.PresignParts(context.Background(), storage.Caller{UserID: p.id}, big.Upload.ID, part); err != nil {
		w.t.Fatal(err)
	}
	lost := w.reserve(p, storage.Request{Name: "lost", SizeBytes: storage.SingleMaxBytes + 1, SHA256: sha256.Sum256([]byte(p.name))})
	if _, err := w.store.Create(context.Background(), lost.Upload.Key, "text/plain"); err != nil {
		w.t.Fatal(err)
	}
	p.late = w.ticket(p, "late", []byte("late"))
	archive := erasure.Prefix(p.id) + "old.zip"
	if err := w.store.Put(context.Background(), archive, strings.NewReader(p.name), int64(len(p.name)), "application/zip"); err != nil {
		w.t.Fatal(err)
	}
	p.keys = append(p.keys, big.Upload.Key, lost.Upload.Key)
}

func (w *world) reserve(p *person, r storage.Request) storage.Ticket {
	w.t.Helper()
	t, err := w.files.PresignUpload(context.Background(), p.id, r)
	if err != nil {
		w.t.Fatal(err)
	}
	return t
}

func (w *world) ticket(p *person, name string, content []byte) storage.Ticket {
	w.t.Helper()
	return w.reserve(p, storage.Request{Name: name, SizeBytes: int64(len(content)), SHA256: sha256.Sum256(content)})
}

func (w *world) put(signed storage.Presigned, content []byte) {
	w.t.Helper()
	req, err := http.NewRequest(signed.Method, signed.URL.Reveal(), bytes.NewReader(content))
	if err != nil {
		w.t.Fatal("the URL cannot be parsed")
	}
	for k, v := range signed.Headers {
		if k != "Content-Length" {
			req.Header.Set(k, v)
		}
	}
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		w.t.Fatal("the PUT broke")
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		w.t.Fatalf("PUT answers %d", resp.StatusCode)
	}
}

// columns lists every column of every table, as table and column.
func (w *world) columns() (list [][2]string) {
	w.t.Helper()
	query := `SELECT m.name, c.name FROM sqlite_master m, pragma_table_info(m.name) c WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%'`
	if w.db.Dialect() == gormstore.Postgres {
		query = `SELECT table_name, column_name FROM information_schema.columns JOIN information_schema.tables USING (table_schema, table_name)
			WHERE table_schema = 'public' AND table_type = 'BASE TABLE'`
	}
	rows, err := w.db.SQL().Query(query)
	if err != nil {
		w.t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var c [2]string
		if err := rows.Scan(&c[0], &c[1]); err != nil {
			w.t.Fatal(err)
		}
		list = append(list, c)
	}
	if rows.Err() != nil || len(list) < 100 {
		w.t.Fatalf("%d columns, %v", len(list), rows.Err())
	}
	return list
}

// kept are the only columns that may still hold the id, which names nobody any more; or what is the site's own and not the account's.
var kept = map[string]bool{
	"erasures.user_id": true, "audit.actor_id": true, "audit.subject": true, "audit.person": true, "audit_keys.person": true,
	"coordinators.unix_name": true, // of sacctmgr: the agent tells it again within the hour
}

// nothingLeft looks into every column of the database and into the store.
func (w *world) nothingLeft(p *person) {
	w.t.Helper()
	for _, c := range w.columns() {
		for _, text := range []string{p.id, p.name, p.unix} {
			var n int64
			err := w.db.SQL().QueryRow(fmt.Sprintf(`SELECT COUNT(*) FROM %q WHERE CAST(%q AS TEXT) LIKE '%%%s%%'`, c[0], c[1], text)).Scan(&n)
			if err != nil {
				w.t.Fatal(err)
			}
			if n > 0 && !kept[c[0]+"."+c[1]] {
				w.t.Errorf("%d rows of %s.%s still hold %s", n, c[0], c[1], text)
			}
		}
	}
	w.nameForgotten(p)
	var reporters int64
	if err := w.db.SQL().QueryRow("SELECT COUNT(*) FROM job_reporters WHERE job_id = '" + p.own.String() + "'").Scan(&reporters); err != nil || reporters != 0 {
		w.t.Errorf("%d rows say who reports a job that is gone, %v", reporters, err)
	}
	for _, prefix := range []string{p.id + "/", erasure.Prefix(p.id)} {
		if n, err := w.store.Erase(context.Background(), prefix, 100); err != nil || n > 0 {
			w.t.Errorf("the store still had %d entries below %s, %v", n, prefix, err)
		}
	}
	for _, key := range p.keys {
		if n, err := w.store.AbortAll(context.Background(), key); err != nil || n > 0 {
			w.t.Errorf("the store still had %d multiparts, %v", n, err)
		}
	}
}
