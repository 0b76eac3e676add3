package daemon

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ergon-hpc/ergon/shared/api"
	"github.com/ergon-hpc/ergon/shared/efficiency"
	"github.com/ergon-hpc/ergon/shared/slurmfmt"
)

// clusterFacts is what Slurm's configuration says.
type clusterFacts struct {
	profileDir string
	sight
}

// factsEvery is how often the cluster's facts are read and sent; a failure is tried again after factsRetry.
const (
	factsEvery = time.Hour
	factsRetry = 30 * time.Second
)

func (d *Daemon) factsLoop(ctx context.Context) error {
	for {
		wait := factsEvery
		if err := d.readFacts(ctx); err != nil {
			wait = factsRetry
			if errors.Is(err, errNoServer) {
				wait = 2 * time.Second
			} else if ctx.Err() == nil {
				d.opt.Log.Warn("reading the cluster's facts", "error", err)
			}
		}
		if !sleep(ctx, wait) {
			return nil
		}
	}
}

func (d *Daemon) readFacts(ctx context.Context) error {
	if d.facts.Load() != nil && d.opt.System && d.client.Load() == nil {
		return errNoServer
	}
	cfg, err := d.slurm.Config(ctx)
	if err != nil {
		return err
	}
	dir, _ := cfg.Get("ProfileHDF5Dir")
	d.facts.Store(&clusterFacts{profileDir: dir, sight: d.look(ctx, cfg)})
	if !d.opt.System {
		return nil // only an agent of the site describes the cluster
	}
	c := d.client.Load()
	if c == nil {
		return errNoServer
	}
	nodes, err := d.slurm.Nodes(ctx)
	if err != nil {
		return err
	}
	partitions, err := d.slurm.Partitions(ctx)
	if err != nil {
		return err
	}
	if err := c.PutNodes(ctx, wireFacts(cfg, nodes, partitions)); err != nil {
		return err
	}
	return d.tellCoordinators(ctx, c)
}

// look compares PrivateData of slurmctld and of slurmdbd with our own AdminLevel: Slurm leaves rows of other users out
// without a word, and then an empty answer proves nothing (design 02). A user's own agent asks for its own jobs only.
func (d *Daemon) look(ctx context.Context, cfg slurmfmt.Config) sight {
	if !d.opt.System {
		return sight{}
	}
	queueHides := hides(cfg)
	database, err := d.slurm.DatabaseConfig(ctx)
	databaseHides := err == nil && hides(database)
	if !queueHides && !databaseHides && err == nil {
		return sight{}
	}
	me := d.opt.Self.Name
	level, unknown := d.slurm.AdminLevel(ctx, me)
	switch {
	case level == "Operator" || level == "Administrator":
		return sight{}
	case unknown == nil && (queueHides || databaseHides):
		asked := "linked users are asked for in turn, others are not seen"
		if d.opt.Helpers == nil {
			asked = "they are not seen"
		}
		return sight{hidden: true, limited: fmt.Sprintf("Slurm hides other users' jobs from %s (PrivateData); %s; "+
			"to see all run: sacctmgr modify user %s set adminlevel=operator", me, asked, me)}
	}
	err = errors.Join(err, unknown)
	return sight{doubtful: !queueHides, limited: fmt.Sprintf("whether Slurm shows all users' jobs to %s could not be found out: %v", me, err)}
}

// sight is how much of other users' jobs Slurm shows us. Zero is everything.
type sight struct {
	// limited says, in words, why jobs may be invisible; "" when they are not.
	limited string
	// hidden says that they certainly are: then the linked users are asked for themselves.
	hidden bool
	// doubtful says that squeue shows them all, and accounting perhaps not.
	doubtful bool
}

// hides says that a configuration keeps jobs or their accounting from other users.
func hides(cfg slurmfmt.Config) bool {
	hidden, known := cfg.PrivateData()
	return !known || slices.Contains(hidden, "jobs") || slices.Contains(hidden, "usage")
}

