package gormstore_test

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"
	"pgregory.net/rapid"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore/storetest"
	"github.com/ergon-hpc/ergon/controlplane/internal/storage"
)

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func execute(t fataler, s *gormstore.Store, query string, args ...any) {
	if err := s.Tx(context.Background(), func(tx *gorm.DB) error { return tx.Exec(query, args...).Error }); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

type fataler interface {
	Fatalf(format string, args ...any)
}

func newUser(t fataler, s *gormstore.Store) string {
	id := uuid.NewString()
	execute(t, s, "INSERT INTO users (id, username, created_at) VALUES (?, ?, ?)", id, id, gormstore.At(epoch))
	return id
}

// newJob makes a job of uid 1000 on a cluster of its own; userID may be empty.
func newJob(t fataler, s *gormstore.Store, userID string) (job uuid.UUID, cluster string) {
	job, cluster = uuid.New(), uuid.NewString()
	var user any
	if userID != "" {
		user = userID
	}
	now := gormstore.At(epoch)
	execute(t, s, "INSERT INTO clusters (id, name, created_at) VALUES (?, ?, ?)", cluster, cluster, now)
	execute(t, s, `INSERT INTO jobs (id, cluster_id, user_id, slurm_job_id, job_id_raw, uid, unix_user, state, slurm_state, submit_at, created_at, updated_at)
		VALUES (?, ?, ?, '1', '1', 1000, 'u', 'DONE', 'COMPLETED', ?, ?, ?)`, job.String(), cluster, user, now, now, now)
	return job, cluster
}

func link(t fataler, s *gormstore.Store, cluster, user string) {
	execute(t, s, "INSERT INTO links (id, cluster_id, uid, gid, unix_name, user_id, created_at) VALUES (?, ?, 1000, 1000, 'u', ?, ?)",
		uuid.NewString(), cluster, user, gormstore.At(epoch))
}

func draft(user string, job *storage.JobRef, name string, size int64, content uint64) storage.Draft {
	id := uuid.New()
	var seed [8]byte
	binary.BigEndian.PutUint64(seed[:], content)
	u := storage.Upload{
		ID: id, UserID: user, Job: job, Class: storage.ClassOutput, Name: name, SizeBytes: size, SHA256: sha256.Sum256(seed[:]),
		ContentType: "text/plain", Status: storage.Reserved, CreatedAt: epoch, ExpiresAt: epoch.Add(time.Minute),
		Plan: storage.PlanFor(size), StoreChecksum: "c",
	}
	if job == nil {
		return storage.Draft{Upload: u, PlainKey: user + "/" + id.String() + "_" + name}
	}
	plain := storage.JobPrefix(user, job.ID) + fmt.Sprint(job.Attempt) + "/" + name
	return storage.Draft{Upload: u, PlainKey: plain, SpareKey: plain + "_V" + id.String()}
}

func objectOf(u storage.Upload) storage.Object {
	return storage.Object{
		ID: u.ID, UserID: u.UserID, Job: u.Job, Class: u.Class, Name: u.Name, Key: u.Key, SizeBytes: u.SizeBytes, SHA256: u.SHA256,
		SHA256Verified: true, StoreChecksum: u.StoreChecksum, ContentType: u.ContentType, CreatedAt: epoch,
	}
}

func reserve(t testing.TB, s *gormstore.Store, user string, limit storage.Limit, drafts ...storage.Draft) []storage.Reservation {
	t.Helper()
	got, err := s.Storage().Reserve(context.Background(), user, storage.Quotas{User: limit}, drafts)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// books are the sums that must agree, straight from the tables.
type books struct {
	LimitBytes, LimitObjects, UsedBytes, UsedObjects, ReservedBytes, ReservedObjects int64
	SumUsed, CountUsed, SumReserved, CountReserved                                   int64
}

func readBooks(t fataler, s *gormstore.Store, user string) books {
	var b books
	err := s.Tx(context.Background(), func(tx *gorm.DB) error {
		return tx.Raw(`SELECT q.limit_bytes, q.limit_objects, q.used_bytes, q.used_objects, q.reserved_bytes, q.reserved_objects,
			(SELECT COALESCE(SUM(size_bytes), 0) FROM objects WHERE user_id = q.user_id) AS sum_used,
			(SELECT COUNT(*) FROM objects WHERE user_id = q.user_id) AS count_used,
			(SELECT COALESCE(SUM(size_bytes), 0) FROM uploads WHERE user_id = q.user_id AND status = 'reserved') AS sum_reserved,
			(SELECT COUNT(*) FROM uploads WHERE user_id = q.user_id AND status = 'reserved') AS count_reserved
			FROM quotas q WHERE user_id = ?`, user).Scan(&b).Error
	})
	if err != nil {
		t.Fatalf("reading the books: %v", err)
	}
	return b
}

func (b books) check(t fataler) {
	if b.UsedBytes != b.SumUsed || b.UsedObjects != b.CountUsed || b.ReservedBytes != b.SumReserved || b.ReservedObjects != b.CountReserved {
		t.Fatalf("the books do not agree: %+v", b)
	}
	if b.UsedBytes+b.ReservedBytes > b.LimitBytes || b.UsedObjects+b.ReservedObjects > b.LimitObjects {
		t.Fatalf("over the limit: %+v", b)
	}
}

// ledgerMachine drives the ledger at random and knows what must come of it.
type ledgerMachine struct {
	s        *gormstore.Store
	user     string
	job      storage.JobRef
	reserved []storage.Upload
	stored   []storage.Upload
	ended    []storage.Upload
	known    map[string]uuid.UUID // identity of job entries → their upload, while it lives
	keys     map[string]uuid.UUID
}

const machineBytes, machineObjects, machineJobBytes = 100, 8, 5

var machineQuotas = storage.Quotas{User: storage.Limit{Bytes: machineBytes, Objects: machineObjects}, Job: storage.Limit{Bytes: machineJobBytes}}

func (m *ledgerMachine) used() (n, bytes int64) {
	for _, u := range append(append([]storage.Upload{}, m.reserved...), m.stored...) {
		n, bytes = n+1, bytes+u.SizeBytes
	}
	return n, bytes
}

func (m *ledgerMachine) jobBytes() (bytes int64) {
	for _, u := range append(append([]storage.Upload{}, m.reserved...), m.stored...) {
		if u.Job != nil {
			bytes += u.SizeBytes
		}
	}
	return bytes
}

// drafts draws what is to be reserved at once: files of the user, or outputs of the job that may be known already.
func (m *ledgerMachine) drafts(t *rapid.T) (drafts []storage.Draft) {
	ofJob := rapid.Bool().Draw(t, "of the job")
	seen := map[string]bool{}
	for range rapid.IntRange(1, 4).Draw(t, "drafts") {
		size := rapid.Int64Range(0, 60).Draw(t, "size")
		if !ofJob {
			drafts = append(drafts, draft(m.user, nil, uuid.NewString(), size, 1))
			continue
		}
		d := draft(m.user, &m.job, rapid.SampledFrom([]string{"a", "b"}).Draw(t, "name"), size%3, rapid.Uint64Range(0, 2).Draw(t, "content"))
		if id := identity(d.Upload); !seen[id] {
			seen[id] = true
			drafts = append(drafts, d)
		}
	}
	return drafts
}

func (m *ledgerMachine) Reserve(t *rapid.T) {
	drafts := m.drafts(t)
	got, err := m.s.Storage().Reserve(context.Background(), m.user, machineQuotas, drafts)
	if err != nil {
		t.Fatalf("reserving: %v", err)
	}
	// What exists is answered first; then the new ones are charged in order.
	for _, known := range []bool{true, false} {
		for i, r := range got {
			if _, ok := m.known[identity(drafts[i].Upload)]; ok == known {
				m.answered(t, drafts[i], r, known)
			}
		}
	}
}

func identity(u storage.Upload) string {
	if u.Job == nil {
		return u.ID.String()
	}
	return fmt.Sprint(u.Name, u.SizeBytes, u.SHA256)
}

func (m *ledgerMachine) answered(t *rapid.T, d storage.Draft, r storage.Reservation, known bool) {
	switch {
	case known:
		id := m.known[identity(d.Upload)]
		if (r.Object == nil || r.Object.ID != id) && (r.Upload == nil || r.Upload.ID != id) {
			t.Fatalf("asked again, %s was answered with %+v", id, r)
		}
	case r.Upload != nil:
		m.adopt(t, *r.Upload)
	default:
		n, bytes := m.used()
		fits := n+1 <= machineObjects && bytes+d.Upload.SizeBytes <= machineBytes
		fitsJob := d.Upload.Job == nil || m.jobBytes()+d.Upload.SizeBytes <= machineJobBytes
		if r.Refused == nil || fits && fitsJob || r.ByJob != fits {
			t.Fatalf("%d bytes were refused at %d objects, %d bytes and %d of the job: %+v", d.Upload.SizeBytes, n, bytes, m.jobBytes(), r)
		}
	}
}

// adopt takes over what was reserved.
func (m *ledgerMachine) adopt(t *rapid.T, u storage.Upload) {
	if other, ok := m.keys[u.Key]; ok {
		t.Fatalf("the key of %s was given out again", other)
	}
	m.keys[u.Key] = u.ID
	m.reserved = append(m.reserved, u)
	if u.Job != nil {
		m.known[identity(u)] = u.ID
	}
}

// take removes one at random.
func take(t *rapid.T, list *[]storage.Upload) storage.Upload {
	if len(*list) == 0 {
		t.Skip("nothing there")
	}
	i := rapid.IntRange(0, len(*list)-1).Draw(t, "which")
	u := (*list)[i]
	*list = append((*list)[:i:i], (*list)[i+1:]...)
	return u
}

func (m *ledgerMachine) Settle(t *rapid.T) {
	u := take(t, &m.reserved)
	for range 2 { // the second time gives the object again
		o, err := m.s.Storage().Settle(context.Background(), objectOf(u), false)
		if err != nil || o.ID != u.ID || o.Key != u.Key {
			t.Fatalf("settling %s: %+v, %v", u.ID, o, err)
		}
	}
	m.stored = append(m.stored, u)
}

func (m *ledgerMachine) Release(t *rapid.T) {
	u := take(t, &m.reserved)
	for _, want := range []bool{true, false} {
		done, err := m.s.Storage().Release(context.Background(), u.ID, storage.Aborted, epoch)
		if err != nil || done != want {
			t.Fatalf("releasing %s: %v, %v", u.ID, done, err)
		}
	}
	m.end(u)
}

func (m *ledgerMachine) Remove(t *rapid.T) {
	u := take(t, &m.stored)
	if _, err := m.s.Storage().Remove(context.Background(), uuid.NewString(), u.ID, epoch); !apperr.Is(err, apperr.NotFound) {
		t.Fatalf("a stranger removes it: %v", err)
	}
	if o, err := m.s.Storage().Remove(context.Background(), m.user, u.ID, epoch); err != nil || o.Key != u.Key {
		t.Fatalf("removing %s: %v", u.ID, err)
	}
	if _, err := m.s.Storage().Remove(context.Background(), m.user, u.ID, epoch); !apperr.Is(err, apperr.NotFound) {
		t.Fatalf("removing it twice: %v", err)
	}
	if _, err := m.s.Storage().Settle(context.Background(), objectOf(u), false); !apperr.Is(err, apperr.Gone) {
		t.Fatalf("settling what was removed: %v", err)
	}
	m.end(u)
}

func (m *ledgerMachine) LateSettle(t *rapid.T) {
	if len(m.ended) == 0 {
		t.Skip("nothing ended")
	}
	u := rapid.SampledFrom(m.ended).Draw(t, "which")
	if o, err := m.s.Storage().Settle(context.Background(), objectOf(u), false); err == nil {
		t.Fatalf("an ended upload became %+v", o)
	}
}

func (m *ledgerMachine) end(u storage.Upload) {
	m.ended = append(m.ended, u)
	if u.Job != nil {
		delete(m.known, identity(u))
	}
}

// Recount finds nothing to mend, whatever came before.
func (m *ledgerMachine) Recount(t *rapid.T) {
	if off, jobs, err := m.s.Storage().Recount(context.Background(), m.user); err != nil || off != (storage.Tally{}) || jobs != 0 {
		t.Fatalf("a recount says %+v, %d jobs, %v", off, jobs, err)
	}
}

// Crash begins a change and loses its connection somewhere in the middle: it happened whole or not at all.
func (m *ledgerMachine) Crash(t *rapid.T) {
	change := rapid.SampledFrom([]string{"reserve", "settle", "release", "remove"}).Draw(t, "change")
	after := time.Duration(rapid.IntRange(0, 1500).Draw(t, "crash after µs")) * time.Microsecond
	ctx, cancel := context.WithTimeout(context.Background(), after)
	defer cancel()
	switch change {
	case "reserve":
		m.crashReserve(ctx, t)
	case "settle":
		m.crashSettle(ctx, t)
	case "release":
		m.crashRelease(ctx, t)
	case "remove":
		m.crashRemove(ctx, t)
	}
}

// crashReserve: of several drafts all that fit are reserved, or none.
func (m *ledgerMachine) crashReserve(ctx context.Context, t *rapid.T) {
	drafts := m.drafts(t)
	want := m.fitting(drafts)
	_, _ = m.s.Storage().Reserve(ctx, m.user, machineQuotas, drafts)
	m.awaitTheDead(t)
	var got []storage.Upload
	for _, d := range drafts {
		u, err := m.s.Storage().Upload(context.Background(), d.Upload.ID)
		switch {
		case err == nil && u.Status == storage.Reserved:
			got = append(got, u)
		case !apperr.Is(err, apperr.NotFound):
			t.Fatalf("after a crash: %+v, %v", u, err)
		}
	}
	if len(got) > 0 && len(got) != len(want) {
		t.Fatalf("of %d drafts that fit %d were reserved", len(want), len(got))
	}
	for i, u := range got {
		if u.ID != want[i] {
			t.Fatalf("%s was reserved, want %s", u.ID, want[i])
		}
		m.adopt(t, u)
	}
}

// fitting are the drafts that are new and that the limits let through, in order.
func (m *ledgerMachine) fitting(drafts []storage.Draft) (ids []uuid.UUID) {
	n, bytes := m.used()
	ofJob := m.jobBytes()
	for _, d := range drafts {
		u := d.Upload
		if _, known := m.known[identity(u)]; known || n+1 > machineObjects || bytes+u.SizeBytes > machineBytes ||
			u.Job != nil && ofJob+u.SizeBytes > machineJobBytes {
			continue
		}
		ids = append(ids, u.ID)
		n, bytes = n+1, bytes+u.SizeBytes
		if u.Job != nil {
			ofJob += u.SizeBytes
		}
	}
	return ids
}

func (m *ledgerMachine) crashSettle(ctx context.Context, t *rapid.T) {
	u := take(t, &m.reserved)
	_, _ = m.s.Storage().Settle(ctx, objectOf(u), false)
	if m.statusAfterCrash(t, u, storage.Stored) {
		m.stored = append(m.stored, u)
	}
}

func (m *ledgerMachine) crashRelease(ctx context.Context, t *rapid.T) {
	u := take(t, &m.reserved)
	_, _ = m.s.Storage().Release(ctx, u.ID, storage.Aborted, epoch)
	if m.statusAfterCrash(t, u, storage.Aborted) {
		m.end(u)
	}
}

// statusAfterCrash says whether an upload got its new status; else it must be reserved as it was.
func (m *ledgerMachine) statusAfterCrash(t *rapid.T, u storage.Upload, done storage.Status) bool {
	m.awaitTheDead(t)
	row, err := m.s.Storage().Upload(context.Background(), u.ID)
	switch {
	case err == nil && row.Status == done:
		return true
	case err == nil && row.Status == storage.Reserved:
		m.reserved = append(m.reserved, u)
	default:
		t.Fatalf("after a crash it is %s, %v", row.Status, err)
	}
	return false
}

func (m *ledgerMachine) crashRemove(ctx context.Context, t *rapid.T) {
	u := take(t, &m.stored)
	_, _ = m.s.Storage().Remove(ctx, m.user, u.ID, epoch)
	m.awaitTheDead(t)
	switch o, err := m.s.Storage().Object(context.Background(), u.ID); {
	case apperr.Is(err, apperr.NotFound):
		m.end(u)
	case err == nil && o.Key == u.Key:
		m.stored = append(m.stored, u)
	default:
		t.Fatalf("after a crash: %+v, %v", o, err)
	}
}

// awaitTheDead: PostgreSQL may still be at the COMMIT of a connection that is gone. Whoever changes books holds the user's quota
// until that is decided.
func (m *ledgerMachine) awaitTheDead(t *rapid.T) {
	t.Helper()
	execute(t, m.s, "UPDATE quotas SET limit_bytes = limit_bytes WHERE user_id = ?", m.user)
}

// Check compares tables and model after every step.
func (m *ledgerMachine) Check(t *rapid.T) {
	b := readBooks(t, m.s, m.user)
	b.check(t)
	if j, err := m.s.Storage().JobTally(context.Background(), m.job.ID.String()); err != nil || j.UsedBytes+j.ReservedBytes != m.jobBytes() {
		t.Fatalf("the job's books say %+v, the model %d bytes, %v", j, m.jobBytes(), err)
	}
	n, bytes := m.used()
	if b.UsedBytes+b.ReservedBytes != bytes || b.UsedObjects+b.ReservedObjects != n || b.UsedObjects != int64(len(m.stored)) {
		t.Fatalf("the tables say %+v, the model %d objects and %d bytes, %d stored", b, n, bytes, len(m.stored))
	}
}

func TestThreat_T13_LedgerAgreesWithItsModelAfterEveryStepAndCrash(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *gormstore.Store) {
		rapid.Check(t, func(t *rapid.T) {
			user := newUser(t, s)
			job, _ := newJob(t, s, user)
			m := &ledgerMachine{s: s, user: user, job: storage.JobRef{ID: job}, known: map[string]uuid.UUID{}, keys: map[string]uuid.UUID{}}
			execute(t, s, "INSERT INTO quotas (user_id, limit_bytes, limit_objects) VALUES (?, ?, ?)", user, machineBytes, machineObjects)
			t.Repeat(rapid.StateMachineActions(m))
		})
	})
}

