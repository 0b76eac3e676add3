package journal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/ergon-hpc/ergon/agent/internal/durable"
	"golang.org/x/sys/unix"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// Options say where the journal is and what it may use.
type Options struct {
	// Dir is on local disk, 0700, made when missing.
	Dir string
	Now func() time.Time
	Log *slog.Logger
	// Crash is nil outside crash tests.
	Crash Crash
	// MaxOutboxBytes bounds undelivered events; 0 is 1 GiB. Beyond it only the last state of a job is sent later.
	MaxOutboxBytes int64
	// ReserveBytes is the size of the file that is freed when the disk is full; 0 is 8 MiB, negative is none.
	ReserveBytes int64
}

const (
	defaultMaxOutbox = 1 << 30
	defaultReserve   = 8 << 20
	fileName         = "journal.db"
)

// Errors of the journal that callers handle by name.
var (
	// ErrLocked: another agent has the journal open.
	ErrLocked = errors.New("another ergon-agent uses this state directory; stop it first (ergon status shows it)")
	// ErrDiskFull: no space is left; what is tracked goes on, new intents are refused.
	ErrDiskFull = errors.New("the disk that holds the agent's journal is full; free space there")
	// ErrNotFound: no such row.
	ErrNotFound = errors.New("not in the journal")
)

// Journal is an open journal.
type Journal struct {
	db      *sql.DB // the one connection that writes
	reads   *sql.DB // others, so that no intent waits while polling reads all jobs
	opt     Options
	lock    *os.File
	full    atomic.Bool
	rebuilt bool
	seqBase int64
}

// Open opens or makes the journal. A file that SQLite calls corrupt is moved aside (journal.db.corrupt-TIME), and an
// empty one begins: Rebuilt then tells so, cleanup must stay off, and tracking finds the jobs again by their tags.
func Open(ctx context.Context, opt Options) (*Journal, error) {
	if opt.MaxOutboxBytes == 0 {
		opt.MaxOutboxBytes = defaultMaxOutbox
	}
	if opt.ReserveBytes == 0 {
		opt.ReserveBytes = defaultReserve
	}
	if err := durable.PrivateDir(opt.Dir); err != nil {
		return nil, err
	}
	lock, err := takeLock(ctx, filepath.Join(opt.Dir, "lock"))
	if err != nil {
		return nil, err
	}
	j := &Journal{opt: opt, lock: lock}
	if err := j.openOrRebuild(ctx); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	if err := j.restoreReserve(); err != nil {
		opt.Log.Warn("the journal's reserve file cannot be made", "error", err)
		j.full.Store(isDiskFull(err))
	}
	return j, nil
}

func (j *Journal) openOrRebuild(ctx context.Context) error {
	err := j.openFile(ctx)
	if err == nil || !isCorrupt(err) {
		return err
	}
	j.opt.Log.Error("the journal is corrupt; moving it aside and starting an empty one, cleanup stays off", "error", err)
	if err := j.quarantine(); err != nil {
		return err
	}
	if err := j.openFile(ctx); err != nil {
		return err
	}
	return j.markRebuilt(ctx)
}

// A lock can outlive its agent for a moment: a child between fork and exec still holds the descriptor.
const (
	lockPatience = 5 * time.Second
	lockRetry    = 20 * time.Millisecond
)

func takeLock(ctx context.Context, path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the journal's lock: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, lockPatience)
	defer cancel()
	for unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil {
		select {
		case <-ctx.Done():
			return nil, errors.Join(ErrLocked, f.Close())
		case <-time.After(lockRetry):
		}
	}
	return f, nil
}

func (j *Journal) path() string { return filepath.Join(j.opt.Dir, fileName) }

// dsn sets the pragmas on every connection: FULL makes a commit survive a power cut in WAL mode.
func (j *Journal) dsn() string {
	return "file:" + j.path() + "?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=busy_timeout(5000)&_txlock=immediate"
}

func (j *Journal) openFile(ctx context.Context) error {
	db, err := sql.Open("sqlite", j.dsn())
	if err != nil {
		return fmt.Errorf("opening the journal: %w", err)
	}
	db.SetMaxOpenConns(1)
	reads, err := sql.Open("sqlite", j.dsn()+"&_pragma=query_only(1)&_pragma=cache_size(-512)")
	if err != nil {
		return errors.Join(fmt.Errorf("opening the journal: %w", err), db.Close())
	}
	reads.SetMaxOpenConns(readers)
	j.db, j.reads = db, reads
	err = check(ctx, db)
	if err == nil {
		err = migrate(ctx, db)
	}
	if err == nil {
		err = j.loadMeta(ctx)
	}
	if err == nil {
		err = ignoreFull(j.offerAgain(ctx))
	}
	if err != nil {
		return errors.Join(err, reads.Close(), db.Close())
	}
	return nil
}

// readers is how many may read at once.
const readers = 2

// ignoreFull lets a journal on a full disk open: what is tracked can still be read, and Ready says what is wrong.
func ignoreFull(err error) error {
	if errors.Is(err, ErrDiskFull) {
		return nil
	}
	return err
}

// errQuickCheck is what a failed quick_check is turned into.
var errQuickCheck = errors.New("the journal's quick_check failed")

func check(ctx context.Context, db *sql.DB) error {
	var verdict string
	if err := db.QueryRowContext(ctx, `PRAGMA quick_check(1)`).Scan(&verdict); err != nil {
		return fmt.Errorf("checking the journal: %w", err)
	}
	if verdict != "ok" {
		return fmt.Errorf("%w: %s", errQuickCheck, verdict)
	}
	return nil
}

// isCorrupt says that the content is at fault, not the disk or the permissions.
func isCorrupt(err error) bool {
	if errors.Is(err, errQuickCheck) {
		return true
	}
	code := sqliteCode(err)
	return code == sqlite3.SQLITE_CORRUPT || code == sqlite3.SQLITE_NOTADB
}

func isDiskFull(err error) bool {
	return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) || sqliteCode(err) == sqlite3.SQLITE_FULL
}

// sqliteCode gives the primary result code, 0 when err is none of SQLite's.
func sqliteCode(err error) int {
	var e *sqlite.Error
	if errors.As(err, &e) {
		return e.Code() & 0xff
	}
	return 0
}

func (j *Journal) quarantine() error {
	suffix := ".corrupt-" + j.opt.Now().UTC().Format("20060102T150405")
	for _, tail := range []string{"", "-wal", "-shm"} {
		err := os.Rename(j.path()+tail, j.path()+suffix+tail)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("moving the corrupt journal aside: %w", err)
		}
	}
	return durable.SyncDir(j.opt.Dir)
}

// Rebuilt says that this journal replaced a corrupt one; it stays true for this state directory.
func (j *Journal) Rebuilt() bool { return j.rebuilt }

// Close checkpoints and closes.
func (j *Journal) Close() error { return errors.Join(j.reads.Close(), j.db.Close(), j.lock.Close()) }
