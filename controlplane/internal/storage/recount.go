package storage

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
)

// Drift is what a recount found. Every figure counts what it found before anything was mended.
type Drift struct {
	Accounts int // examined
	Listed   int // objects that the store listed, without the platform's own

	OffAccounts           int   // whose sums differed from their rows, or those of their jobs
	OffBytes, OffObjects  int64 // sum of the absolute differences, used and reserved together
	StrayObjects          int   // in the store, although given up or deleted: handed to the sweeper
	StrayBytes            int64
	UnknownObjects        int // in the store, and never in the books: only reported
	UnknownBytes          int64
	MissingObjects        int // in the books, and the store confirms that it has none: only reported
	MissingBytes          int64
	ChangedObjects        int // with another length than in the books: only reported
	Reopened              int // uploads handed to the sweeper
	UnknownKeys, LostKeys []string
}

// keysKept is how many keys of unknown and lost objects a Drift names.
const keysKept = 20

// Clean reports that books and store agree.
func (d Drift) Clean() bool {
	return d.OffAccounts == 0 && d.StrayObjects == 0 && d.UnknownObjects == 0 && d.MissingObjects == 0 && d.ChangedObjects == 0
}

const (
	accountPage = 500
	listPage    = 1000
)

// Recount holds sums against rows and rows against the store's listing. It mends by the rules of the ledger and never by
// guess: rows win over sums; what the store has beyond the rows goes to the sweeper when an upload of it is on record, else
// it is only reported; what the store lacks is asked for by HEAD and then only reported, because a wrong bucket must not
// empty the books.
func (s *Service) Recount(ctx context.Context) (Drift, error) {
	var d Drift
	began := s.Now()
	if err := s.recountBooks(ctx, &d); err != nil {
		return d, fmt.Errorf("recounting the books: %w", err)
	}
	matched, err := s.recountStore(ctx, &d)
	if err != nil {
		return d, fmt.Errorf("recounting the store: %w", err)
	}
	if err := s.findLost(ctx, &d, matched, began); err != nil {
		return d, fmt.Errorf("looking for what the store lacks: %w", err)
	}
	s.report(ctx, d)
	return d, nil
}

func (s *Service) report(ctx context.Context, d Drift) {
	if d.Clean() {
		s.Log.InfoContext(ctx, "recount: the books agree with the store", "accounts", d.Accounts, "objects", d.Listed)
		return
	}
	s.Log.WarnContext(ctx, "recount: the books and the store differ", "accounts", d.Accounts, "objects", d.Listed,
		"off_accounts", d.OffAccounts, "off_bytes", d.OffBytes, "stray_objects", d.StrayObjects, "unknown_objects", d.UnknownObjects,
		"missing_objects", d.MissingObjects, "changed_objects", d.ChangedObjects, "reopened", d.Reopened,
		"unknown_keys", d.UnknownKeys, "lost_keys", d.LostKeys)
}

func (s *Service) recountBooks(ctx context.Context, d *Drift) error {
	for after := ""; ; {
		ids, err := s.Recounter.Accounts(ctx, after, accountPage)
		if err != nil || len(ids) == 0 {
			return err
		}
		for _, id := range ids {
			off, jobs, err := s.Recounter.Recount(ctx, id)
			if err != nil {
				return err
			}
			d.Accounts++
			d.add(off, jobs)
			if off != (Tally{}) || jobs > 0 {
				s.Log.WarnContext(ctx, "recount: sums of an account did not match its rows and were computed anew", "user_id", id,
					"off_used_bytes", off.UsedBytes, "off_used_objects", off.UsedObjects,
					"off_reserved_bytes", off.ReservedBytes, "off_reserved_objects", off.ReservedObjects, "jobs", jobs)
			}
			after = id
		}
	}
}

func (d *Drift) add(off Tally, jobs int) {
	if off != (Tally{}) || jobs > 0 {
		d.OffAccounts++
	}
	d.OffBytes += abs(off.UsedBytes) + abs(off.ReservedBytes)
	d.OffObjects += abs(off.UsedObjects) + abs(off.ReservedObjects)
}

func abs(n int64) int64 { return max(n, -n) }

// platformPrefix begins keys of the platform itself; no user's key begins so.
const platformPrefix = "_ergon/"

// recountStore judges everything that the store lists, and counts for each user what has a row.
func (s *Service) recountStore(ctx context.Context, d *Drift) (map[string]int64, error) {
	matched := map[string]int64{}
	for after := ""; ; {
		page, err := s.Bytes.List(ctx, "", after, listPage)
		if err != nil || len(page) == 0 {
			return matched, err
		}
		after = page[len(page)-1].Key
		if err := s.judgePage(ctx, page, matched, d); err != nil {
			return nil, err
		}
	}
}

