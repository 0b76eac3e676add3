package gormstore

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/ergon-hpc/ergon/controlplane/internal/jobs"
)

// Jobs is the store of package jobs.
type Jobs struct{ s *Store }

// NewJobs gives the store of package jobs.
func NewJobs(s *Store) *Jobs { return &Jobs{s: s} }

// inChunk bounds the values of one IN list.
const inChunk = 4000

// manyJobs is the size of a batch from which on settings of its own pay: forMany.
const manyJobs = 500

// Edit is jobs.Books.Edit. On PostgreSQL edits of one cluster queue behind an advisory lock; SQLite has one writer anyway.
func (g *Jobs) Edit(ctx context.Context, want jobs.Want, apply func(*jobs.Book) ([]*jobs.Entry, error)) error {
	return g.s.Tx(ctx, func(tx *gorm.DB) error {
		if err := g.s.lockJobs(tx, want.ClusterID); err != nil {
			return err
		}
		if len(want.Raws) > manyJobs {
			if err := g.s.preparedForMany(tx); err != nil {
				return err
			}
		}
		book, err := loadBook(tx, want)
		if err != nil {
			return err
		}
		changed, err := apply(book)
		if err != nil {
			return err
		}
		if err := writeEntries(ctx, tx, changed); err != nil {
			return err
		}
		if err := writeSamples(ctx, tx, book.Samples); err != nil {
			return err
		}
		return writeClaims(tx, book.Claims)
	})
}

// forMany are settings for a large batch. SQLite: 256 MiB of page cache, of this connection. PostgreSQL, to the end of the
// transaction: a prepared statement keeps the plan that it was given when the table was empty, until the table is analysed; in
// an import that is a look through the whole table for each of thousands of numbers.
var forMany = map[Dialect]string{SQLite: "PRAGMA cache_size = -262144", Postgres: "SET LOCAL plan_cache_mode = force_custom_plan"}

func (s *Store) preparedForMany(tx *gorm.DB) error {
	if err := tx.Exec(forMany[s.dialect]).Error; err != nil {
		return fmt.Errorf("preparing for a large batch: %w", err)
	}
	return nil
}

// lockJobs keeps others from deciding whose the jobs of a cluster are until the transaction ends.
func (s *Store) lockJobs(tx *gorm.DB, clusterID string) error {
	if s.dialect != Postgres {
		return nil
	}
	if err := tx.Exec("SELECT pg_advisory_xact_lock(hashtextextended(?, 7))", clusterID).Error; err != nil {
		return fmt.Errorf("waiting for the cluster's lock: %w", err)
	}
	return nil
}

func loadBook(tx *gorm.DB, want jobs.Want) (*jobs.Book, error) {
	b := &jobs.Book{
		Fields:  func(ids []uuid.UUID) (map[jobs.Origin][]byte, error) { return storedFields(tx, ids) },
		Content: func(ids []uuid.UUID) (map[jobs.Place][]byte, error) { return storedContent(tx, ids) },
		Links:   map[int64]jobs.Linked{}, Names: map[string]uuid.UUID{}, Seen: map[uuid.UUID]bool{}, Summed: map[int64]int64{}, Objected: map[int64]bool{},
	}
	if err := loadLinks(tx, want.ClusterID, b); err != nil {
		return nil, err
	}
	if err := loadSeen(tx, want.Events, b); err != nil {
		return nil, err
	}
	if err := loadObjected(tx, want.ClusterID, b); err != nil {
		return nil, err
	}
	if err := loadSummed(tx, want.ClusterID, b); err != nil {
		return nil, err
	}
	if err := loadHolders(tx, want, b); err != nil {
		return nil, err
	}
	found, err := loadJobs(tx, want)
	if err != nil || len(found) == 0 {
		return b, err
	}
	return b, loadRuns(tx, found, b)
}

func loadLinks(tx *gorm.DB, clusterID string, b *jobs.Book) error {
	var rows []struct {
		UID      int64 `gorm:"column:uid"`
		UnixName string
		UserID   string
	}
	err := tx.Raw("SELECT uid, unix_name, user_id FROM links WHERE cluster_id = ? AND suspended_at IS NULL", clusterID).Scan(&rows).Error
	if err != nil {
		return fmt.Errorf("reading links: %w", err)
	}
	for _, r := range rows {
		id, err := uuid.Parse(r.UserID)
		if err != nil {
			return fmt.Errorf("reading links: %w", err)
		}
		b.Links[r.UID], b.Names[r.UnixName] = jobs.Linked{UserID: id, UnixName: r.UnixName}, id
	}
	return nil
}

func loadSeen(tx *gorm.DB, events []uuid.UUID, b *jobs.Book) error {
	for part := range chunks(texts(events)) {
		var ids []string
		if err := tx.Raw("SELECT event_id FROM job_events WHERE event_id IN ?", part).Scan(&ids).Error; err != nil {
			return fmt.Errorf("reading known events: %w", err)
		}
		for _, id := range ids {
			if u, err := uuid.Parse(id); err == nil {
				b.Seen[u] = true
			}
		}
	}
	return nil
}

func loadSummed(tx *gorm.DB, clusterID string, b *jobs.Book) error {
	var rows []struct{ MonthStart, Until int64 }
	if err := tx.Raw("SELECT month_start, until FROM summed_months WHERE cluster_id = ?", clusterID).Scan(&rows).Error; err != nil {
		return fmt.Errorf("reading which months are summed: %w", err)
	}
	for _, r := range rows {
		b.Summed[r.MonthStart] = r.Until
	}
	return nil
}

