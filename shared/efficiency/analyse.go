package efficiency

import (
	"cmp"
	"math"
	"slices"

	"github.com/ergon-hpc/ergon/shared/slurmfmt"
)

// Analyse computes the report of one job from its rows, profiles and the site's
// configuration. It never fails: what cannot be known is null with its reason. The
// rows are taken to be one job's; Group separates jobs.
//
// With several attempts the metrics of the report are those of all of them together
// (ratios of sums), Job is the last attempt with the summed elapsed time, and the
// findings are about the last attempt that ran.
func Analyse(in Input) Report {
	rows := splitAttempts(in.Rows)
	sstat := sstatByStep(in.Sstat)
	reports := make([]Report, 0, len(rows))
	for i := range rows {
		last := i == len(rows)-1
		a := newAttempt(&in, rows[i], sstatOf(sstat, last), samplesOf(&in, rows, i))
		reports = append(reports, a.report(last))
	}
	out := merge(reports)
	out.ID = cmp.Or(in.ID, out.Job.JobID)
	return out
}

func sstatByStep(rows []*slurmfmt.Record) map[string]*slurmfmt.Record {
	out := make(map[string]*slurmfmt.Record)
	for _, r := range rows {
		if step := rowID(r).step; step != "" {
			out[step] = r
		}
	}
	return out
}

// sstatOf: only the incarnation that runs has sstat rows.
func sstatOf(rows map[string]*slurmfmt.Record, last bool) map[string]*slurmfmt.Record {
	if !last {
		return nil
	}
	return rows
}

// samplesOf picks the profile data of one incarnation by time. A requeued job writes
// files of the same names again.
func samplesOf(in *Input, rows []attemptRows, i int) *samples {
	if len(in.Profiles) == 0 {
		return nil
	}
	start, end := math.Inf(-1), math.Inf(1)
	if len(rows) == 1 && rows[0].job == nil {
		return newSamples(in.Profiles, start, end)
	}
	if rows[i].start >= 0 {
		start = float64(rows[i].start)
	}
	if r := rows[i].job; r != nil {
		if t, ok := unix(r.Time("End")); ok && rows[i].start >= 0 {
			end = float64(t)
		}
	}
	if len(rows) > 1 && rows[i].start < 0 && i != len(rows)-1 {
		return nil
	}
	return newSamples(in.Profiles, start, end)
}

// quantities are the amounts from which the others follow.
type quantities struct {
	cpu, memory, gpuUtil, gpuMemory, energy amount
}

func (a *attempt) quantities() quantities {
	cpu := a.cpuUsed()
	q := quantities{cpu: cpu, memory: a.memoryPeak(), gpuUtil: a.gpuUtilization(), gpuMemory: a.gpuMemoryPeak(), energy: a.energyOf(cpu)}
	for _, d := range a.disagreements() {
		m := q.of(d.metric)
		*m = m.because(SourceDisagreement)
	}
	return q
}

func (q *quantities) of(name MetricName) *amount {
	switch name {
	case CPUUsed:
		return &q.cpu
	case MemoryPeak:
		return &q.memory
	case GPUUtilization:
		return &q.gpuUtil
	case GPUMemoryPeak:
		return &q.gpuMemory
	default:
		return &q.energy
	}
}

// amounts computes all metrics.
func (a *attempt) amounts(q quantities, l Ledger, b bills) map[MetricName]amount {
	return map[MetricName]amount{
		CPUUsed:                    q.cpu,
		CPUEfficiency:              a.cpuEfficiency(q.cpu, a.cpus()),
		CPUCoreEfficiency:          a.cpuCoreEfficiency(q.cpu),
		CPUEfficiencyMeasuredNodes: a.cpuMeasuredNodes(q.cpu),
		MemoryPeak:                 q.memory,
		MemoryEfficiency:           a.memoryEfficiency(q.memory),
		TimeEfficiency:             a.timeEfficiency(),
		GPUCount:                   a.gpuCount(),
		GPUUtilization:             a.unlessPartial(q.gpuUtil),
		GPUMemoryPeak:              q.gpuMemory,
		Energy:                     q.energy,
		PowerAverage:               a.powerAverage(q.energy),
		PowerPeak:                  a.powerPeak(),
		EnergyDelayProduct:         a.energyDelay(q.energy),
		WastedCPU:                  a.wastedCPU(l.CoreS, q.cpu),
		WastedMemory:               wastedAmount(l.ByteS, q.memory),
		WastedGPU:                  a.wastedGPU(l.GPUS, q.gpuUtil),
		Cost:                       b.cost,
		Carbon:                     b.carbon,
	}
}

