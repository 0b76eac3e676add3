package gormstore_test

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore/storetest"
	"github.com/ergon-hpc/ergon/controlplane/internal/storage"
)

var crashLimit = storage.Limit{Bytes: 5000, Objects: 200}

// TestLedgerWorker is the process that TestThreat_T13_KilledLedgerKeepsItsBooks kills: it works until then.
func TestLedgerWorker(t *testing.T) {
	user := os.Getenv("ERGON_TEST_LEDGER_USER")
	if user == "" {
		return // run by itself there is nothing to test
	}
	s, err := gormstore.Open(context.Background(), gormstore.Config{
		Path: os.Getenv("ERGON_TEST_LEDGER_PATH"), URL: os.Getenv("ERGON_TEST_LEDGER_URL"), Synchronous: "NORMAL",
	})
	if err != nil {
		t.Fatal(err)
	}
	kept := &pool{}
	kept.fill(t, s)
	for range 16 {
		go work(s, user, kept)
	}
	_, _ = os.Stdout.WriteString("working\n")
	select {}
}

// pool is what takes room: reservations that nobody ends, and objects.
type pool struct {
	mu   sync.Mutex
	list []uuid.UUID
}

// fill takes over what the workers before left.
func (p *pool) fill(t *testing.T, s *gormstore.Store) {
	t.Helper()
	rows, err := s.SQL().Query("SELECT id FROM uploads WHERE status = 'reserved' UNION SELECT id FROM objects")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var id uuid.UUID
		if err := rows.Scan(&id); err != nil {
			t.Fatal(err)
		}
		p.put(id)
	}
	if rows.Err() != nil {
		t.Fatal(rows.Err())
	}
}

func (p *pool) put(id uuid.UUID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.list = append(p.list, id)
}

// oldest takes the one that is there longest.
func (p *pool) oldest() (id uuid.UUID, found bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.list) == 0 {
		return id, false
	}
	id, p.list = p.list[0], p.list[1:]
	return id, true
}

func work(s *gormstore.Store, user string, kept *pool) {
	ctx := context.Background()
	for {
		got, err := s.Storage().Reserve(ctx, user, storage.Quotas{User: crashLimit}, []storage.Draft{draft(user, nil, "x", 50, uint64(uuid.New().ID()))})
		if err != nil {
			continue
		}
		u := got[0].Upload
		if u == nil { // full: make room
			if id, found := kept.oldest(); found {
				_, _ = s.Storage().Release(ctx, id, storage.Aborted, epoch)
				_, _ = s.Storage().Remove(ctx, user, id, epoch)
			}
			continue
		}
		switch u.ID[0] % 4 {
		case 0:
			_, _ = s.Storage().Release(ctx, u.ID, storage.Aborted, epoch)
		case 1:
			_, _ = s.Storage().Settle(ctx, objectOf(*u), true)
			_, _ = s.Storage().Remove(ctx, user, u.ID, epoch)
		case 2:
			_, _ = s.Storage().Settle(ctx, objectOf(*u), true)
			kept.put(u.ID)
		case 3:
			kept.put(u.ID) // it stays reserved
		}
	}
}

// T13: the books agree after each of several kill −9 in the middle of everything.
func TestThreat_T13_KilledLedgerKeepsItsBooks(t *testing.T) {
	for name, place := range map[string]func(t *testing.T) gormstore.Config{
		"sqlite": func(t *testing.T) gormstore.Config {
			t.Helper()
			return gormstore.Config{Path: filepath.Join(t.TempDir(), "ergon.db"), Synchronous: "NORMAL"}
		},
		"postgres": func(t *testing.T) gormstore.Config {
			t.Helper()
			return gormstore.Config{URL: storetest.PostgresURL(t)}
		},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := place(t)
			s, err := gormstore.Open(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if _, err := s.Migrate(t.Context()); err != nil {
				t.Fatal(err)
			}
			user := newUser(t, s)
			for i := range 4 {
				killWorker(t, s, cfg, user, time.Duration(30*i)*time.Millisecond)
				b := readBooks(t, s, user)
				b.check(t)
				if b.UsedObjects == 0 || b.ReservedObjects == 0 {
					t.Errorf("round %d: books with nothing stored, or nothing reserved, show little: %+v", i, b)
				}
			}
			drainReserved(t, s, user)
		})
	}
}

func count(t *testing.T, s *gormstore.Store) (n int64) {
	t.Helper()
	if err := s.SQL().QueryRow("SELECT COUNT(*) FROM uploads").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// crashRound is how many reservations a worker makes before it is killed: more than fit, so that room is made too.
const crashRound = 150

// killWorker lets a worker do a round, and a little more, and kills it.
func killWorker(t *testing.T, s *gormstore.Store, cfg gormstore.Config, user string, more time.Duration) {
	t.Helper()
	before := count(t, s)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "-test.run=^TestLedgerWorker$")
	cmd.Env = append(os.Environ(), "ERGON_TEST_LEDGER_USER="+user, "ERGON_TEST_LEDGER_PATH="+cfg.Path, "ERGON_TEST_LEDGER_URL="+cfg.URL)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatalf("the worker does not start: %v", err)
	}
	for deadline := time.Now().Add(5 * time.Minute); count(t, s) < before+crashRound; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Errorf("the worker made %d reservations and no more", count(t, s)-before)
			break
		}
	}
	time.Sleep(more)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
}

// drainReserved releases what the killed processes left reserved; then nothing is reserved any more.
func drainReserved(t *testing.T, s *gormstore.Store, user string) {
	t.Helper()
	due, err := s.Storage().DueUploads(t.Context(), epoch.Add(time.Hour), storage.DueCursor{}, 100_000)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for _, u := range due {
		if u.Status == storage.Reserved {
			wg.Go(func() {
				if _, err := s.Storage().Release(context.Background(), u.ID, storage.Expired, epoch); err != nil {
					t.Error(err)
				}
			})
		}
	}
	wg.Wait()
	b := readBooks(t, s, user)
	b.check(t)
	if b.ReservedBytes != 0 || b.ReservedObjects != 0 {
		t.Errorf("after draining: %+v", b)
	}
}
