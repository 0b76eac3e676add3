package gormstore

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
	"github.com/ergon-hpc/ergon/controlplane/internal/benchwrap"
	"github.com/ergon-hpc/ergon/controlplane/internal/storage"
)

var (
	_ storage.OpenLedger = Storage{}
	_ benchwrap.Store    = Benchwrap{}
)

// SettleAs books an upload as what came, not as what was reserved for it.
func (st Storage) SettleAs(ctx context.Context, o storage.Object) (storage.Object, error) {
	var settled storage.Object
	err := st.s.Tx(ctx, func(tx *gorm.DB) (err error) {
		var u uploadRow
		if err := tx.Take(&u, "id = ?", o.ID.String()).Error; err != nil {
			return err
		}
		settled, err = settle(tx, o, u.SizeBytes, map[string]any{
			"size_bytes": o.SizeBytes, "sha256": o.SHA256.Hex(), "store_checksum": o.StoreChecksum,
		})
		return err
	})
	if err != nil {
		return storage.Object{}, err
	}
	return settled, nil
}

// Attach is storage.OpenLedger.Attach. An object that is part of a job already stays where it is.
func (st Storage) Attach(ctx context.Context, id uuid.UUID, job storage.JobRef, class storage.Class, now time.Time) (storage.Object, error) {
	var o storage.Object
	err := st.s.Tx(ctx, func(tx *gorm.DB) error {
		if err := lockBooks(tx, id.String()); err != nil {
			return err
		}
		values := map[string]any{"job_id": job.ID.String(), "attempt": job.Attempt, "class": string(class)}
		res := tx.Model(&objectRow{}).Where("id = ? AND job_id IS NULL", id.String()).Updates(values)
		if res.Error != nil {
			return fmt.Errorf("giving an object to a job: %w", res.Error)
		}
		var row objectRow
		if err := tx.Take(&row, "id = ?", id.String()).Error; err != nil {
			return err
		}
		var err error
		if o, err = row.object(); err != nil || res.RowsAffected == 0 {
			return err
		}
		if err := tx.Model(&uploadRow{}).Where("id = ?", id.String()).Updates(values).Error; err != nil {
			return fmt.Errorf("giving an object to a job: %w", err)
		}
		return chargeAttached(tx, row, now)
	})
	return o, err
}

// chargeAttached writes the object into its job's books, and makes the job's analysis due in the same transaction: the
// object may be older than the job's last analysis, so nobody would miss it later.
func chargeAttached(tx *gorm.DB, row objectRow, now time.Time) error {
	err := tx.Clauses(clause.OnConflict{DoNothing: true}).Create(&jobQuotaRow{JobID: *row.JobID}).Error
	if err == nil {
		err = tx.Exec("UPDATE job_quotas SET used_bytes = used_bytes + ?, used_objects = used_objects + 1 WHERE job_id = ?", row.SizeBytes, *row.JobID).Error
	}
	if err == nil {
		err = tx.Exec("UPDATE jobs SET analysis_due = ?, updated_at = ? WHERE id = ?", true, At(now), *row.JobID).Error
	}
	if err != nil {
		return fmt.Errorf("charging a job for an object: %w", err)
	}
	return nil
}

// Benchwrap implements the store of package benchwrap.
type Benchwrap struct{ s *Store }

// Benchwrap gives the store of package benchwrap.
func (s *Store) Benchwrap() Benchwrap { return Benchwrap{s} }

type benchwrapRow struct {
	UploadID      string `gorm:"primaryKey"`
	UserID        string
	ObjectName    string
	BenchmarkName string
	SlurmJobID    string
	State         string
	CheckedAt     Time `gorm:"autoUpdateTime:false"`
	CreatedAt     Time `gorm:"autoCreateTime:false"`
}

// TableName of benchwrap_uploads.
func (benchwrapRow) TableName() string { return "benchwrap_uploads" }

