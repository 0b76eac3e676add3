package gormstore

import (
	"context"
	"slices"
	"strings"

	"gorm.io/gorm"

	"github.com/ergon-hpc/ergon/controlplane/internal/identity"
)

type coordinatorRow struct {
	ClusterID string
	Account   string
	UnixName  string
}

func (coordinatorRow) TableName() string { return "coordinators" }

// ReplaceCoordinators compares first: an agent says the same again and again.
func (s *Store) ReplaceCoordinators(ctx context.Context, clusterID string, list []identity.Coordinator) (changed bool, err error) {
	err = s.Tx(ctx, func(tx *gorm.DB) error {
		var old []coordinatorRow
		if err := tx.Where("cluster_id = ?", clusterID).Find(&old).Error; err != nil {
			return err
		}
		fresh := coordinatorRows(clusterID, list)
		slices.SortFunc(old, compareCoordinators)
		if changed = !slices.Equal(old, fresh); !changed {
			return nil
		}
		if err := tx.Delete(&coordinatorRow{}, "cluster_id = ?", clusterID).Error; err != nil || len(fresh) == 0 {
			return err
		}
		return tx.CreateInBatches(fresh, 500).Error
	})
	return changed, err
}

func coordinatorRows(clusterID string, list []identity.Coordinator) []coordinatorRow {
	rows := make([]coordinatorRow, 0, len(list))
	for _, c := range list {
		rows = append(rows, coordinatorRow{ClusterID: clusterID, Account: c.Account, UnixName: c.UnixName})
	}
	slices.SortFunc(rows, compareCoordinators)
	return slices.Compact(rows)
}

func compareCoordinators(a, b coordinatorRow) int {
	if n := strings.Compare(a.Account, b.Account); n != 0 {
		return n
	}
	return strings.Compare(a.UnixName, b.UnixName)
}

// AccountsOf goes by links that are not suspended.
func (s *Store) AccountsOf(ctx context.Context, userID string) ([]identity.ManagedAccount, error) {
	var list []identity.ManagedAccount
	err := s.q(ctx).Raw(`SELECT DISTINCT c.name AS cluster, k.account AS account FROM coordinators k
		JOIN clusters c ON c.id = k.cluster_id
		JOIN links l ON l.cluster_id = k.cluster_id AND l.unix_name = k.unix_name
		WHERE l.user_id = ? AND l.suspended_at IS NULL ORDER BY 1, 2`, userID).Scan(&list).Error
	return list, mapErr(err)
}

type lookRow struct {
	ID        string
	ViewerID  string
	ClusterID string
	Account   string
	At        Time
}

func (lookRow) TableName() string { return "looks" }

// InsertLook stores a look.
func (s *Store) InsertLook(ctx context.Context, l identity.Look) error {
	c, err := s.ClusterByName(ctx, l.Cluster)
	if err != nil {
		return err
	}
	return mapErr(s.q(ctx).Create(&lookRow{ID: l.ID, ViewerID: l.ViewerID, ClusterID: c.ID, Account: l.Account, At: At(l.At)}).Error)
}

// LooksAt finds looks at accounts of the user's jobs: as each run had it, as the sums count it, and as the job has it.
func (s *Store) LooksAt(ctx context.Context, userID string, limit int) ([]identity.Look, error) {
	var rows []struct {
		ID, ViewerID, Cluster, Account string
		Viewer                         *string
		At                             Time
	}
	err := s.q(ctx).Raw(`SELECT k.id, k.viewer_id, u.username AS viewer, c.name AS cluster, k.account, k.at FROM looks k
		JOIN clusters c ON c.id = k.cluster_id LEFT JOIN users u ON u.id = k.viewer_id
		WHERE k.viewer_id <> ? AND EXISTS (SELECT 1 FROM jobs j WHERE j.user_id = ? AND j.cluster_id = k.cluster_id
			AND (j.account = k.account OR EXISTS (SELECT 1 FROM attempts a WHERE a.job_id = j.id AND a.account = k.account)))
		ORDER BY k.at DESC, k.id LIMIT ?`, userID, userID, limit).Scan(&rows).Error
	if err != nil {
		return nil, mapErr(err)
	}
	out := make([]identity.Look, 0, len(rows))
	for _, r := range rows {
		l := identity.Look{ID: r.ID, ViewerID: r.ViewerID, ManagedAccount: identity.ManagedAccount{Cluster: r.Cluster, Account: r.Account}, At: r.At.Time()}
		if r.Viewer != nil {
			l.Viewer = *r.Viewer
		}
		out = append(out, l)
	}
	return out, nil
}
