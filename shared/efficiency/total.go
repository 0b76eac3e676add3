package efficiency

// Totals are the numbers of a set of jobs or attempts. Efficiencies are ratios of
// sums over those that have both numbers; Coverage.Seconds of a metric is the run
// time of those, SecondsElapsed that of all that started.
type Totals struct {
	// Jobs is how many reports went in, Started how many ever ran.
	Jobs    int                   `json:"jobs"`
	Started int                   `json:"started"`
	Metrics map[MetricName]Metric `json:"metrics"`
	Ledger  Ledger                `json:"ledger"`
}

// AddUp aggregates reports: "my last 30 days". Jobs that never started count in Jobs
// and nowhere else. Peaks are maxima, energy, cost, carbon and waste are sums, of which
// a job without the number makes a lower bound; cost is summed only when all units agree.
func AddUp(reports []Report) Totals {
	sum := NewAdder()
	for i := range reports {
		sum.Add(&reports[i])
	}
	return sum.Totals()
}

// sum collects one metric.
type sum struct {
	part, whole float64
	any         bool
	metric      Metric // bound, source, reasons and unit so far
	seconds     float64
	nodes       int64
	mixedUnits  bool
	// lacking: a part that ran has no value.
	lacking bool
}

type totaller struct {
	sums    map[MetricName]*sum
	ledger  Ledger
	started int
	elapsed float64
	nodes   int64
	why     Reasons // of reports that never started
}

func (t *totaller) add(r *Report) {
	if !r.Started() {
		t.why = r.Metrics[CPUEfficiency].Reasons
		return
	}
	t.started++
	t.ledger = t.ledger.Plus(r.Ledger)
	elapsed, _ := value(r.Job.ElapsedSeconds)
	t.elapsed += elapsed
	nodes, _ := value(r.Job.Nodes)
	t.nodes = plus(t.nodes, nodes)
	for _, name := range MetricNames() {
		t.addMetric(name, r, elapsed)
	}
}

// addMetric adds part and whole of one metric. For efficiencies the parts are
// recovered from the percentage and the denominator that the report has.
func (t *totaller) addMetric(name MetricName, r *Report, elapsed float64) {
	s := t.sums[name]
	if s == nil {
		s = &sum{metric: Metric{Unit: name.Unit(), Bound: Exact}}
		t.sums[name] = s
	}
	m := r.Metrics[name]
	weight, weighted := weightOf(name, r, elapsed)
	if m.Value == nil || weighted && weight <= 0 {
		s.metric = s.metric.with(m.Reasons...)
		s.lacking = s.lacking || m.Value == nil && !m.Has(NotApplicable)
		return
	}
	s.take(m)
	s.seconds += elapsed
	nodes, _ := value(m.Coverage.Nodes)
	s.nodes = plus(s.nodes, nodes)
	switch {
	case weighted:
		s.part += *m.Value * weight
		s.whole += weight
	case isPeak(name):
		s.part = max(s.part, *m.Value)
	default:
		s.part += *m.Value
	}
}

// take merges bound, source, unit and reasons.
func (s *sum) take(m Metric) {
	switch {
	case !s.any:
		s.metric.Bound, s.metric.Source, s.metric.Unit = m.Bound, m.Source, m.Unit
	case s.metric.Source != m.Source:
		s.metric.Source = SourceMixed
	}
	s.mixedUnits = s.mixedUnits || s.metric.Unit != m.Unit
	s.metric.Bound = s.metric.Bound.and(m.Bound)
	s.metric = s.metric.with(m.Reasons...)
	s.any = true
}

// weightOf is the denominator of a ratio; false for metrics that are no ratio.
func weightOf(name MetricName, r *Report, elapsed float64) (float64, bool) {
	switch name {
	case CPUEfficiency:
		return allocatedOf(r.Ledger.CoreS), true
	case CPUCoreEfficiency:
		threads, _ := value(r.Job.ThreadsPerCore)
		return allocatedOf(r.Ledger.CoreS) / float64(max(1, threads)), true
	case CPUEfficiencyMeasuredNodes:
		if r.Ledger.CoreS == nil {
			return 0, true
		}
		m := r.Metrics[name]
		nodes, _ := value(m.Coverage.Nodes)
		all, _ := value(m.Coverage.NodesAllocated)
		return r.Ledger.CoreS.Allocated * float64(nodes) / float64(max(1, all)), true
	case MemoryEfficiency:
		return allocatedOf(r.Ledger.ByteS), true
	case TimeEfficiency:
		limit, _ := value(r.Job.LimitSeconds)
		return limit, true
	case GPUUtilization:
		return allocatedOf(r.Ledger.GPUS), true
	case PowerAverage:
		return elapsed, true
	default:
		return 0, false
	}
}

func allocatedOf(a *Account) float64 {
	if a == nil {
		return 0
	}
	return a.Allocated
}

func isPeak(name MetricName) bool {
	switch name {
	case MemoryPeak, GPUMemoryPeak, PowerPeak, GPUCount:
		return true
	default:
		return false
	}
}

func (t *totaller) metrics() map[MetricName]Metric {
	out := make(map[MetricName]Metric, len(MetricNames()))
	for _, name := range MetricNames() {
		out[name] = t.metric(name)
	}
	return out
}

func (t *totaller) metric(name MetricName) Metric {
	s := t.sums[name]
	if s == nil {
		s = &sum{metric: Metric{Unit: name.Unit(), Bound: Exact}.with(t.why...)}
	}
	m := s.metric
	m.Coverage = Coverage{
		Nodes: ptr(s.nodes), NodesAllocated: ptr(t.nodes),
		Seconds: finite(s.seconds), SecondsElapsed: finite(t.elapsed),
	}
	if s.any && !s.mixedUnits {
		m.Value = finite(s.result(name))
		m.Bound = s.bound(name)
	}
	if m.Value == nil && len(m.Reasons) == 0 {
		m = m.with(MissingField)
	}
	return m.with()
}

func (s *sum) result(name MetricName) float64 {
	if s.whole > 0 && !isPeak(name) {
		return s.part / s.whole
	}
	return s.part
}

// bound of a sum or a maximum that lacks a part: there was at least this. Ratios are
// about those that have both numbers, and costs may be negative.
func (s *sum) bound(name MetricName) Bound {
	switch {
	case !s.lacking || s.whole > 0:
		return s.metric.Bound
	case name == Cost:
		return Estimate
	default:
		return s.metric.Bound.and(Lower)
	}
}
