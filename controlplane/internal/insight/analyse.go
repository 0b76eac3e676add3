package insight

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/shared/efficiency"
	"github.com/ergon-hpc/ergon/shared/slurmfmt"
	"github.com/ergon-hpc/ergon/shared/workprint"
)

// Revision says by which rules reports are made. Raise it with every change of shared/efficiency (or of this package) that
// changes a number, a finding or a reason: Refresh then makes the reports of older revisions again. It is part of every digest.
const Revision = 7

// Config bounds the work of an analysis. The zero value takes the defaults.
type Config struct {
	MaxProfileBytes int64 // of one file; 256 MiB
	MaxJobBytes     int64 // of all files of a job; 1 GiB
	MaxPoints       int   // of a stored line; 2000

	Tariffs Tariffs // nil: reports have no cost and no carbon
	Sites   Sites   // what sites say of their clusters, over what Slurm says
}

// Service analyses jobs and answers from the results.
type Service struct {
	store   Store
	archive Archive
	// neighbours is nil where the store cannot tell who shared a node: then energy of shared nodes stays an upper bound.
	neighbours Neighbours
	profiles   ProfileSource // nil: jobs with profiles are left to a server that has one
	now        func() time.Time
	log        *slog.Logger
	cfg        Config

	mu       sync.Mutex
	clusters map[string]cachedCluster
}

// New makes the service.
func New(store interface {
	Store
	Archive
}, profiles ProfileSource, now func() time.Time, log *slog.Logger, cfg Config,
) *Service {
	if cfg.MaxProfileBytes == 0 {
		cfg.MaxProfileBytes = 256 << 20
	}
	if cfg.MaxJobBytes == 0 {
		cfg.MaxJobBytes = 1 << 30
	}
	if cfg.MaxPoints == 0 {
		cfg.MaxPoints = 2000
	}
	s := &Service{store: store, archive: store, profiles: profiles, now: now, log: log, cfg: cfg, clusters: map[string]cachedCluster{}}
	s.neighbours, _ = store.(Neighbours)
	return s
}

// Due lists jobs whose analysis is due.
func (s *Service) Due(ctx context.Context, limit int) ([]uuid.UUID, error) {
	return s.store.Due(ctx, limit)
}

// Recover makes jobs due of which a profile was stored and nobody said so: a server died in between.
func (s *Service) Recover(ctx context.Context) error {
	n, err := s.store.MarkMissed(ctx, s.now())
	if n > 0 {
		s.log.InfoContext(ctx, "profiles without analysis were found", "jobs", n)
	}
	return err
}

// refreshAtOnce is how many reports of older revisions may wait for their analysis at a time: what ended just now waits behind
// them for seconds, not for all history.
const refreshAtOnce = 1000

// Refresh makes reports of older revisions due again, as many as fit beside what is due already, and says how many. It may be
// called at any time, repeated and killed: a report is stale until it is made again.
func (s *Service) Refresh(ctx context.Context) (int64, error) {
	n, err := s.store.MarkStale(ctx, Stale{Revision: Revision, Limit: refreshAtOnce, Profiles: s.profiles != nil}, s.now())
	if err != nil {
		return 0, fmt.Errorf("looking for reports of an older analysis: %w", err)
	}
	return n, nil
}

// ProfileStored makes the analysis of a job due: a profile of it was stored.
func (s *Service) ProfileStored(ctx context.Context, id uuid.UUID) error {
	return s.store.MarkDue(ctx, id, s.now())
}

// Analyse computes and stores the report of a job. It computes nothing when the inputs are those of the stored report.
func (s *Service) Analyse(ctx context.Context, id uuid.UUID) error {
	r, beside, err := s.result(ctx, id)
	if err != nil {
		return err
	}
	if err := s.store.Save(ctx, []Result{r}); err != nil {
		return fmt.Errorf("storing the report of job %s: %w", id, err)
	}
	return s.wake(ctx, beside)
}

