package local

import (
	"context"
	"path/filepath"
	"time"

	"github.com/ergon-hpc/ergon/shared/efficiency"
)

// site is what the local cluster says of itself.
type site struct {
	cluster    *efficiency.Cluster
	profileDir string
}

// siteTimeout bounds what reports wait for slurmctld: without it they only say less.
const siteTimeout = 3 * time.Second

// siteLater asks scontrol while sacct works. Without an answer nothing is assumed.
func (r Reporter) siteLater(ctx context.Context) <-chan site {
	answer := make(chan site, 1)
	go func() { answer <- r.site(ctx) }()
	return answer
}

// Cluster is what the cluster says of itself, nil where slurmctld does not answer.
func (r Reporter) Cluster(ctx context.Context) *efficiency.Cluster { return r.site(ctx).cluster }

func (r Reporter) site(ctx context.Context) site {
	ctx, cancel := context.WithTimeout(ctx, siteTimeout)
	defer cancel()
	config, err := r.Slurm.Config(ctx)
	if err != nil {
		r.Warn("slurmctld did not answer: node types, the sampling interval and profiles are not used")
		return site{profileDir: r.ProfileDir}
	}
	s := site{profileDir: r.ProfileDir}
	if dir, set := config.Get("ProfileHDF5Dir"); set && s.profileDir == "" && filepath.IsAbs(dir) {
		s.profileDir = dir
	}
	// Without nodes or partitions the report only says less.
	nodes, _ := r.Slurm.Nodes(ctx)
	partitions, _ := r.Slurm.Partitions(ctx)
	s.cluster = efficiency.ReadCluster(config, nodes, partitions)
	return s
}