// T13: of 64 clients that reserve at once exactly as many as fit get through, and the books agree when all is settled; bytes
// bind, or the number of objects does.
func TestThreat_T13_QuotaRaceAdmitsExactlyWhatFits(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *gormstore.Store) {
		for what, limit := range map[string]storage.Limit{
			"bytes": {Bytes: 1000, Objects: 1_000_000}, "objects": {Bytes: 1_000_000, Objects: 100},
		} {
			user := newUser(t, s)
			const clients, each = 64, 3 // 192 wishes of 10 bytes
			admitted, refused := reserveAtOnce(t, s, user, limit, clients, each)
			if len(admitted) != 100 || refused != clients*each-100 {
				t.Errorf("%s: %d admitted and %d refused of %d, want 100", what, len(admitted), refused, clients*each)
			}
			drain(t, s, admitted)
			b := readBooks(t, s, user)
			b.check(t)
			if b.ReservedBytes != 0 || b.UsedObjects != 50 || b.UsedBytes != 500 {
				t.Errorf("%s: after draining: %+v", what, b)
			}
		}
	})
}

func reserveAtOnce(t *testing.T, s *gormstore.Store, user string, limit storage.Limit, clients, each int) (admitted []storage.Upload, refused int) {
	t.Helper()
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			for range each {
				got, err := s.Storage().Reserve(context.Background(), user, storage.Quotas{User: limit}, []storage.Draft{draft(user, nil, "x", 10, uint64(uuid.New().ID()))})
				mu.Lock()
				switch {
				case err != nil:
					t.Error(err)
				case got[0].Refused != nil:
					refused++
				default:
					admitted = append(admitted, *got[0].Upload)
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return admitted, refused
}

// drain settles every other upload and releases the rest, each by two clients at once.
func drain(t *testing.T, s *gormstore.Store, uploads []storage.Upload) {
	t.Helper()
	var wg sync.WaitGroup
	for i, u := range uploads {
		for range 2 {
			wg.Go(func() {
				var err error
				if i%2 == 0 {
					_, err = s.Storage().Settle(context.Background(), objectOf(u), true)
				} else {
					_, err = s.Storage().Release(context.Background(), u.ID, storage.Expired, epoch)
				}
				if err != nil {
					t.Error(err)
				}
			})
		}
	}
	wg.Wait()
}

func TestSameEntryAskedForAtOnceIsOneUpload(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *gormstore.Store) {
		user := newUser(t, s)
		id, _ := newJob(t, s, user)
		job := &storage.JobRef{ID: id}
		got := make(chan string, 32)
		var wg sync.WaitGroup
		for range cap(got) {
			wg.Go(func() {
				r, err := s.Storage().Reserve(context.Background(), user, storage.Quotas{User: storage.Limit{Bytes: 100, Objects: 100}}, []storage.Draft{draft(user, job, "a", 1, 1)})
				if err != nil {
					t.Error(err)
					return
				}
				got <- r[0].Upload.ID.String()
			})
		}
		wg.Wait()
		close(got)
		ids := map[string]int{}
		for id := range got {
			ids[id]++
		}
		if len(ids) != 1 {
			t.Errorf("%d uploads for one entry", len(ids))
		}
		if b := readBooks(t, s, user); b.ReservedObjects != 1 || b.ReservedBytes != 1 {
			t.Errorf("%+v", b)
		}
	})
}

