package storage

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
)

// Erased counts what ErasePrefix removed.
type Erased struct {
	Objects int // from the books
	Aborted int // uploads that were given up
	Entries int // objects, versions and delete markers from the store
}

// erasePage is how many entries of the store are removed between two looks at the context.
const erasePage = 1000

var uuidStart = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/`)

// noKey is in no key: empty segments, and those that would climb.
var noKey = regexp.MustCompile(`//|/\.{1,2}(/|$)`)

// CheckPrefix says whether a prefix may be erased: it lies inside one account, USER_ID/….
func CheckPrefix(prefix string) error {
	if !uuidStart.MatchString(prefix) || !keyAlphabet.MatchString(prefix) || noKey.MatchString(prefix) {
		return apperr.New(apperr.InvalidRequest, "a prefix that can be deleted begins with the id of an account and a slash").
			WithHint("USER_ID/ is everything of an account, USER_ID/jobs/JOB_ID/ all outputs of a job; `ergon-server admin user list` shows ids")
	}
	return nil
}

// ErasePrefix removes everything below a prefix of one account: uploads under way are given up, objects leave the books and
// then the store is emptied, with all versions. What URLs that were given out before still bring is left to the sweeper, so
// the rows stay open. Safe to repeat, and to be killed: the next call finishes.
func (s *Service) ErasePrefix(ctx context.Context, prefix string) (Erased, error) {
	var e Erased
	if err := CheckPrefix(prefix); err != nil {
		return e, err
	}
	for _, step := range []func(context.Context, string, *Erased) error{s.giveUpBelow, s.forgetBelow, s.emptyBelow} {
		if err := step(ctx, prefix, &e); err != nil {
			return e, fmt.Errorf("deleting below %s: %w", shorten(prefix), err)
		}
	}
	return e, nil
}

// EraseFiles removes everything that the store holds of an account: its files with the books of them, and the archives that
// were made for it. It tells how many files left the books. Safe to repeat.
func (s *Service) EraseFiles(ctx context.Context, userID string) (objects int, err error) {
	e, err := s.ErasePrefix(ctx, userID+"/")
	if err != nil {
		return e.Objects, err
	}
	return e.Objects, s.emptyBelow(ctx, platformPrefix+"exports/"+userID+"/", &e)
}

// shorten leaves the account and no names of files.
func shorten(prefix string) string { return prefix[:strings.IndexByte(prefix, '/')+1] + "…" }

func (s *Service) giveUpBelow(ctx context.Context, prefix string, e *Erased) error {
	for after := ""; ; {
		page, err := s.Census.OpenBelow(ctx, prefix, after, sweepPage)
		if err != nil || len(page) == 0 {
			return err
		}
		for _, u := range page {
			after = u.Key
			if u.Status == Reserved {
				given, err := s.Ledger.Release(ctx, u.ID, Aborted, u.ExpiresAt)
				if err != nil {
					return err
				}
				if given {
					e.Aborted++
				}
			}
			if err := s.abortMultiparts(ctx, u); err != nil {
				return err
			}
		}
	}
}

func (s *Service) forgetBelow(ctx context.Context, prefix string, e *Erased) error {
	for {
		page, err := s.Census.ObjectsBelow(ctx, prefix, "", sweepPage)
		if err != nil || len(page) == 0 {
			return err
		}
		for _, o := range page {
			_, err := s.Ledger.Remove(ctx, o.UserID, o.ID, s.Now())
			if err != nil && !apperr.Is(err, apperr.NotFound) {
				return err
			}
			if err == nil {
				e.Objects++
			}
		}
	}
}

func (s *Service) emptyBelow(ctx context.Context, prefix string, e *Erased) error {
	if _, err := s.Eraser.AbortBelow(ctx, prefix); err != nil {
		return err
	}
	for {
		n, err := s.Eraser.Erase(ctx, prefix, erasePage)
		e.Entries += n
		if err != nil || n == 0 {
			return err
		}
	}
}

// abortMultiparts drops what the store has begun for an upload: by the id that was written down, and by its key, because a
// crash between the store's answer and our writing leaves an id that nobody wrote. Of a single PUT there is nothing.
func (s *Service) abortMultiparts(ctx context.Context, u Upload) error {
	if !u.Plan.Multipart() {
		return nil
	}
	if u.StoreUploadID != "" {
		if err := s.Multiparts.Abort(ctx, u.Key, u.StoreUploadID); err != nil {
			return err
		}
	}
	_, err := s.Multiparts.AbortAll(ctx, u.Key)
	return err
}