// result is the analysis of a job; beside are the jobs to wake once it is stored, none when it is the stored one.
func (s *Service) result(ctx context.Context, id uuid.UUID) (r Result, beside []uuid.UUID, err error) {
	began := s.now() // what is stored from here on may be missed, and makes the job due again
	m, err := s.store.Material(ctx, id)
	if err != nil {
		return Result{}, nil, fmt.Errorf("reading job %s: %w", id, err)
	}
	if len(m.Rows) == 0 { // still to come, or taken away with the person or the year: then its sums are all that is left
		return Result{ID: id, Analysis: Analysis{ComputedAt: began}, Seen: m.UpdatedAt, Nothing: true}, nil, nil
	}
	if s.profiles == nil && len(m.Profiles) > 0 {
		return Result{}, nil, errLeft
	}
	e, err := s.energy(ctx, m)
	if err != nil {
		return Result{}, nil, fmt.Errorf("reading tariffs for job %s: %w", id, err)
	}
	if e.company, err = s.companyOf(ctx, m); err != nil {
		return Result{}, nil, fmt.Errorf("looking for the neighbours of job %s: %w", id, err)
	}
	digest := m.digest(e.digest())
	a, ok, err := s.store.Stored(ctx, id)
	if err != nil {
		return Result{}, nil, fmt.Errorf("reading the report of job %s: %w", id, err)
	}
	if !ok || a.Digest != digest {
		fresh, err := s.compute(ctx, m, e)
		if err != nil {
			return Result{}, nil, fmt.Errorf("analysing job %s: %w", id, err)
		}
		if !ok || !a.outlives(fresh) { // else it keeps its digest: profiles that come again change it
			fresh.Digest = digest
			a, beside = fresh, e.company.beside
		}
	}
	if m.Ended { // what a job has used so far is in no sum
		a.Sums = sumsOf(a.Report) // of a stored report too: the store keeps no sums but in columns
	}
	a.ComputedAt = began
	return Result{ID: id, Analysis: a, Seen: m.UpdatedAt}, beside, nil
}

// batchSize is how many analyses one transaction stores.
const batchSize = 500

// Worked says what AnalyseDue did.
type Worked struct {
	Analysed int
	Failed   int // logged and left due
	Left     int // left due, because their profiles cannot be read here
}

// errLeft says that a job has profiles and this service reads none.
var errLeft = errors.New("the job has profiles, which only the server reads")

// AnalyseDue works through everything that is due and stores it in batches: the way of an import. done is called after
// each batch with the number so far.
func (s *Service) AnalyseDue(ctx context.Context, done func(int)) (Worked, error) {
	var w Worked
	skip := map[uuid.UUID]bool{}
	for {
		ids, err := s.store.Due(ctx, batchSize+len(skip))
		if err != nil {
			return w, fmt.Errorf("looking for what is due: %w", err)
		}
		ids = slices.DeleteFunc(ids, func(id uuid.UUID) bool { return skip[id] })
		results, beside, err := s.batch(ctx, ids, func(id uuid.UUID, err error) {
			skip[id] = true
			if errors.Is(err, errLeft) {
				w.Left++
				return
			}
			w.Failed++
			s.log.WarnContext(ctx, "a job cannot be analysed", "job_id", id, "error", err)
		})
		if err != nil || len(ids) == 0 {
			return w, err
		}
		if err := s.store.Save(ctx, results); err != nil {
			return w, fmt.Errorf("storing reports: %w", err)
		}
		if err := s.wake(ctx, beside); err != nil {
			return w, err
		}
		w.Analysed += len(results)
		done(w.Analysed)
	}
}

// batch computes reports and tells fail about those that could not be; beside is that of all results.
func (s *Service) batch(ctx context.Context, ids []uuid.UUID, fail func(uuid.UUID, error)) (results []Result, beside []uuid.UUID, err error) {
	results = make([]Result, 0, len(ids))
	for _, id := range ids {
		r, near, err := s.result(ctx, id)
		if ctx.Err() != nil {
			return nil, nil, ctx.Err()
		}
		if err != nil {
			fail(id, err)
			continue
		}
		results, beside = append(results, r), append(beside, near...)
	}
	return results, beside, nil
}