func TestChangedContentGetsAKeyOfItsOwn(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *gormstore.Store) {
		user := newUser(t, s)
		id, _ := newJob(t, s, user)
		job, limit := &storage.JobRef{ID: id, Attempt: 1}, storage.Limit{Bytes: 1000, Objects: 100}
		first := reserve(t, s, user, limit, draft(user, job, "stdout", 5, 1))[0].Upload
		second := reserve(t, s, user, limit, draft(user, job, "stdout", 6, 2))[0].Upload
		if first.Key == second.Key || !strings.HasPrefix(second.Key, first.Key+"_V") {
			t.Errorf("keys %s and %s", first.Key, second.Key)
		}
		if _, err := s.Storage().Settle(t.Context(), objectOf(*first), true); err != nil {
			t.Fatal(err)
		}
		again := reserve(t, s, user, limit, draft(user, job, "stdout", 5, 1), draft(user, job, "stdout", 6, 2))
		if again[0].Object == nil || again[0].Object.ID != first.ID || again[1].Upload == nil || again[1].Upload.ID != second.ID {
			t.Errorf("asked again: %+v", again)
		}
		other := reserve(t, s, user, limit, draft(user, &storage.JobRef{ID: id, Attempt: 2}, "stdout", 5, 1))[0]
		if other.Upload == nil || other.Upload.ID == first.ID {
			t.Errorf("another attempt: %+v", other)
		}
		var prefix string
		if err := s.SQL().QueryRow("SELECT outputs_prefix FROM jobs").Scan(&prefix); err != nil || prefix != storage.JobPrefix(user, id) {
			t.Errorf("outputs_prefix %q, %v", prefix, err)
		}
	})
}