func (s *Service) judgePage(ctx context.Context, page []Info, matched map[string]int64, d *Drift) error {
	keys := make([]string, 0, len(page))
	for _, info := range page {
		if !strings.HasPrefix(info.Key, platformPrefix) {
			keys = append(keys, info.Key)
		}
	}
	if len(keys) == 0 {
		return nil
	}
	rows, err := s.Census.ByKeys(ctx, keys)
	if err != nil {
		return err
	}
	byKey := make(map[string]Counted, len(rows))
	for _, r := range rows {
		byKey[r.Upload.Key] = r
	}
	for _, info := range page {
		if strings.HasPrefix(info.Key, platformPrefix) {
			continue
		}
		d.Listed++
		row, known := byKey[info.Key]
		if err := s.judge(ctx, info, row, known, d); err != nil {
			return err
		}
		if row.Object != nil {
			matched[row.Upload.UserID]++
		}
	}
	return nil
}

// judge says what an object of the store is.
func (s *Service) judge(ctx context.Context, info Info, row Counted, known bool, d *Drift) error {
	switch {
	case !known:
		d.UnknownObjects++
		d.UnknownBytes += info.SizeBytes
		d.UnknownKeys = keep(d.UnknownKeys, info.Key)
	case row.Object != nil && *row.Object != info.SizeBytes:
		d.ChangedObjects++
		d.LostKeys = keep(d.LostKeys, info.Key)
	case row.Object != nil, !row.Upload.Closed: // as it should be, or still on its way: the sweeper's
	default:
		d.StrayObjects++
		d.StrayBytes += info.SizeBytes
		reopened, err := s.Recounter.Reopen(ctx, row.Upload.ID, s.Now())
		if err != nil {
			return err
		}
		if reopened {
			d.Reopened++
		}
	}
	return nil
}

func keep(list []string, key string) []string {
	if len(list) < keysKept {
		list = append(list, key)
	}
	return list
}

// findLost asks the store for each object of users of whom it listed fewer than the books have.
func (s *Service) findLost(ctx context.Context, d *Drift, matched map[string]int64, before time.Time) error {
	counts, err := s.Census.ObjectCounts(ctx, before)
	if err != nil {
		return err
	}
	for userID, count := range counts {
		if matched[userID] >= count {
			continue
		}
		if err := s.findLostOf(ctx, userID, before, d); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) findLostOf(ctx context.Context, userID string, before time.Time, d *Drift) error {
	return s.eachObject(ctx, userID, func(o Object) error {
		if !o.CreatedAt.Before(before) {
			return nil
		}
		lost, err := s.lost(ctx, o)
		if err == nil && lost {
			d.MissingObjects++
			d.MissingBytes += o.SizeBytes
			d.LostKeys = keep(d.LostKeys, o.Key)
		}
		return err
	})
}

// eachObject hands over every object of a user's books, in byte order of their keys.
func (s *Service) eachObject(ctx context.Context, userID string, fn func(Object) error) error {
	for after := ""; ; {
		page, err := s.Census.ObjectsBelow(ctx, userID+"/", after, listPage)
		if err != nil || len(page) == 0 {
			return err
		}
		for _, o := range page {
			if err := fn(o); err != nil {
				return err
			}
			after = o.Key
		}
	}
}

// lost confirms that an object which is still in the books is not in the store.
func (s *Service) lost(ctx context.Context, o Object) (bool, error) {
	_, err := s.Bytes.Head(ctx, o.Key)
	if err == nil || !errors.Is(err, ErrNoObject) {
		return false, err
	}
	_, err = s.Catalogue.Object(ctx, o.ID)
	if apperr.Is(err, apperr.NotFound) { // deleted while we looked
		return false, nil
	}
	return err == nil, err
}

// ForgetLost takes objects that the store confirms not to have out of the books: what an operator does after data of the
// store was lost for good. It gives their ids.
func (s *Service) ForgetLost(ctx context.Context, userID string) ([]uuid.UUID, error) {
	var gone []uuid.UUID
	err := s.eachObject(ctx, userID, func(o Object) error {
		lost, err := s.lost(ctx, o)
		if err != nil || !lost {
			return err
		}
		if err := s.Delete(ctx, o.UserID, o.ID); err != nil {
			return err
		}
		gone = append(gone, o.ID)
		return nil
	})
	return gone, err
}