// digest names the inputs; energy is that of the site's words about energy.
func (m Material) digest(energy string) string {
	h := sha256.New()
	fmt.Fprintf(h, "%d\n%s\n%s\n%s", Revision, m.ClusterName, m.Facts, energy)
	for _, r := range m.Rows {
		fmt.Fprintf(h, "%s\n", r.Digest)
	}
	for _, r := range m.Samples {
		fmt.Fprintf(h, "sstat %s\n", r.Digest)
	}
	if m.Script != nil || m.InputBytes > 0 {
		fmt.Fprintf(h, "wrapper %+v %d\n", m.script(), m.InputBytes)
	}
	for _, p := range m.Profiles {
		fmt.Fprintf(h, "%s %d %s\n", p.SHA256, p.SizeBytes, p.Key)
	}
	return hex.EncodeToString(h.Sum(nil))
}

func (m Material) script() (t workprint.Text) {
	if m.Script != nil {
		t = *m.Script
	}
	return t
}

// wake makes those due whose energy waited for the use of jobs that were stored just now: only behind the store does one of
// two jobs that are analysed at the same time find the other. They are looked at once more, and find nothing new where they
// still wait for another.
func (s *Service) wake(ctx context.Context, beside []uuid.UUID) error {
	if len(beside) == 0 {
		return nil
	}
	slices.SortFunc(beside, func(a, b uuid.UUID) int { return slices.Compare(a[:], b[:]) })
	if err := s.neighbours.MarkOpen(ctx, slices.Compact(beside), s.now()); err != nil {
		return fmt.Errorf("noting that the energy of neighbours can be split: %w", err)
	}
	return nil
}

func (s *Service) compute(ctx context.Context, m Material, e energy) (Analysis, error) {
	files, faults, err := s.loadProfiles(ctx, m.Profiles)
	if err != nil {
		return Analysis{}, err
	}
	in := efficiency.Input{
		Rows: records(m.Rows), Sstat: records(m.Samples), Profiles: files, Cluster: s.cluster(m), MaxPoints: s.cfg.MaxPoints,
		Price: e.price, Carbon: e.carbon,
	}
	report := efficiency.Analyse(in)
	if in.NodeCPU = e.company.nodeCPU(report); in.NodeCPU != nil {
		report = efficiency.Analyse(in)
	}
	report.Findings = append(report.Findings, faults...)
	if report.Job.Script = m.Script; m.InputBytes > 0 {
		bytes := float64(m.InputBytes)
		report.Job.InputBytes = &bytes
	}
	a := Analysis{Report: report, Series: report.Series}
	a.Report.Series = nil
	return a, nil
}

func records(rows []Row) []*slurmfmt.Record {
	out := make([]*slurmfmt.Record, len(rows))
	for i, r := range rows {
		out[i] = r.Record
	}
	return out
}

func sumsOf(r efficiency.Report) Sums {
	s := Sums{ElapsedS: r.Job.ElapsedSeconds, LimitS: r.Job.LimitSeconds, Ledger: r.Ledger}
	s.CPUAllocated, s.CPUUsed = balance(r.Ledger.CoreS)
	s.MemoryAllocated, s.MemoryUsed = balance(r.Ledger.ByteS)
	s.GPUAllocated, s.GPUUsed = balance(r.Ledger.GPUS)
	s.EnergyJ = value(r, efficiency.Energy)
	energy := r.Metrics[efficiency.Energy]
	s.EnergyOpen = s.EnergyJ != nil && energy.Bound == efficiency.Upper && energy.Has(efficiency.SharedNode)
	s.Cost, s.CarbonG = value(r, efficiency.Cost), value(r, efficiency.Carbon)
	if s.Cost != nil {
		s.CostUnit = string(r.Metrics[efficiency.Cost].Unit)
	}
	s.WastedCore, s.WastedMemory, s.WastedGPU = value(r, efficiency.WastedCPU), value(r, efficiency.WastedMemory), value(r, efficiency.WastedGPU)
	return s
}

// balance is what was allocated, and what was used of it. An account that nobody measured used an unknown amount, not 0.
func balance(a *efficiency.Account) (allocated, used *float64) {
	if a == nil {
		return nil, nil
	}
	if a.Allocated > 0 && a.Unmeasured == a.Allocated {
		return &a.Allocated, nil
	}
	return &a.Allocated, &a.Used
}

func value(r efficiency.Report, name efficiency.MetricName) *float64 {
	v, ok := r.Value(name)
	if !ok {
		return nil
	}
	return &v
}