func TestExpiryIsOnlyPushedAway(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *gormstore.Store) {
		user := newUser(t, s)
		limit := storage.Limit{Bytes: 1000, Objects: 100}
		d := draft(user, nil, "x", 5, 1)
		id := reserve(t, s, user, limit, d)[0].Upload.ID
		for _, minutes := range []int{30, 10} {
			d.Upload.ExpiresAt = epoch.Add(time.Duration(minutes) * time.Minute)
			d.Upload.ID = uuid.New()
			if got := reserve(t, s, user, limit, d)[0].Upload; got.ID != id || !got.ExpiresAt.Equal(epoch.Add(30*time.Minute)) {
				t.Errorf("%s until %s", got.ID, got.ExpiresAt)
			}
		}
		if u, err := s.Storage().Upload(t.Context(), id); err != nil || !u.ExpiresAt.Equal(epoch.Add(30*time.Minute)) {
			t.Errorf("%+v, %v", u, err)
		}
	})
}

func TestDueUploadsComePageByPageUntilClosed(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *gormstore.Store) {
		user, st := newUser(t, s), s.Storage()
		for i := range 7 {
			d := draft(user, nil, fmt.Sprint(i), 1, 1)
			d.Upload.ExpiresAt = epoch.Add(time.Duration(i/3) * time.Second) // several at the same time
			reserve(t, s, user, storage.Limit{Bytes: 100, Objects: 100}, d)
		}
		seen := map[uuid.UUID]bool{}
		cursor := storage.DueCursor{}
		for {
			page, err := st.DueUploads(t.Context(), epoch.Add(2*time.Second), cursor, 2)
			if err != nil {
				t.Fatal(err)
			}
			if len(page) == 0 {
				break
			}
			for _, u := range page {
				if seen[u.ID] {
					t.Errorf("%s comes twice", u.Name)
				}
				seen[u.ID] = true
				cursor = storage.DueCursor{ExpiresAt: u.ExpiresAt, ID: u.ID}
			}
		}
		if len(seen) != 6 { // the last one expires at the bound
			t.Errorf("%d due, want 6", len(seen))
		}
		for id := range seen {
			if err := st.CloseUpload(t.Context(), id); err != nil {
				t.Fatal(err)
			}
		}
		if page, err := st.DueUploads(t.Context(), epoch.Add(2*time.Second), storage.DueCursor{}, 9); err != nil || len(page) > 0 {
			t.Errorf("%d are due after closing, %v", len(page), err)
		}
	})
}

