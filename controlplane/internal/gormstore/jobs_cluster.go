package gormstore

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
	"github.com/ergon-hpc/ergon/controlplane/internal/jobs"
)

type jobsClusterRow struct {
	ID           string
	Name         string
	SlurmVersion string
	Facts        string
}

func (r jobsClusterRow) domain() jobs.Cluster {
	return jobs.Cluster{ID: r.ID, Name: r.Name, SlurmVersion: r.SlurmVersion, Facts: []byte(r.Facts)}
}

const selectCluster = "SELECT id, name, slurm_version, facts FROM clusters WHERE "

// ClusterByName is jobs.Books.ClusterByName.
func (g *Jobs) ClusterByName(ctx context.Context, name string, create bool) (c jobs.Cluster, created bool, err error) {
	c, err = g.cluster(ctx, "name = ?", name)
	if !create || !apperr.Is(err, apperr.NotFound) {
		return c, false, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return c, false, fmt.Errorf("making a cluster's id: %w", err)
	}
	err = g.s.Tx(ctx, func(tx *gorm.DB) error {
		res := tx.Exec("INSERT INTO clusters (id, name, created_at) VALUES (?, ?, ?) ON CONFLICT (name) DO NOTHING", id.String(), name, At(tx.NowFunc()))
		created = res.RowsAffected == 1
		return res.Error
	})
	if err != nil {
		return c, false, err
	}
	c, err = g.cluster(ctx, "name = ?", name)
	return c, created, err
}

// ClusterByID is jobs.Books.ClusterByID.
func (g *Jobs) ClusterByID(ctx context.Context, id string) (jobs.Cluster, error) {
	return g.cluster(ctx, "id = ?", id)
}

func (g *Jobs) cluster(ctx context.Context, where, arg string) (jobs.Cluster, error) {
	var row jobsClusterRow
	res := g.s.q(ctx).Raw(selectCluster+where, arg).Scan(&row)
	if res.Error == nil && res.RowsAffected == 0 {
		return jobs.Cluster{}, apperr.New(apperr.NotFound, "no such cluster")
	}
	return row.domain(), mapErr(res.Error)
}

// PutFacts is jobs.Books.PutFacts.
func (g *Jobs) PutFacts(ctx context.Context, clusterID, slurmVersion string, facts []byte) error {
	return g.s.Tx(ctx, func(tx *gorm.DB) error {
		res := tx.Exec("UPDATE clusters SET slurm_version = ?, facts = ? WHERE id = ?", slurmVersion, string(facts), clusterID)
		if res.Error == nil && res.RowsAffected == 0 {
			return apperr.New(apperr.NotFound, "no such cluster")
		}
		return res.Error
	})
}

// Adopt is jobs.Books.Adopt.
func (g *Jobs) Adopt(ctx context.Context, link jobs.Link) (changed int64, err error) {
	err = g.s.Tx(ctx, func(tx *gorm.DB) error {
		if err := g.s.lockJobs(tx, link.ClusterID); err != nil {
			return err
		}
		res := tx.Exec(`UPDATE jobs SET user_id = ?, updated_at = ? WHERE cluster_id = ? AND NOT self_asserted
			AND user_id IS NULL AND unix_user = ? AND (uid = ? OR uid IS NULL)`,
			link.UserID.String(), At(tx.NowFunc()), link.ClusterID, link.UnixName, link.UID)
		changed = res.RowsAffected
		return res.Error
	})
	return changed, err
}
