package dump

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/ergon-hpc/ergon/controlplane/internal/jobs"
	"github.com/ergon-hpc/ergon/shared/slurmfmt"
)

func (f *file) store(ctx context.Context) error {
	waiting := map[string][]*slurmfmt.Record{}
	clusters := map[string]jobs.Cluster{}
	kept := 0
	for c := range f.chunks {
		orphans, err := f.apply(ctx, c)
		if err != nil {
			return err
		}
		for _, r := range orphans {
			if kept == keptOrphans {
				if err := f.reject(f.rejected(r, "a step without its job, and too many of them to wait for it")); err != nil {
					return err
				}
				continue
			}
			waiting[c.cluster.ID], clusters[c.cluster.ID] = append(waiting[c.cluster.ID], r), c.cluster
			kept++
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return f.again(ctx, waiting, clusters)
}

// again gives steps a second chance that stood before their job's row, now that all of the file is stored.
func (f *file) again(ctx context.Context, waiting map[string][]*slurmfmt.Record, clusters map[string]jobs.Cluster) error {
	for id, rows := range waiting {
		for part := range slices.Chunk(rows, f.im.opt.ChunkRows) {
			batch := jobs.Batch{Cluster: clusters[id], Rows: part, OnlyMeasured: true, Intake: f.im.opt.Intake}
			if _, err := f.apply(ctx, &chunk{rows: part, cluster: clusters[id], prepared: jobs.Prepare(batch), last: true}); err != nil {
				return err
			}
		}
	}
	return nil
}

// apply stores a chunk and gives back the steps whose job is not known yet.
func (f *file) apply(ctx context.Context, c *chunk) (orphans []*slurmfmt.Record, err error) {
	f.im.count(func(n *Counts) { n.Rows += c.read })
	for _, b := range c.bad {
		if err := f.reject(b); err != nil {
			return nil, err
		}
	}
	if c.prepared != nil {
		res, err := f.im.jobs.Apply(ctx, jobs.Reporter{ClusterID: c.cluster.ID, Everyone: true}, c.prepared)
		if err != nil {
			return nil, fmt.Errorf("storing: %w", err)
		}
		f.im.count(func(n *Counts) {
			n.Stored, n.Unchanged, n.Jobs = n.Stored+int64(res.Rows), n.Unchanged+int64(res.Unchanged), n.Jobs+int64(res.Jobs)
			n.Summed, n.Strangers = n.Summed+int64(res.Summed), n.Strangers+int64(res.Strangers)
		})
		for _, b := range res.Bad {
			if b.Orphan && !c.last {
				orphans = append(orphans, c.rows[b.Row])
				continue
			}
			if err := f.reject(f.rejected(c.rows[b.Row], b.Reason)); err != nil {
				return nil, err
			}
		}
	}
	select {
	case <-time.After(f.im.opt.Pause):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if f.im.opt.Progress != nil {
		f.im.opt.Progress(f.im.Counts())
	}
	return orphans, nil
}

func (f *file) reject(r Rejected) error {
	f.im.count(func(n *Counts) { n.Rejected++ })
	if err := f.im.opt.Reject(r); err != nil {
		return fmt.Errorf("keeping a rejected row: %w", err)
	}
	return nil
}
