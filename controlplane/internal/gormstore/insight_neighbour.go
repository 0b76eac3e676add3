package gormstore

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/controlplane/internal/insight"
)

// maxNeighbours bounds the jobs that are looked at for one job's energy.
const maxNeighbours = 5000

// longestFor is how long the length of a cluster's longest job is believed, and longestSlack how much longer a job may be
// that ended since.
const (
	longestFor   = 10 * time.Minute
	longestSlack = 24 * time.Hour
)

// longest is the length of a cluster's longest job: one that ran in a window ended at most that long after it. Without that
// bound an index of ends would have to be read to its end.
type longest struct {
	length time.Duration
	asked  time.Time
}

const everybody = `SELECT CASE WHEN EXISTS (SELECT 1 FROM agents a WHERE a.cluster_id = j.cluster_id AND a.revoked_at IS NULL)
	AND NOT EXISTS (SELECT 1 FROM agents a WHERE a.cluster_id = j.cluster_id AND a.revoked_at IS NULL AND a.scopes LIKE '%accounting:cluster%')
	THEN 0 ELSE 1 END AS everybody, j.cluster_id FROM jobs j WHERE j.id = ?`

// neighbours are those of which the last attempt, whose times the job has, or an earlier one ran between from and to.
const neighbours = `SELECT id, node_list, start_at, end_at, (SELECT COUNT(*) FROM attempts a WHERE a.job_id = jobs.id) AS attempts FROM jobs
	WHERE cluster_id = @cluster AND id <> @job AND (end_at > @from AND end_at <= @latest OR end_at IS NULL) AND node_list <> ''
	AND (start_at < @to OR submit_at < @to AND EXISTS (SELECT 1 FROM attempts a WHERE a.job_id = jobs.id AND a.start_at < @to AND a.end_at > @from))
	LIMIT @most`

// Neighbours is insight.Neighbours.Neighbours. Accounting is that of all users where an agent may report it, and where there
// is no agent at all, so that an import told it.
func (g *Insight) Neighbours(ctx context.Context, id uuid.UUID, from, to time.Time) (list []insight.Neighbour, known bool, err error) {
	var told struct {
		Everybody int64
		ClusterID string
	}
	if err := g.s.q(ctx).Raw(everybody, id.String()).Scan(&told).Error; err != nil || told.Everybody == 0 {
		return nil, false, mapErr(err)
	}
	most, err := g.longestOf(ctx, told.ClusterID)
	if err != nil {
		return nil, false, err
	}
	var rows []struct {
		ID       string
		NodeList string
		StartAt  Time
		EndAt    *Time
		Attempts int
	}
	err = g.s.q(ctx).Raw(neighbours, sql.Named("cluster", told.ClusterID), sql.Named("job", id.String()), sql.Named("from", At(from)),
		sql.Named("to", At(to)), sql.Named("latest", At(to.Add(most+longestSlack))), sql.Named("most", maxNeighbours+1)).Scan(&rows).Error
	if err != nil || len(rows) > maxNeighbours {
		return nil, false, mapErr(err)
	}
	for _, r := range rows {
		other, err := uuid.Parse(r.ID)
		if err != nil {
			return nil, false, fmt.Errorf("reading an id: %w", err)
		}
		n := insight.Neighbour{ID: other, NodeList: r.NodeList, Start: r.StartAt.Time(), Requeued: r.Attempts > 1}
		if r.EndAt != nil {
			n.End = r.EndAt.Time()
		}
		list = append(list, n)
	}
	return list, true, nil
}

// MarkOpen is insight.Neighbours.MarkOpen.
func (g *Insight) MarkOpen(ctx context.Context, ids []uuid.UUID, now time.Time) error {
	for part := range chunks(texts(ids)) {
		if _, err := g.mark(ctx, now, "id IN (SELECT job_id FROM reports WHERE job_id IN ? AND energy_open)", part); err != nil {
			return err
		}
	}
	return nil
}

func (g *Insight) longestOf(ctx context.Context, cluster string) (time.Duration, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.s.db.NowFunc()
	if l, ok := g.longest[cluster]; ok && now.Sub(l.asked) < longestFor {
		return l.length, nil
	}
	var seconds int64
	err := g.s.q(ctx).Raw("SELECT COALESCE(MAX(a.wall_s), 0) FROM attempts a JOIN jobs j ON j.id = a.job_id WHERE j.cluster_id = ?", cluster).Scan(&seconds).Error
	if err != nil {
		return 0, mapErr(fmt.Errorf("looking for the longest job: %w", err))
	}
	if g.longest == nil {
		g.longest = map[string]longest{}
	}
	g.longest[cluster] = longest{time.Duration(seconds) * time.Second, now}
	return g.longest[cluster].length, nil
}
