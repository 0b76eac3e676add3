package efficiency

// amount is a quantity on its way to a Metric: what was found, where, how sure.
type amount struct {
	value   float64
	ok      bool
	bound   Bound
	source  Source
	reasons Reasons
	// nodes and seconds measured; negative means "all that were allocated".
	nodes   int64
	seconds float64
}

// whole is an amount that covers all nodes and the whole run.
func whole(value float64, bound Bound, source Source, reasons ...Reason) amount {
	return amount{value: value, ok: true, bound: bound, source: source, reasons: reasons, nodes: -1, seconds: -1}
}

// none is an amount that could not be found.
func none(reasons ...Reason) amount {
	return amount{reasons: reasons, bound: Exact, nodes: -1, seconds: -1}
}

// because adds reasons.
func (m amount) because(reasons ...Reason) amount {
	m.reasons = append(append(Reasons{}, m.reasons...), reasons...)
	return m
}

// metric turns an amount into the wire shape and adds what holds for the whole job.
func (a *attempt) metric(name MetricName, m amount) Metric {
	out := Metric{Unit: name.Unit(), Bound: m.bound, Source: m.source, Coverage: a.coverage(m)}
	if out.Bound == "" {
		out.Bound = Exact
	}
	if m.ok {
		out.Value = finite(m.value)
	}
	out = out.with(m.reasons...).with(a.common(m)...)
	if out.Value == nil && len(out.Reasons) == 0 {
		out = out.with(MissingField)
	}
	return out
}

func (a *attempt) coverage(m amount) Coverage {
	c := Coverage{NodesAllocated: a.job.Nodes, SecondsElapsed: a.job.ElapsedSeconds}
	switch {
	case !m.ok:
		c.Nodes, c.Seconds = zeroIf(c.NodesAllocated), zeroIf(c.SecondsElapsed)
		if m.nodes >= 0 {
			c.Nodes = ptr(m.nodes)
		}
		return c
	case m.nodes >= 0:
		c.Nodes = ptr(m.nodes)
	default:
		c.Nodes = c.NodesAllocated
	}
	c.Seconds = c.SecondsElapsed
	if m.seconds >= 0 {
		c.Seconds = finite(m.seconds)
	}
	return c
}

// zeroIf says "none measured" where the whole is known.
func zeroIf[T any](whole *T) *T {
	if whole == nil {
		return nil
	}
	return new(T)
}

// common are the reasons that every metric of the job carries.
func (a *attempt) common(m amount) Reasons {
	var out Reasons
	if a.badID {
		out = append(out, BadJobID)
	}
	if a.never {
		return append(out, NeverStarted)
	}
	if a.running {
		out = append(out, Running)
	}
	if a.suspended {
		out = append(out, Suspended)
	}
	if a.guessed && m.ok {
		out = append(out, MissingField)
	}
	return out
}

// metrics turns all amounts into metrics.
func (a *attempt) metrics(amounts map[MetricName]amount) map[MetricName]Metric {
	out := make(map[MetricName]Metric, len(amounts))
	for name, m := range amounts {
		if a.never {
			m = none()
		}
		out[name] = a.metric(name, m)
	}
	if a.in.Price != nil && a.in.Price.Unit != "" {
		cost := out[Cost]
		cost.Unit = Unit(a.in.Price.Unit)
		out[Cost] = cost
	}
	return out
}
