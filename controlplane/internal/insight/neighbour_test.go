package insight

import (
	"context"
	"math"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/ergon-hpc/ergon/shared/efficiency"
	"github.com/ergon-hpc/ergon/shared/slurmfmt"
)

// shared is a store of one job on a node of eight CPUs, with neighbours.
type shared struct {
	memory
	near  []Neighbour
	known bool
	runs  map[uuid.UUID][]efficiency.Report // attempts of requeued ones
	used  map[uuid.UUID]*float64
	open  map[uuid.UUID]bool
	due   []uuid.UUID
}

func (s *shared) Neighbours(context.Context, uuid.UUID, time.Time, time.Time) ([]Neighbour, bool, error) {
	return append([]Neighbour{}, s.near...), s.known, nil
}

func (s *shared) ReportsOf(_ context.Context, ids []uuid.UUID) (out []Known, err error) {
	for _, id := range ids {
		m := map[efficiency.MetricName]efficiency.Metric{efficiency.CPUUsed: {Value: s.used[id]}}
		out = append(out, Known{ID: id, Report: efficiency.Report{Metrics: m, Attempts: s.runs[id]}})
	}
	return out, nil
}

func (s *shared) MarkOpen(_ context.Context, ids []uuid.UUID, _ time.Time) error {
	for _, id := range ids {
		if s.open[id] {
			s.due = append(s.due, id)
		}
	}
	return nil
}

// onNode is a job of four CPUs for ten seconds, which used 30 CPU seconds on a node that took 1000 J meanwhile.
func onNode() Material {
	cols := slurmfmt.NewColumns("JobID", "State", "Submit", "Start", "End", "ElapsedRaw", "AllocCPUS", "NNodes", "NodeList", "TotalCPU", "AllocTRES", "ConsumedEnergyRaw")
	job := slurmfmt.NewRecord(cols, []string{"20", "COMPLETED", "1000", "1000", "1010", "10", "4", "1", "n1", "00:00:30", "cpu=4,mem=8G,node=1", "1000"}, nil)
	step := slurmfmt.NewRecord(cols, []string{"20.0", "COMPLETED", "1000", "1000", "1010", "10", "4", "1", "n1", "00:00:30", "cpu=4,mem=8G,node=1", "1000"}, nil)
	return Material{ID: uuid.New(), SlurmJobID: "20", Ended: true, Rows: []Row{{"a", job}, {"b", step}}, ClusterID: "c", ClusterName: "lab", Facts: []byte(`{"job_acct_gather_type":"jobacct_gather/linux"}`)}
}

func sites() Sites {
	return Sites{"lab": {NodeTypes: map[string]efficiency.NodeType{"t": {Cores: 8, ThreadsPerCore: 1, IdleWatt: 50}}, DefaultType: "t"}}
}

func neighbour(s *shared, nodes string, start, end int64, used float64) uuid.UUID {
	n := Neighbour{ID: uuid.New(), NodeList: nodes, Start: time.Unix(start, 0)}
	if end > 0 {
		n.End = time.Unix(end, 0)
	}
	s.near = append(s.near, n)
	if used >= 0 {
		s.used[n.ID] = &used
	}
	return n.ID
}

// requeued is a neighbour that ran twice: its node list and times are those of the second attempt.
func requeued(s *shared, attempts ...efficiency.Report) {
	id := neighbour(s, "n1", 1000, 1010, 90)
	s.near[len(s.near)-1].Requeued = true
	s.runs = map[uuid.UUID][]efficiency.Report{id: attempts}
}

func attemptOn(nodes string, start, end int64, used float64) efficiency.Report {
	r := efficiency.Report{Metrics: map[efficiency.MetricName]efficiency.Metric{efficiency.CPUUsed: {Value: &used}, efficiency.CPUEfficiency: {}}}
	r.Job.NodeList, r.Job.Start, r.Job.End = nodes, &start, &end
	return r
}

func TestARequeuedJobHasCompanyOfItsOwnInEachAttempt(t *testing.T) {
	s := newShared()
	cols := s.m.Rows[0].Record.Columns()
	first := slurmfmt.NewRecord(cols, []string{"20", "NODE_FAIL", "900", "900", "1000", "100", "4", "1", "n1", "00:00:30", "cpu=4,mem=8G,node=1", "1000"}, nil)
	s.m.Rows = append([]Row{{"c", first}}, s.m.Rows...)
	neighbour(s, "n1", 1000, 1010, 30)
	e := s.energy(t)
	if e.Value == nil || *e.Value != 2000 || e.Bound != efficiency.Upper || !e.Has(efficiency.SharedNode) {
		t.Errorf("what was used beside both attempts splits neither: %v %+v", e.Value, e)
	}
}

