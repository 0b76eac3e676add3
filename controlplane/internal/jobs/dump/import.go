package dump

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
	"github.com/ergon-hpc/ergon/controlplane/internal/jobs"
	"github.com/ergon-hpc/ergon/shared/slurmfmt"
)

// Ingester is the part of package jobs that an import needs.
type Ingester interface {
	Apply(ctx context.Context, who jobs.Reporter, p *jobs.Prepared) (jobs.Result, error)
}

// Clusters finds clusters by name, and makes those that are new.
type Clusters interface {
	ClusterByName(ctx context.Context, name string, create bool) (c jobs.Cluster, created bool, err error)
}

// Options say how to read the dumps.
type Options struct {
	// Cluster names the cluster of all rows; "" takes the column Cluster.
	Cluster string
	// Location is the zone of times without an offset.
	Location *time.Location
	// Columns names the columns of dumps without a header line.
	Columns []string
	// Delimiter separates the fields; "" finds it out.
	Delimiter string
	// Reject takes the rows that could not be used; nil drops them.
	Reject func(Rejected) error
	// Progress is called after each stored chunk; may be nil.
	Progress func(Counts)
	// ChunkRows is the size of a transaction in rows; 0 means 50 000.
	ChunkRows int
	// Intake is what the site leaves out.
	Intake jobs.Intake
	// Pause follows each transaction, for others who wait for the database; 0 when there are none.
	Pause time.Duration
}

// Counts says what an import did. It is what `-o json` prints.
type Counts struct {
	Rows      int64    `json:"rows"`      // rows read, bad ones included
	Stored    int64    `json:"stored"`    // rows that were new or knew more
	Unchanged int64    `json:"unchanged"` // rows that were stored before
	Rejected  int64    `json:"rejected"`
	Summed    int64    `json:"summed"`    // rows of a time of which only sums are kept: not taken, they would count twice
	Jobs      int64    `json:"jobs"`      // jobs touched; one that is spread over chunks counts in each
	Strangers int64    `json:"strangers"` // rows of people without an account, where the site takes none
	Clusters  []string `json:"clusters_created"`
}

// Rejected is a row that could not be used.
type Rejected struct {
	File   string
	Line   int // 0 where it is not known
	Reason string
	Text   string
}

// Importer imports dumps into one store.
type Importer struct {
	jobs     Ingester
	clusters Clusters
	opt      Options
	known    map[string]jobs.Cluster
	mu       sync.Mutex // counts: one side reads, the other stores
	counts   Counts
}

const (
	defaultChunk = 50_000
	// keptOrphans bounds the steps that wait for their job's row to the end of the file.
	keptOrphans = 200_000
)

// New makes an importer.
func New(ingest Ingester, clusters Clusters, opt Options) *Importer {
	if opt.ChunkRows == 0 {
		opt.ChunkRows = defaultChunk
	}
	if opt.Location == nil {
		opt.Location = time.UTC
	}
	if opt.Reject == nil {
		opt.Reject = func(Rejected) error { return nil }
	}
	return &Importer{jobs: ingest, clusters: clusters, opt: opt, known: map[string]jobs.Cluster{}, counts: Counts{Clusters: []string{}}}
}

// Counts are the counts so far, over all files.
func (im *Importer) Counts() Counts {
	im.mu.Lock()
	defer im.mu.Unlock()
	c := im.counts
	c.Clusters = slices.Clone(c.Clusters)
	return c
}

func (im *Importer) count(fn func(*Counts)) {
	im.mu.Lock()
	defer im.mu.Unlock()
	fn(&im.counts)
}

// File imports one dump; name is for messages. Reading and storing go on side by side.
func (im *Importer) File(ctx context.Context, name string, r io.Reader) error {
	f := &file{im: im, name: name, chunks: make(chan *chunk)}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { defer close(f.chunks); return f.read(ctx, r) })
	g.Go(func() error { return f.store(ctx) })
	if err := g.Wait(); err != nil {
		return fmt.Errorf("importing %s: %w", name, err)
	}
	return nil
}

// cluster finds the cluster of a row.
func (im *Importer) cluster(ctx context.Context, r *slurmfmt.Record) (jobs.Cluster, error) {
	name := im.opt.Cluster
	if name == "" {
		name = r.Get("Cluster")
	}
	if c, ok := im.known[name]; ok {
		return c, nil
	}
	if name == "" {
		return jobs.Cluster{}, apperr.New(apperr.InvalidRequest, "the row names no cluster").WithHint("give --cluster NAME")
	}
	if len(name) > maxClusterName {
		return jobs.Cluster{}, apperr.Newf(apperr.InvalidRequest, "the cluster's name is longer than %d bytes", maxClusterName)
	}
	c, created, err := im.clusters.ClusterByName(ctx, name, true)
	if err != nil {
		return c, fmt.Errorf("finding cluster %q: %w", name, err)
	}
	if created {
		im.count(func(n *Counts) { n.Clusters = append(n.Clusters, name) })
	}
	im.known[name] = c
	return c, nil
}

const maxClusterName = 64
