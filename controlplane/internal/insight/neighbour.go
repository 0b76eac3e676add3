package insight

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/shared/efficiency"
)

// A meter tells the energy of a node, not of a job. On a node that jobs shared it is split (docs/efficiency.md), and for that
// the CPU time of all of them has to be known.

// Neighbour is another job of the cluster that ran while a job did. NodeList, Start and End are those of its last attempt.
type Neighbour struct {
	ID         uuid.UUID
	NodeList   string
	Start, End time.Time // End is zero while it runs
	Requeued   bool      // it has other attempts, which only its report tells
}

// Neighbours finds them.
type Neighbours interface {
	// Neighbours lists the other jobs of a job's cluster that ran between from and to. known is false when accounting of all
	// users is not reported, or there are too many: then nothing can be said.
	Neighbours(ctx context.Context, id uuid.UUID, from, to time.Time) (list []Neighbour, known bool, err error)
	// MarkOpen makes those of the jobs due whose stored energy is that of shared nodes and could not be split.
	MarkOpen(ctx context.Context, ids []uuid.UUID, now time.Time) error
}

// company is who else was on a job's nodes.
type company struct {
	known bool // of all of them how much CPU time they used
	// nodes are the job's own; cpu is what the others used there while the job ran.
	nodes  map[string]bool
	cpu    map[string]float64
	beside []uuid.UUID // the others
	digest string
}

// companyOf looks for the jobs that shared nodes with a job, when that decides its energy: some was measured, and the site
// says what its nodes draw doing nothing. A job that was requeued had other company in each attempt, and what was used beside
// all of them says nothing about one: its energy stays an upper bound.
func (s *Service) companyOf(ctx context.Context, m Material) (company, error) {
	from, to, ok := m.span()
	if !ok || s.neighbours == nil || !m.metered() || m.requeued() {
		return company{}, nil
	}
	nodes := m.nodes()
	if !idlePowerKnown(s.cluster(m), nodes) {
		return company{}, nil
	}
	all, known, err := s.neighbours.Neighbours(ctx, m.ID, from, to)
	if err != nil || !known {
		return company{}, err
	}
	near := sharing(all, nodes)
	ids := make([]uuid.UUID, 0, len(near))
	for _, n := range near {
		ids = append(ids, n.ID)
	}
	reports, err := s.archive.ReportsOf(ctx, ids)
	if err != nil {
		return company{}, fmt.Errorf("reading reports of neighbours: %w", err)
	}
	byID := make(map[uuid.UUID]efficiency.Report, len(reports))
	for _, k := range reports {
		byID[k.ID] = k.Report
	}
	c := join(near, byID, nodes, from, to)
	c.beside = ids
	return c, nil
}

func join(near []Neighbour, reports map[uuid.UUID]efficiency.Report, nodes map[string]bool, from, to time.Time) company {
	c := company{known: true, nodes: nodes, cpu: map[string]float64{}}
	h := sha256.New()
	for _, n := range near {
		for _, v := range visits(n, reports[n.ID]) {
			fmt.Fprintf(h, "%s %v %v %d %d\n", n.ID, v.used, v.known, v.start.Unix(), v.end.Unix())
			c.add(v, from, to)
		}
	}
	c.digest = hex.EncodeToString(h.Sum(nil))
	return c
}

// visit is one attempt of a neighbour: where and when it ran, and what it used.
type visit struct {
	nodes      []string
	start, end time.Time
	used       float64
	known      bool
}

// visits are the attempts of a neighbour. A requeued one's CPU time is that of all attempts together, so that each has to be
// told by its report; without them nothing is known of it.
func visits(n Neighbour, r efficiency.Report) []visit {
	if !n.Requeued {
		used, ok := r.Value(efficiency.CPUUsed)
		return []visit{{efficiency.NodeNames(n.NodeList), n.Start, n.End, used, ok && !n.End.IsZero()}}
	}
	var out []visit
	for _, a := range r.Attempts {
		if !a.Started() {
			continue
		}
		used, ok := a.Value(efficiency.CPUUsed)
		v := visit{nodes: efficiency.NodeNames(a.Job.NodeList), used: used}
		if v.known = ok && a.Job.Start != nil && a.Job.End != nil; v.known {
			v.start, v.end = time.Unix(*a.Job.Start, 0), time.Unix(*a.Job.End, 0)
		}
		out = append(out, v)
	}
	if len(out) == 0 {
		return []visit{{}}
	}
	return out
}

