package gormstore

import (
	"context"

	"github.com/ergon-hpc/ergon/controlplane/internal/identity"
)

type idClusterRow struct {
	ID        string
	Name      string
	Facts     string
	UnixLogin bool
	CreatedAt Time
}

func (idClusterRow) TableName() string { return "clusters" }

func (r idClusterRow) domain() identity.Cluster {
	return identity.Cluster{ID: r.ID, Name: r.Name, UnixLogin: r.UnixLogin, CreatedAt: r.CreatedAt.Time()}
}

// InsertCluster stores a cluster; already_exists when the name is taken.
func (s *Store) InsertCluster(ctx context.Context, c identity.Cluster) error {
	return mapErr(s.q(ctx).Create(&idClusterRow{ID: c.ID, Name: c.Name, Facts: "{}", CreatedAt: At(c.CreatedAt)}).Error)
}

// ClusterByName finds a cluster.
func (s *Store) ClusterByName(ctx context.Context, name string) (identity.Cluster, error) {
	var r idClusterRow
	if err := s.q(ctx).Take(&r, "name = ?", name).Error; err != nil {
		return identity.Cluster{}, mapErr(err)
	}
	return r.domain(), nil
}

// ListClusters lists all clusters by name.
func (s *Store) ListClusters(ctx context.Context) ([]identity.Cluster, error) {
	var rows []idClusterRow
	if err := s.q(ctx).Order("name").Find(&rows).Error; err != nil {
		return nil, mapErr(err)
	}
	return mapRows(rows, idClusterRow.domain), nil
}
