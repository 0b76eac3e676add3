package erasure

import (
	"archive/zip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
)

// Status of an export.
type Status string

// The states: due until the archive is there, ready until it is removed.
const (
	Due     Status = "due"
	Ready   Status = "ready"
	Removed Status = "removed"
)

// Export is an archive of everything that is stored about an account.
type Export struct {
	ID        string
	UserID    string
	Status    Status
	Key       string // of the archive in the object store
	SizeBytes int64
	SHA256    string // hex
	LastError string
	ExpiresAt time.Time // when the archive is removed
	CreatedAt time.Time
	UpdatedAt time.Time
}

// Row is one row about an account, ready for JSON.
type Row map[string]any

// ExportStore keeps exports and reads everything about an account.
type ExportStore interface {
	// BeginExport writes e, or gives the one of the account that is due or was made after fresh. Forbidden when the account
	// is disabled.
	BeginExport(ctx context.Context, e Export, fresh time.Time) (Export, error)
	Export(ctx context.Context, id string) (Export, error) // NotFound
	// OpenExports gives those that are due, and those that are ready and were to be removed by now.
	OpenExports(ctx context.Context, now time.Time, limit int) ([]Export, error)
	SaveExport(ctx context.Context, e Export) error // NotFound: it went with its account
	// Dump hands over every row about the account, table by table.
	Dump(ctx context.Context, userID string, emit func(table string, row Row) error) error
}

// Archive keeps what was made.
type Archive interface {
	Put(ctx context.Context, key string, body io.ReadSeeker, sizeBytes int64, contentType string) error
	Delete(ctx context.Context, key string) error
}

// Prefix is where the archives of an account lie.
func Prefix(userID string) string { return "_ergon/exports/" + userID + "/" }

// freshExport: who asks again so soon gets the same archive.
const freshExport = 10 * time.Minute

// RequestExport makes an archive due.
func (s *Service) RequestExport(ctx context.Context, userID string) (Export, error) {
	now, id := s.Now(), s.NewID().String()
	e, err := s.Exports.BeginExport(ctx, Export{
		ID: id, UserID: userID, Status: Due, Key: Prefix(userID) + id + ".zip", ExpiresAt: now.Add(s.ExportLife), CreatedAt: now, UpdatedAt: now,
	}, now.Add(-freshExport))
	if err != nil {
		return Export{}, err
	}
	if e.ID == id {
		if err := s.Names.Record(ctx, "user.export", userID, map[string]string{"export": id}); err != nil {
			return e, err
		}
	}
	s.Kick(ctx)
	return e, nil
}

// ExportOf gives one of the user's own exports; those of others are not found.
func (s *Service) ExportOf(ctx context.Context, userID, id string) (Export, error) {
	e, err := s.Exports.Export(ctx, id)
	if apperr.Is(err, apperr.NotFound) || err == nil && e.UserID != userID {
		return Export{}, apperr.New(apperr.NotFound, "there is no such export")
	}
	return e, err
}

// RunExports makes archives that are due and removes those that have been there long enough.
func (s *Service) RunExports(ctx context.Context) error {
	open, err := s.Exports.OpenExports(ctx, s.Now(), sagasAtOnce)
	if err != nil {
		return err
	}
	var failures []error
	for _, e := range open {
		if err := s.workOn(ctx, e); err != nil {
			failures = append(failures, fmt.Errorf("export %s: %w", e.ID, err))
		}
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(failures...)
}

func (s *Service) workOn(ctx context.Context, e Export) error {
	var err error
	if s.Now().Before(e.ExpiresAt) {
		err = s.makeArchive(ctx, &e)
	} else if err = s.Archive.Delete(ctx, e.Key); err == nil {
		e.Status, e.SizeBytes, e.SHA256 = Removed, 0, ""
	}
	e.UpdatedAt, e.LastError = s.Now(), ""
	if err != nil {
		e.LastError = string(apperr.CodeOf(err))
	}
	return errors.Join(err, s.save(context.WithoutCancel(ctx), e))
}

// save removes an archive whose account was deleted while it was made: nobody else knows of it then.
func (s *Service) save(ctx context.Context, e Export) error {
	err := s.Exports.SaveExport(ctx, e)
	if apperr.Is(err, apperr.NotFound) {
		return s.Archive.Delete(ctx, e.Key)
	}
	return err
}

func (s *Service) makeArchive(ctx context.Context, e *Export) error {
	f, err := s.namelessFile()
	if err != nil {
		return fmt.Errorf("making a file for the archive: %w", err)
	}
	defer f.Close()
	sum := sha256.New()
	counted := &counter{to: io.MultiWriter(f, sum)}
	if err := s.writeArchive(ctx, e, counted); err != nil {
		return err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("reading the archive again: %w", err)
	}
	if err := s.Archive.Put(ctx, e.Key, f, counted.n, "application/zip"); err != nil {
		return err
	}
	e.Status, e.SizeBytes, e.SHA256 = Ready, counted.n, hex.EncodeToString(sum.Sum(nil))
	return nil
}

// namelessFile is gone when it is closed, or when whoever has it is killed: what is in it is about a person.
func (s *Service) namelessFile() (*os.File, error) {
	f, err := os.CreateTemp(s.TempDir, "ergon-export-*") // mode 0600
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

type counter struct {
	to io.Writer
	n  int64
}

// Write counts what got through.
func (c *counter) Write(p []byte) (int, error) {
	n, err := c.to.Write(p)
	c.n += int64(n)
	return n, err
}

const readme = `Everything that this Ergon server stores about your account, one file for each kind of thing, one JSON object a line.

Times are UTC. users.jsonl is the account itself; jobs.jsonl, attempts.jsonl, accounting_rows.jsonl and reports.jsonl are
your jobs, what Slurm's accounting said of them and what was made of it; objects.jsonl are your files. The files themselves
are not in this archive: the member download of each is the call that gives a link, or take them with "ergon files get".
Passwords and tokens are stored only as hashes that nobody can use, and are left out.

audit.jsonl is what was recorded of your account's acts. Made at %s.
`

// writeArchive streams: one table after the other, whatever their size.
func (s *Service) writeArchive(ctx context.Context, e *Export, to io.Writer) error {
	z := zip.NewWriter(to)
	w, err := z.Create("README.txt")
	if err == nil {
		_, err = fmt.Fprintf(w, readme, s.Now().UTC().Format(time.RFC3339))
	}
	if err != nil {
		return fmt.Errorf("writing the archive: %w", err)
	}
	var enc *json.Encoder
	current := ""
	err = s.Exports.Dump(ctx, e.UserID, func(table string, row Row) error {
		if table != current {
			w, err := z.Create(table + ".jsonl")
			if err != nil {
				return err
			}
			enc, current = json.NewEncoder(w), table
		}
		return enc.Encode(row)
	})
	if err = errors.Join(err, z.Close()); err != nil {
		return fmt.Errorf("writing the archive: %w", err)
	}
	return nil
}