func loadJobs(tx *gorm.DB, want jobs.Want) (map[string]jobRow, error) {
	found := map[string]jobRow{}
	add := func(q *gorm.DB) error {
		var rows []jobRow
		if err := q.Find(&rows).Error; err != nil {
			return fmt.Errorf("reading jobs: %w", err)
		}
		for _, r := range rows {
			found[r.ID] = r
		}
		return nil
	}
	for part := range chunks(want.Raws) {
		if err := add(tx.Where("cluster_id = ? AND job_id_raw IN ?", want.ClusterID, part)); err != nil {
			return nil, err
		}
	}
	for part := range chunks(texts(want.IDs)) {
		if err := add(tx.Where("id IN ?", part)); err != nil {
			return nil, err
		}
	}
	return found, nil
}

type accountingRow struct {
	JobID   string
	Attempt int
	Step    string
	Digest  string
	Weight  int64
	Fields  string
}

type snapshotRow struct {
	JobID    string
	Attempt  int
	Snapshot string
}

func loadRuns(tx *gorm.DB, found map[string]jobRow, b *jobs.Book) error {
	ids := make([]string, 0, len(found))
	for id := range found {
		ids = append(ids, id)
	}
	runs, err := storedRuns(tx, ids)
	if err != nil {
		return err
	}
	snapshots, err := storedSnapshots(tx, ids)
	if err != nil {
		return err
	}
	for id, row := range found {
		j, err := row.domain()
		if err != nil {
			return err
		}
		b.Loaded(j, runs[id], snapshots[id], row.Attempt+1)
	}
	return nil
}

// storedRuns reads the stamps of all rows, not their content.
func storedRuns(tx *gorm.DB, ids []string) (map[string][]*jobs.Run, error) {
	runs := map[string][]*jobs.Run{}
	for part := range chunks(ids) {
		var rows []accountingRow
		err := tx.Raw("SELECT job_id, attempt, step, digest, weight FROM accounting_rows WHERE job_id IN ? ORDER BY job_id, attempt", part).Scan(&rows).Error
		if err != nil {
			return nil, fmt.Errorf("reading accounting rows: %w", err)
		}
		for _, r := range rows {
			list := runs[r.JobID]
			if len(list) == 0 || list[len(list)-1].Origin.Attempt != r.Attempt {
				id, err := uuid.Parse(r.JobID)
				if err != nil {
					return nil, fmt.Errorf("reading accounting rows: %w", err)
				}
				list = append(list, jobs.NewRun(id, r.Attempt))
				runs[r.JobID] = list
			}
			list[len(list)-1].Stamps[r.Step] = jobs.Stamp{Digest: r.Digest, Weight: r.Weight}
		}
	}
	return runs, nil
}

// storedFields reads the content of the jobs' own rows.
func storedFields(tx *gorm.DB, ids []uuid.UUID) (map[jobs.Origin][]byte, error) {
	out := make(map[jobs.Origin][]byte, len(ids))
	for part := range chunks(texts(ids)) {
		var rows []accountingRow
		err := tx.Raw("SELECT job_id, attempt, fields FROM accounting_rows WHERE step = '' AND job_id IN ?", part).Scan(&rows).Error
		if err != nil {
			return nil, fmt.Errorf("reading accounting rows: %w", err)
		}
		for _, r := range rows {
			id, err := uuid.Parse(r.JobID)
			if err != nil {
				return nil, fmt.Errorf("reading accounting rows: %w", err)
			}
			out[jobs.Origin{JobID: id, Attempt: r.Attempt}] = []byte(r.Fields)
		}
	}
	return out, nil
}

// storedContent reads the content of all rows of jobs.
func storedContent(tx *gorm.DB, ids []uuid.UUID) (map[jobs.Place][]byte, error) {
	out := map[jobs.Place][]byte{}
	for part := range chunks(texts(ids)) {
		var rows []accountingRow
		if err := tx.Raw("SELECT job_id, attempt, step, fields FROM accounting_rows WHERE job_id IN ?", part).Scan(&rows).Error; err != nil {
			return nil, fmt.Errorf("reading accounting rows: %w", err)
		}
		for _, r := range rows {
			id, err := uuid.Parse(r.JobID)
			if err != nil {
				return nil, fmt.Errorf("reading accounting rows: %w", err)
			}
			out[jobs.Place{Origin: jobs.Origin{JobID: id, Attempt: r.Attempt}, Step: r.Step}] = []byte(r.Fields)
		}
	}
	return out, nil
}

func storedSnapshots(tx *gorm.DB, ids []string) (map[string]map[int]jobs.Snapshot, error) {
	out := map[string]map[int]jobs.Snapshot{}
	for part := range chunks(ids) {
		var rows []snapshotRow
		if err := tx.Raw("SELECT job_id, attempt, snapshot FROM job_snapshots WHERE job_id IN ?", part).Scan(&rows).Error; err != nil {
			return nil, fmt.Errorf("reading snapshots: %w", err)
		}
		for _, r := range rows {
			var s jobs.Snapshot
			if err := json.Unmarshal([]byte(r.Snapshot), &s); err != nil {
				return nil, fmt.Errorf("reading a snapshot: %w", err)
			}
			if out[r.JobID] == nil {
				out[r.JobID] = map[int]jobs.Snapshot{}
			}
			out[r.JobID][r.Attempt] = s
		}
	}
	return out, nil
}

func texts(ids []uuid.UUID) []string {
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = id.String()
	}
	return out
}

func chunks(values []string) func(func([]string) bool) {
	return func(yield func([]string) bool) {
		for len(values) > 0 {
			n := min(inChunk, len(values))
			if !yield(values[:n]) {
				return
			}
			values = values[n:]
		}
	}
}