func TestFirstMultipartIDWins(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *gormstore.Store) {
		user, st := newUser(t, s), s.Storage()
		u := reserve(t, s, user, storage.Limit{Bytes: 1 << 40, Objects: 9}, draft(user, nil, "big", 1<<30, 1))[0].Upload
		for _, id := range []string{"one", "two"} {
			if got, err := st.AttachMultipart(t.Context(), u.ID, id); err != nil || got != "one" {
				t.Errorf("attaching %s gives %q, %v", id, got, err)
			}
		}
		if err := st.ExpectChecksum(t.Context(), u.ID, "sum-2"); err != nil {
			t.Fatal(err)
		}
		got, err := st.Upload(t.Context(), u.ID)
		if err != nil || got.StoreUploadID != "one" || got.StoreChecksum != "sum-2" || got.Plan != u.Plan {
			t.Errorf("%+v, %v", got, err)
		}
	})
}

func TestRemovedObjectsAreHandedToTheSweeper(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *gormstore.Store) {
		user, st := newUser(t, s), s.Storage()
		for _, size := range []int64{1, 1 << 30} {
			u := reserve(t, s, user, storage.Limit{Bytes: 1 << 40, Objects: 9}, draft(user, nil, "x", size, 1))[0].Upload
			if _, err := st.Settle(t.Context(), objectOf(*u), true); err != nil {
				t.Fatal(err)
			}
			later := epoch.Add(-time.Hour)
			if _, err := st.Remove(t.Context(), user, u.ID, later); err != nil {
				t.Fatal(err)
			}
			got, err := st.Upload(t.Context(), u.ID)
			want := u.ExpiresAt
			if u.Plan.Multipart() {
				want = later
			}
			if err != nil || got.Closed || got.Status != storage.Stored || !got.ExpiresAt.Equal(want) {
				t.Errorf("%d bytes: %+v, %v", size, got, err)
			}
		}
	})
}