func wireFacts(cfg slurmfmt.Config, nodes, partitions []slurmfmt.KeyValues) api.ClusterFacts {
	version := "unknown"
	if v, ok := cfg.Version(); ok {
		version = v.String()
	}
	cgroup := cgroupVersion(cfg)
	out := api.ClusterFacts{
		SlurmVersion: version, CgroupVersion: &cgroup, JobAcctGatherType: setting(cfg, "JobAcctGatherType"),
		JobAcctGatherFrequency: setting(cfg, "JobAcctGatherFrequency"), EnergyPlugin: setting(cfg, "AcctGatherEnergyType"),
	}
	for _, n := range nodes {
		name, ok := n.Get("NodeName")
		if !ok {
			continue
		}
		node := nodeFacts{
			Name: name, Cpus: small(n.Count("CPUTot")), Sockets: small(n.Count("Sockets")),
			CoresPerSocket: small(n.Count("CoresPerSocket")), ThreadsPerCore: small(n.Count("ThreadsPerCore")),
		}
		if bytes, ok := n.SizeMB("RealMemory").Value(); ok {
			node.MemoryBytes = &bytes
		}
		if gres, ok := n.Get("Gres"); ok && gres != "(null)" {
			node.Gres = &gres
		}
		if partitions, ok := n.Get("Partitions"); ok {
			partitions = strings.TrimSpace(partitions)
			node.Partitions = &partitions
		}
		out.Nodes = append(out.Nodes, node)
	}
	if out.Nodes == nil {
		out.Nodes = []nodeFacts{}
	}
	out.Partitions = wirePartitions(partitions)
	return out
}

// wirePartitions tells what decides over forced CPUs, whole nodes and time limits. No partition at all is not sent.
func wirePartitions(partitions []slurmfmt.KeyValues) *[]api.PartitionFacts {
	var out []api.PartitionFacts
	for _, kv := range partitions {
		name, p, ok := efficiency.ReadPartition(kv)
		if !ok {
			continue
		}
		out = append(out, api.PartitionFacts{
			Name: name, LimitSeconds: notZero(int64(p.LimitSeconds)), Unlimited: notZero(p.Unlimited),
			DefCpuPerGpu: notZero(p.DefCPUPerGPU), Exclusive: notZero(p.Exclusive),
		})
	}
	if out == nil {
		return nil
	}
	return &out
}

// notZero leaves a member out that says nothing.
func notZero[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}

// cgroupVersion decides what Slurm's memory numbers contain (docs/efficiency.md).
func cgroupVersion(cfg slurmfmt.Config) api.ClusterFactsCgroupVersion {
	switch efficiency.CgroupVersion(cfg) {
	case 1:
		return api.ClusterFactsCgroupVersionV1
	case 2:
		return api.ClusterFactsCgroupVersionV2
	default:
		return api.ClusterFactsCgroupVersionUnknown
	}
}

// nodeFacts is the element type that the generated client leaves without a name.
type nodeFacts = struct {
	CoresPerSocket *int32  `json:"cores_per_socket,omitempty"`
	Cpus           *int32  `json:"cpus,omitempty"`
	Gres           *string `json:"gres,omitempty"`
	MemoryBytes    *int64  `json:"memory_bytes,omitempty"`
	Name           string  `json:"name"`
	Partitions     *string `json:"partitions,omitempty"`
	Sockets        *int32  `json:"sockets,omitempty"`
	ThreadsPerCore *int32  `json:"threads_per_core,omitempty"`
}

func setting(cfg slurmfmt.Config, key string) *string {
	v, ok := cfg.Get(key)
	if !ok {
		return nil
	}
	return &v
}

func small(c slurmfmt.Count) *int32 {
	n, ok := c.Value()
	if !ok || n < 0 || n > 1<<31-1 {
		return nil
	}
	v := int32(n)
	return &v
}
