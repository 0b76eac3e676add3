package gormstore

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/ergon-hpc/ergon/controlplane/internal/jobs"
)

var _ jobs.Objections = (*Jobs)(nil)

// Object is jobs.Objections.Object.
func (g *Jobs) Object(ctx context.Context, clusterID string, uid int64, now time.Time) error {
	return g.s.Tx(ctx, func(tx *gorm.DB) error {
		if err := g.s.lockJobs(tx, clusterID); err != nil {
			return err
		}
		var links int64
		if err := tx.Raw("SELECT ("+countLinks+")", clusterID, uid).Scan(&links).Error; err != nil {
			return err
		}
		if links > 0 {
			return jobs.ErrLinked(uid)
		}
		return tx.Exec("INSERT INTO objections (cluster_id, uid, created_at) VALUES (?, ?, ?) ON CONFLICT (cluster_id, uid) DO NOTHING", clusterID, uid, At(now)).Error
	})
}

// countLinks counts the links of a uid that count.
const countLinks = "SELECT COUNT(*) FROM links WHERE cluster_id = ? AND uid = ? AND suspended_at IS NULL"

// Standing is jobs.Objections.Standing.
func (g *Jobs) Standing(ctx context.Context, clusterID string, uid int64) (jobs.Standing, error) {
	var row struct {
		Since        *Time
		Links, Named int
	}
	err := g.s.q(ctx).Raw(`SELECT (SELECT created_at FROM objections WHERE cluster_id = ? AND uid = ?) AS since, (`+countLinks+`) AS links,
		(SELECT COUNT(*) FROM jobs WHERE cluster_id = ? AND uid = ? AND user_id IS NULL) AS named`,
		clusterID, uid, clusterID, uid, clusterID, uid).Scan(&row).Error
	return jobs.Standing{UID: uid, Since: row.Since.Ptr(), Linked: row.Links > 0, Named: row.Named}, mapErr(err)
}

// Unobject is jobs.Objections.Unobject.
func (g *Jobs) Unobject(ctx context.Context, clusterID string, uid int64) (had bool, err error) {
	err = g.s.Tx(ctx, func(tx *gorm.DB) error {
		res := tx.Exec("DELETE FROM objections WHERE cluster_id = ? AND uid = ?", clusterID, uid)
		had = res.RowsAffected > 0
		return res.Error
	})
	return had, err
}

// ListObjections is jobs.Objections.ListObjections.
func (g *Jobs) ListObjections(ctx context.Context) ([]jobs.Objection, error) {
	var rows []struct {
		Name      string
		UID       int64 `gorm:"column:uid"`
		CreatedAt Time
	}
	err := g.s.q(ctx).Raw("SELECT c.name, o.uid, o.created_at FROM objections o JOIN clusters c ON c.id = o.cluster_id ORDER BY c.name, o.uid").Scan(&rows).Error
	out := make([]jobs.Objection, len(rows))
	for i, r := range rows {
		out[i] = jobs.Objection{Cluster: r.Name, UID: r.UID, Since: r.CreatedAt.Time()}
	}
	return out, mapErr(err)
}

// HideObjected is jobs.Objections.HideObjected. A job that it has worked on carries no uid any more, so that a page is never done
// twice. Sums stay as they are: attempts and ledgers name nobody; reports are computed anew from the rows that are left.
func (g *Jobs) HideObjected(ctx context.Context, now time.Time, limit int) (n int, err error) {
	var cluster string
	err = g.s.q(ctx).Raw("SELECT j.cluster_id FROM jobs j JOIN objections o ON o.cluster_id = j.cluster_id AND o.uid = j.uid WHERE j.user_id IS NULL LIMIT 1").Scan(&cluster).Error
	if err != nil || cluster == "" {
		return 0, mapErr(err)
	}
	err = g.s.Tx(ctx, func(tx *gorm.DB) error {
		if err := g.s.lockJobs(tx, cluster); err != nil {
			return err
		}
		var ids []string
		err := tx.Raw(`SELECT j.id FROM jobs j JOIN objections o ON o.cluster_id = j.cluster_id AND o.uid = j.uid
			WHERE j.user_id IS NULL AND j.cluster_id = ? ORDER BY j.id LIMIT ?`+forUpdate(tx), cluster, limit).Scan(&ids).Error
		if err != nil || len(ids) == 0 {
			return err
		}
		n = len(ids)
		return hideJobs(tx, ids, At(now))
	})
	return n, err
}

func hideJobs(tx *gorm.DB, ids []string, now Time) error {
	if err := hideRows(tx, ids); err != nil {
		return err
	}
	for _, table := range []string{"job_snapshots", "job_samples", "job_events", "job_reporters"} {
		if err := tx.Exec("DELETE FROM "+table+" WHERE job_id IN ?", ids).Error; err != nil {
			return fmt.Errorf("removing %s: %w", table, err)
		}
	}
	err := tx.Exec("UPDATE reports SET report = '{}', series = '{}', inputs_digest = '' WHERE job_id IN ?", ids).Error
	if err != nil {
		return fmt.Errorf("emptying reports: %w", err)
	}
	return tx.Exec(`UPDATE jobs SET uid = NULL, unix_user = '', name = '', submission_id = NULL, reason = '', updated_at = ?,
		analysis_due = (accounting_at IS NOT NULL) WHERE id IN ?`, now, ids).Error
}

func hideRows(tx *gorm.DB, ids []string) error {
	var rows []accountingRow
	if err := tx.Raw("SELECT job_id, attempt, step, fields FROM accounting_rows WHERE job_id IN ?", ids).Scan(&rows).Error; err != nil {
		return fmt.Errorf("reading accounting rows: %w", err)
	}
	for _, r := range rows {
		fields, digest, err := jobs.HideFields([]byte(r.Fields))
		if err != nil {
			return err
		}
		err = tx.Exec("UPDATE accounting_rows SET fields = ?, digest = ? WHERE job_id = ? AND attempt = ? AND step = ?", string(fields), digest, r.JobID, r.Attempt, r.Step).Error
		if err != nil {
			return fmt.Errorf("writing accounting rows: %w", err)
		}
	}
	return nil
}

func loadObjected(tx *gorm.DB, clusterID string, b *jobs.Book) error {
	var uids []int64
	if err := tx.Raw("SELECT uid FROM objections WHERE cluster_id = ?", clusterID).Scan(&uids).Error; err != nil {
		return fmt.Errorf("reading objections: %w", err)
	}
	for _, uid := range uids {
		b.Objected[uid] = true
	}
	return nil
}