func (c *company) add(v visit, from, to time.Time) {
	if length := v.end.Sub(v.start).Seconds(); !v.known || length <= 0 {
		// Of an attempt that is known to have been elsewhere nothing more has to be known.
		c.known = c.known && len(v.nodes) > 0 && !slices.ContainsFunc(v.nodes, func(node string) bool { return c.nodes[node] })
		return
	}
	part := v.used * overlap(v, from, to) / v.end.Sub(v.start).Seconds() / float64(max(1, len(v.nodes)))
	for _, node := range v.nodes {
		if c.nodes[node] {
			c.cpu[node] += part
		}
	}
}

func overlap(v visit, from, to time.Time) float64 {
	if v.start.After(from) {
		from = v.start
	}
	if v.end.Before(to) {
		to = v.end
	}
	return max(0, to.Sub(from).Seconds())
}

// sharing keeps the neighbours that were on some of the nodes, in a fixed order. Where earlier attempts ran is not known here.
func sharing(all []Neighbour, nodes map[string]bool) []Neighbour {
	all = slices.DeleteFunc(all, func(n Neighbour) bool {
		return !n.Requeued && !slices.ContainsFunc(efficiency.NodeNames(n.NodeList), func(node string) bool { return nodes[node] })
	})
	slices.SortFunc(all, func(a, b Neighbour) int { return slices.Compare(a.ID[:], b.ID[:]) })
	return all
}

// nodes are those of the job's own rows.
func (m Material) nodes() map[string]bool {
	out, seen := map[string]bool{}, map[string]bool{} // all steps of a job mostly have the same list
	for _, r := range m.Rows {
		list := r.Record.Get("NodeList")
		if seen[list] {
			continue
		}
		seen[list] = true
		for _, n := range efficiency.NodeNames(list) {
			out[n] = true
		}
	}
	return out
}

// requeued says that the job has several attempts.
func (m Material) requeued() bool {
	attempts := 0
	for _, r := range m.Rows {
		if id, err := r.Record.ID(); err == nil && !id.IsStep() {
			attempts++
		}
	}
	return attempts > 1
}

// metered says that the job's energy may have been measured.
func (m Material) metered() bool {
	return len(m.Profiles) > 0 || slices.ContainsFunc(m.Rows, func(r Row) bool {
		n, ok := r.Record.Count("ConsumedEnergyRaw").Value()
		return ok && n > 0
	})
}

func idlePowerKnown(c *efficiency.Cluster, nodes map[string]bool) bool {
	if len(nodes) == 0 {
		return false
	}
	for node := range nodes {
		if t, _ := c.TypeOf(node); t.IdleWatt <= 0 || t.Cores <= 0 {
			return false
		}
	}
	return true
}

// nodeCPU adds what the job itself used, by its report without the split: where a profile tells the nodes apart as it does,
// else in equal parts. nil when the use of the others is not known.
func (c company) nodeCPU(own efficiency.Report) map[string]float64 {
	used, ok := own.Value(efficiency.CPUUsed)
	if !c.known || !ok {
		return nil
	}
	there := map[string]float64{}
	for _, n := range own.Nodes {
		if n.CPUSeconds != nil {
			there[n.Node] = *n.CPUSeconds
		}
	}
	out := make(map[string]float64, len(c.nodes))
	for node := range c.nodes {
		own := used / float64(len(c.nodes))
		if len(there) == len(c.nodes) {
			own = there[node]
		}
		out[node] = c.cpu[node] + own
	}
	return out
}