// bills are the results of the two tariffs and the times that they did not cover.
type bills struct {
	cost, carbon      amount
	noPrice, noCarbon []Interval
}

func (a *attempt) bills(energy amount) bills {
	var b bills
	b.cost, b.noPrice = a.bill(energy, a.in.Price, JoulePerMWh)
	b.carbon, b.noCarbon = a.bill(energy, a.in.Carbon, JoulePerKWh)
	return b
}

// wastedAmount reads idle + lost off the ledger. Waste that follows from an upper
// bound of use is a lower bound, and the other way round.
func wastedAmount(acc *Account, used amount) amount {
	switch {
	case acc == nil:
		return none(append(Reasons{MissingField}, used.reasons...)...)
	case acc.Unmeasured > 0 && acc.Unmeasured == acc.Allocated:
		return none(used.reasons...).because(NoStepData)
	}
	m := whole(acc.Wasted(), acc.Bound.flipped(), SourceLedger, used.reasons...)
	if acc.Lost > 0 {
		m = whole(acc.Wasted(), Exact, SourceLedger)
	}
	m.nodes = used.nodes
	if acc.Unmeasured > 0 {
		m.bound = Lower
	}
	return m
}

func (b Bound) flipped() Bound {
	switch b {
	case Upper:
		return Lower
	case Lower:
		return Upper
	default:
		return b
	}
}

// report is the report of one incarnation.
func (a *attempt) report(last bool) Report {
	q := a.quantities()
	l := a.ledger(q, last)
	b := a.bills(q.energy)
	r := Report{
		ID: a.job.JobID, Job: a.job, Attempts: []Report{}, Ledger: l,
		Metrics: a.metrics(a.amounts(q, l, b)),
		Nodes:   a.nodeUse(), Sources: a.sources(),
	}
	if e, ok := r.Value(Energy); ok {
		r.Everyday = Everyday(e)
	}
	if a.samples != nil {
		r.Series = a.samples.series(a.in.MaxPoints)
	}
	r.Findings = a.findings(&r, b)
	r.Verdict = verdict(a, &r)
	r.Actions = actions(r.Findings)
	return r
}

// sources lists what was read, best first.
func (a *attempt) sources() []Source {
	out := []Source{}
	if a.samples != nil {
		out = append(out, SourceProfile)
	}
	for _, want := range []Source{SourceTRES, SourceTotalCPU, SourceMaxRSS, SourceSstat} {
		if slices.ContainsFunc(a.steps, func(s step) bool {
			return s.cpu.ok && s.cpu.source == want || s.mem.ok && s.mem.source == want
		}) {
			out = append(out, want)
		}
	}
	if a.jobstats != nil {
		out = append(out, SourceJobstats)
	}
	return out
}

// nodeUse lists what is known per node.
func (a *attempt) nodeUse() []NodeUse {
	out := []NodeUse{}
	if a.samples == nil {
		return out
	}
	nodes, _ := value(a.job.Nodes)
	for _, node := range a.samples.allNodes() {
		n := NodeUse{Node: node}
		if s := a.samples.perNode[node]; s != nil {
			n = s.use(node)
		}
		if e, ok := a.samples.energy[node]; ok {
			n.EnergyJoules = finite(e.Joules)
			n.Seconds = max(n.Seconds, e.CoveredS)
		}
		if limit, _, ok := a.memory(); ok && nodes > 0 {
			n.MemoryLimitBytes = finite(limit / float64(nodes))
		}
		out = append(out, n)
	}
	return out
}

func (s *nodeSamples) use(node string) NodeUse {
	n := NodeUse{Node: node, Seconds: length(s.measured)}
	if s.hasCPU {
		n.CPUSeconds = finite(s.cpu)
	}
	if s.hasMemory {
		n.MemoryPeakBytes = finite(s.peak)
	}
	if s.gpuTasks > 0 {
		n.GPUUtilisation = finite(s.gpuArea / float64(s.gpuTasks) / max(1, n.Seconds))
	}
	return n
}

// allNodes are the nodes with tasks, power or traffic.
func (s *samples) allNodes() []string {
	all := append([]string{}, s.nodes...)
	all = append(all, sortedKeys(s.energy)...)
	for _, nodes := range s.traffic {
		all = append(all, sortedKeys(nodes)...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}