func TestObjectsAreListedInByteOrderWithFilters(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *gormstore.Store) {
		user, other, st := newUser(t, s), newUser(t, s), s.Storage()
		id, _ := newJob(t, s, user)
		job := &storage.JobRef{ID: id}
		names := []string{"B", "a", "_x", "a.b", "a_/b", "Z-1", "0"}
		for _, u := range []string{user, other} {
			for i, name := range names {
				d := draft(u, job, name, 1, 1)
				if i == 0 {
					d.Upload.Class = storage.ClassProfile
				}
				r := reserve(t, s, u, storage.Limit{Bytes: 100, Objects: 100}, d)[0]
				if _, err := st.Settle(t.Context(), objectOf(*r.Upload), true); err != nil {
					t.Fatal(err)
				}
			}
		}
		prefix := storage.JobPrefix(user, id) + "0/"
		for _, c := range []struct {
			q    storage.Query
			want string
		}{
			{storage.Query{}, "0 B Z-1 _x a a.b a_/b"},
			{storage.Query{Limit: 2}, "0 B"},
			{storage.Query{After: prefix + "Z-1", Limit: 2}, "_x a"},
			{storage.Query{Prefix: prefix + "a"}, "a a.b a_/b"},
			{storage.Query{Prefix: prefix + "a."}, "a.b"},
			{storage.Query{Prefix: prefix + "%"}, ""},
			{storage.Query{Name: "a.b"}, "a.b"},
			{storage.Query{Class: storage.ClassProfile}, "B"},
			{storage.Query{JobID: &id, Limit: 1}, "0"},
			{storage.Query{JobID: new(uuid.UUID)}, ""},
		} {
			c.q.UserID = user
			if c.q.Limit == 0 {
				c.q.Limit = 100
			}
			got, err := st.Objects(t.Context(), c.q)
			var list []string
			for _, o := range got {
				list = append(list, strings.TrimPrefix(o.Key, prefix))
			}
			if err != nil || strings.Join(list, " ") != c.want {
				t.Errorf("%+v: got %q, want %q, %v", c.q, strings.Join(list, " "), c.want, err)
			}
		}
		profiles, err := st.JobObjects(t.Context(), *job, storage.ClassProfile)
		if err != nil || len(profiles) != 2 || profiles[0].Name != "B" {
			t.Errorf("profiles %+v, %v", profiles, err)
		}
	})
}