func newShared() *shared {
	return &shared{memory: memory{m: onNode()}, known: true, used: map[uuid.UUID]*float64{}, open: map[uuid.UUID]bool{}}
}

func (s *shared) energy(t *testing.T) efficiency.Metric {
	t.Helper()
	svc := New(s, nil, time.Now, nil, Config{Sites: sites()})
	if err := svc.Analyse(context.Background(), s.m.ID); err != nil {
		t.Fatal(err)
	}
	return s.stored.Report.Metrics[efficiency.Energy]
}

func TestEnergyOfASharedNodeIsSplitByTheRule(t *testing.T) {
	for name, c := range map[string]struct {
		add   func(*shared)
		value float64
		bound efficiency.Bound
	}{
		// 500 J idle: 4 of 8 CPUs. 500 J of work: 30 of 60 CPU seconds.
		"beside a job of the same time":                {func(s *shared) { neighbour(s, "n1", 1000, 1010, 30) }, 500, efficiency.Estimate},
		"beside a job that was there half of the time": {func(s *shared) { neighbour(s, "n1", 1005, 1015, 60) }, 500, efficiency.Estimate},
		"beside a job on two nodes":                    {func(s *shared) { neighbour(s, "n[1-2]", 1000, 1010, 60) }, 500, efficiency.Estimate},
		"beside nobody":                                {func(*shared) {}, 750, efficiency.Estimate},
		"beside a job on another node":                 {func(s *shared) { neighbour(s, "n2", 1000, 1010, 30) }, 750, efficiency.Estimate},
		"beside a job that runs still":                 {func(s *shared) { neighbour(s, "n1", 1000, 0, 30) }, 1000, efficiency.Upper},
		"beside a job that is not analysed":            {func(s *shared) { neighbour(s, "n1", 1000, 1010, -1) }, 1000, efficiency.Upper},
		// Its first attempt ran beside, with 30 of its 90 CPU seconds.
		"beside a requeued job":                             {func(s *shared) { requeued(s, attemptOn("n1", 1000, 1010, 30), attemptOn("n2", 1000, 1010, 60)) }, 500, efficiency.Estimate},
		"beside a requeued job whose attempts are not told": {func(s *shared) { requeued(s) }, 1000, efficiency.Upper},
		"beside a requeued job that runs again elsewhere": {func(s *shared) {
			again := attemptOn("n2", 1005, 0, 1)
			again.Job.End = nil
			requeued(s, attemptOn("n1", 1000, 1010, 30), again)
		}, 500, efficiency.Estimate},
		"where not all jobs are known": {func(s *shared) { s.known = false }, 1000, efficiency.Upper},
	} {
		t.Run(name, func(t *testing.T) {
			s := newShared()
			c.add(s)
			e := s.energy(t)
			if e.Value == nil || math.Abs(*e.Value-c.value) > 1e-6 || e.Bound != c.bound || s.stored.Sums.EnergyOpen != (c.bound == efficiency.Upper) {
				t.Errorf("%v %+v, open %v", e.Value, e, s.stored.Sums.EnergyOpen)
			}
		})
	}
}

func TestAJobWakesThoseWhoseEnergyWaitedForIt(t *testing.T) {
	s := newShared()
	waits := neighbour(s, "n1", 1000, 1010, 30)
	neighbour(s, "n1", 1000, 1010, 5)
	s.open[waits] = true
	s.energy(t)
	if len(s.due) != 1 || s.due[0] != waits {
		t.Errorf("woke %v, want %v", s.due, waits)
	}
	s.due = nil
	if s.energy(t); len(s.due) != 0 {
		t.Errorf("the same inputs woke %v", s.due)
	}
	more := 7.0
	s.used[waits] = &more
	if s.energy(t); len(s.due) != 1 {
		t.Error("another use of a neighbour is no new input")
	}
}

func TestTheJoulesOfANodeAreNotGivenTwice(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		own, other := rapid.Float64Range(0.1, 40).Draw(rt, "own"), rapid.Float64Range(0, 40).Draw(rt, "other")
		share := func(mine, theirs float64) float64 {
			c := company{known: true, nodes: map[string]bool{"n1": true}, cpu: map[string]float64{"n1": theirs}}
			r := efficiency.Report{Metrics: map[efficiency.MetricName]efficiency.Metric{efficiency.CPUUsed: {Value: &mine}}}
			return mine / c.nodeCPU(r)["n1"]
		}
		if sum := share(own, other) + share(max(other, 1e-9), own); sum > 1+1e-6 {
			rt.Fatalf("the shares of two jobs are %v together", sum)
		}
	})
}
