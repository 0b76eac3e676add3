package analytics

import (
	"fmt"
	"slices"
	"strings"
)

// Energy sums what the reports say of jobs. A job counts once, with its last incarnation that started and ended.
type Energy struct {
	Jobs   int64 // jobs that started and ended
	Joules float64
	Known  int64 // jobs of which the energy is known
	Open   int64 // of these, jobs that shared nodes of which the energy could not be split: it is all of theirs
	Cost   float64
	Costed int64  // jobs with a cost
	Unit   string // the currency; Mixed where there are several
	Mixed  bool
	Grams  float64
	Carbon int64 // jobs with a carbon

	Core, Byte, GPU Waste
}

// Waste is idle and lost time of a resource (shared/efficiency, Ledger), over the jobs of which it is known.
type Waste struct {
	S     float64 // core-seconds, byte-seconds, GPU-seconds
	Known int64
}

func (w Waste) plus(o Waste) Waste { return Waste{w.S + o.S, w.Known + o.Known} }

// hours is nil where nothing is known. unit is what an amount is counted in.
func (w Waste) hours(unit float64) any {
	if w.Known == 0 {
		return nil
	}
	return w.S / hour / unit
}

func (e *Energy) add(o Energy) {
	switch {
	case o.Mixed || e.Unit != "" && o.Unit != "" && e.Unit != o.Unit:
		e.Mixed = true
	case e.Unit == "":
		e.Unit = o.Unit
	}
	e.Jobs, e.Joules, e.Known = e.Jobs+o.Jobs, e.Joules+o.Joules, e.Known+o.Known
	e.Open += o.Open
	e.Core, e.Byte, e.GPU = e.Core.plus(o.Core), e.Byte.plus(o.Byte), e.GPU.plus(o.GPU)
	e.Cost, e.Costed, e.Grams, e.Carbon = e.Cost+o.Cost, e.Costed+o.Costed, e.Grams+o.Grams, e.Carbon+o.Carbon
}

func (e Energy) kWh() any {
	if e.Known == 0 {
		return nil
	}
	return e.Joules / 3.6e6
}

func (e Energy) cost() any {
	if e.Costed == 0 || e.Mixed {
		return nil
	}
	return e.Cost
}

func (e Energy) carbonKg() any {
	if e.Carbon == 0 {
		return nil
	}
	return e.Grams / 1000
}

// energyMetrics are all that stand in reports.
var energyMetrics = []string{"energy_kwh", "cost", "carbon_kg", "wasted_cpu_hours", "wasted_memory_gib_hours", "wasted_gpu_hours"}

// NeedsEnergy says that a metric of the list is made of Sums.Energy.
func NeedsEnergy(metrics []Metric) bool {
	return slices.ContainsFunc(metrics, func(m Metric) bool { return slices.Contains(energyMetrics, m.Name) })
}

// missing says what the sums of energy do not cover, and the currency.
func (e Energy) missing() (out []string) {
	if e.Jobs == 0 {
		return nil
	}
	if e.Known < e.Jobs {
		out = append(out, fmt.Sprintf("the energy of %d of %d jobs is not known: it is not in energy_kwh, cost and carbon_kg", e.Jobs-e.Known, e.Jobs))
	}
	if e.Open > 0 {
		out = append(out, fmt.Sprintf("%d jobs shared nodes, or may have, and their energy could not be split: theirs is an upper bound, and the same joule may count for several", e.Open))
	}
	if e.Core.Known < e.Jobs {
		out = append(out, fmt.Sprintf("the waste of CPUs of %d of %d jobs is not known: it is not in wasted_cpu_hours", e.Jobs-e.Core.Known, e.Jobs))
	}
	if e.Costed > 0 && e.Costed < e.Known {
		out = append(out, fmt.Sprintf("%d of %d jobs with energy have no cost: no price was imported for their time, or admin reanalyse has to run", e.Known-e.Costed, e.Known))
	}
	switch {
	case e.Mixed:
		out = append(out, "costs are in several currencies and not summed; select a cluster with --cluster")
	case e.Costed > 0:
		out = append(out, "cost is in "+strings.ToUpper(e.Unit))
	}
	return out
}