func TestJobOwnerFollowsTheLink(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *gormstore.Store) {
		alice, bob, st := newUser(t, s), newUser(t, s), s.Storage()
		owned, ownedCluster := newJob(t, s, alice)
		free, freeCluster := newJob(t, s, "")
		taken, takenCluster := newJob(t, s, alice)
		link(t, s, takenCluster, bob)
		check := func(name string, job uuid.UUID, want storage.JobOwner) {
			t.Helper()
			if got, err := st.JobOwner(t.Context(), job); err != nil || got != want {
				t.Errorf("%s: got %+v, want %+v, %v", name, got, want, err)
			}
		}
		check("owned, not linked any more", owned, storage.JobOwner{UserID: alice, ClusterID: ownedCluster})
		check("nobody's", free, storage.JobOwner{ClusterID: freeCluster})
		check("uid linked to another since", taken, storage.JobOwner{UserID: alice, ClusterID: takenCluster})
		link(t, s, ownedCluster, alice)
		link(t, s, freeCluster, bob)
		check("owned and linked", owned, storage.JobOwner{UserID: alice, ClusterID: ownedCluster, Linked: true})
		check("linked later", free, storage.JobOwner{UserID: bob, ClusterID: freeCluster, Linked: true})
		execute(t, s, "UPDATE jobs SET unix_user = 'carol' WHERE id = ?", free.String())
		check("the uid was another's then", free, storage.JobOwner{ClusterID: freeCluster})
		execute(t, s, "UPDATE links SET suspended_at = ? WHERE cluster_id = ?", gormstore.At(epoch), ownedCluster)
		check("suspended", owned, storage.JobOwner{UserID: alice, ClusterID: ownedCluster})
		if _, err := st.JobOwner(t.Context(), uuid.New()); !apperr.Is(err, apperr.NotFound) {
			t.Errorf("an unknown job: %v", err)
		}
	})
}

func BenchmarkReserve1000(b *testing.B) {
	for name, open := range map[string]func(testing.TB) *gormstore.Store{"sqlite": storetest.SQLite, "postgres": storetest.Postgres} {
		b.Run(name, func(b *testing.B) {
			s := open(b)
			user := newUser(b, s)
			id, _ := newJob(b, s, user)
			n := 0
			for b.Loop() {
				n++
				drafts := make([]storage.Draft, 1000)
				for i := range drafts {
					drafts[i] = draft(user, &storage.JobRef{ID: id, Attempt: int32(n)}, fmt.Sprintf("out/%d", i), 1, 1)
				}
				reserve(b, s, user, storage.Limit{Bytes: 1 << 40, Objects: 1 << 40}, drafts...)
			}
		})
	}
}