func (r benchwrapRow) upload() (benchwrap.Upload, error) {
	id, err := uuid.Parse(r.UploadID)
	if err != nil {
		return benchwrap.Upload{}, fmt.Errorf("reading an id of an upload of benchwrap: %w", err)
	}
	return benchwrap.Upload{
		ID: id, UserID: r.UserID, ObjectName: r.ObjectName, Benchmark: r.BenchmarkName, SlurmJobID: r.SlurmJobID,
		State: benchwrap.State(r.State), CheckedAt: r.CheckedAt.Time(), CreatedAt: r.CreatedAt.Time(),
	}, nil
}

// Note is benchwrap.Store.Note.
func (g Benchwrap) Note(ctx context.Context, u benchwrap.Upload) error {
	row := benchwrapRow{
		UploadID: u.ID.String(), UserID: u.UserID, ObjectName: u.ObjectName, BenchmarkName: u.Benchmark, SlurmJobID: u.SlurmJobID,
		State: string(u.State), CheckedAt: At(u.CheckedAt), CreatedAt: At(u.CreatedAt),
	}
	return g.s.Tx(ctx, func(tx *gorm.DB) error {
		return tx.Clauses(clause.OnConflict{
			Columns:   []clause.Column{{Name: "upload_id"}},
			DoUpdates: clause.AssignmentColumns([]string{"benchmark_name", "state", "checked_at", "created_at"}),
		}).Create(&row).Error
	})
}

// Open is benchwrap.Store.Open.
func (g Benchwrap) Open(ctx context.Context, state benchwrap.State, userID string, before time.Time, limit int) ([]benchwrap.Upload, error) {
	q := g.s.q(ctx).Where("state = ? AND checked_at <= ?", string(state), At(before))
	if userID != "" {
		q = q.Where("user_id = ?", userID)
	}
	var rows []benchwrapRow
	if err := q.Order("checked_at, upload_id").Limit(limit).Find(&rows).Error; err != nil {
		return nil, mapErr(err)
	}
	return readRows(rows, benchwrapRow.upload)
}

// Mark is benchwrap.Store.Mark.
func (g Benchwrap) Mark(ctx context.Context, id uuid.UUID, to benchwrap.State, now time.Time) error {
	return g.s.Tx(ctx, func(tx *gorm.DB) error {
		return tx.Model(&benchwrapRow{}).Where("upload_id = ?", id.String()).
			Updates(map[string]any{"state": string(to), "checked_at": At(now)}).Error
	})
}

// Benchmarks is benchwrap.Store.Benchmarks.
func (g Benchwrap) Benchmarks(ctx context.Context, ids []uuid.UUID) (map[uuid.UUID]string, error) {
	out := map[uuid.UUID]string{}
	for part := range chunks(texts(ids)) {
		var rows []benchwrapRow
		if err := g.s.q(ctx).Where("upload_id IN ? AND benchmark_name <> ''", part).Find(&rows).Error; err != nil {
			return nil, mapErr(err)
		}
		for _, r := range rows {
			u, err := r.upload()
			if err != nil {
				return nil, err
			}
			out[u.ID] = u.Benchmark
		}
	}
	return out, nil
}

// OwnJob is benchwrap.Store.OwnJob. Numbers are used again after years, so the newest job counts.
func (g Benchwrap) OwnJob(ctx context.Context, userID, slurmJobID string) (benchwrap.Job, error) {
	var rows []struct {
		ID, ClusterID string
		Attempt       int32
	}
	err := g.s.q(ctx).Raw("SELECT id, cluster_id, attempt FROM jobs WHERE user_id = ? AND job_id_raw = ? ORDER BY submit_at DESC, id LIMIT 100",
		userID, slurmJobID).Scan(&rows).Error
	if err != nil {
		return benchwrap.Job{}, mapErr(fmt.Errorf("looking for a job: %w", err))
	}
	if len(rows) == 0 {
		return benchwrap.Job{}, apperr.New(apperr.NotFound, "no such job of this user")
	}
	for _, r := range rows {
		if r.ClusterID != rows[0].ClusterID {
			return benchwrap.Job{}, apperr.New(apperr.Conflict, "jobs of several clusters have this number")
		}
	}
	id, err := uuid.Parse(rows[0].ID)
	return benchwrap.Job{ID: id, Attempt: rows[0].Attempt}, err
}
