package efficiency

import "math"

// MetricName is one of the closed list of design 05.
type MetricName string

// The metrics. The unit is fixed by the name.
const (
	// CPUEfficiency = cpu_used / (elapsed × allocated CPUs) × 100.
	CPUEfficiency MetricName = "cpu_efficiency"
	// CPUCoreEfficiency = cpu_used / (elapsed × allocated CPUs / threads per core) × 100;
	// only where the threads per core are known.
	CPUCoreEfficiency MetricName = "cpu_core_efficiency"
	// CPUUsed = Σ over steps of max(TotalCPU, TRESUsageInTot[cpu]), in core-seconds.
	CPUUsed MetricName = "cpu_used"
	// CPUEfficiencyMeasuredNodes = cpu_used / (elapsed × CPUs on the nodes that have steps) × 100;
	// set only when part of the nodes has no data.
	CPUEfficiencyMeasuredNodes MetricName = "cpu_efficiency_measured_nodes"
	// MemoryEfficiency = memory_peak / allocated memory × 100.
	MemoryEfficiency MetricName = "memory_efficiency"
	// MemoryPeak = max over time of Σ over concurrent tasks of resident bytes.
	MemoryPeak MetricName = "memory_peak"
	// TimeEfficiency = elapsed / time limit × 100.
	TimeEfficiency MetricName = "time_efficiency"
	// GPUCount counts each GPU once, generic or typed.
	GPUCount MetricName = "gpu_count"
	// GPUUtilization is the mean over GPUs and time, in percent of one GPU.
	GPUUtilization MetricName = "gpu_utilization"
	// GPUMemoryPeak is in bytes, summed over the job's GPUs.
	GPUMemoryPeak MetricName = "gpu_memory_peak"
	// Energy of the job in joules (per node once).
	Energy MetricName = "energy"
	// PowerAverage = energy / elapsed, in watts.
	PowerAverage MetricName = "power_average"
	// PowerPeak = max over time of Σ over nodes of power, in watts.
	PowerPeak MetricName = "power_peak"
	// EnergyDelayProduct = energy × elapsed, in joule-seconds.
	EnergyDelayProduct MetricName = "energy_delay_product"
	// WastedCPU = idle + lost of the ledger, in core-seconds.
	WastedCPU MetricName = "wasted_cpu"
	// WastedMemory = idle + lost of the ledger, in byte-seconds.
	WastedMemory MetricName = "wasted_memory"
	// WastedGPU = idle + lost of the ledger, in GPU-seconds.
	WastedGPU MetricName = "wasted_gpu"
	// Cost = Σ over price intervals of energy × price; the unit is the tariff's currency.
	Cost MetricName = "cost"
	// Carbon = Σ over intervals of energy × carbon intensity, in grams of CO2 equivalent.
	Carbon MetricName = "carbon"
)

// MetricNames returns all names in their reading order. Every Report has all of them.
func MetricNames() []MetricName {
	return []MetricName{
		CPUEfficiency, CPUCoreEfficiency, CPUUsed, CPUEfficiencyMeasuredNodes,
		MemoryEfficiency, MemoryPeak, TimeEfficiency, GPUCount, GPUUtilization,
		GPUMemoryPeak, Energy, PowerAverage, PowerPeak, EnergyDelayProduct,
		WastedCPU, WastedMemory, WastedGPU, Cost, Carbon,
	}
}

// Unit is the unit of a metric's value.
type Unit string

// The units. Money is the one unit that comes from outside (the tariff's currency,
// for instance "EUR"); without a tariff it is "currency".
const (
	Percent      Unit = "percent"
	CoreSecond   Unit = "core_second"
	Byte         Unit = "byte"
	ByteSecond   Unit = "byte_second"
	GPUSecond    Unit = "gpu_second"
	Count        Unit = "count"
	Joule        Unit = "joule"
	Watt         Unit = "watt"
	JouleSecond  Unit = "joule_second"
	Gram         Unit = "gram"
	UnknownMoney Unit = "currency"
)

// Unit returns the unit that belongs to the name.
func (n MetricName) Unit() Unit {
	switch n {
	case CPUUsed, WastedCPU:
		return CoreSecond
	case MemoryPeak, GPUMemoryPeak:
		return Byte
	case GPUCount:
		return Count
	case Energy:
		return Joule
	case PowerAverage, PowerPeak:
		return Watt
	case EnergyDelayProduct:
		return JouleSecond
	case WastedMemory:
		return ByteSecond
	case WastedGPU:
		return GPUSecond
	case Cost:
		return UnknownMoney
	case Carbon:
		return Gram
	default:
		return Percent
	}
}

// Bound says on which side of the truth the value lies.
type Bound string

// The four bounds.
const (
	// Exact: measured or accounted completely, within the resolution of the source.
	Exact Bound = "exact"
	// Upper: the truth is at most this.
	Upper Bound = "upper"
	// Lower: the truth is at least this.
	Lower Bound = "lower"
	// Estimate: may lie on either side (model, split, sampling).
	Estimate Bound = "estimate"
)

// and returns the bound of a quantity made of two parts that add up.
func (b Bound) and(o Bound) Bound {
	switch {
	case b == o || o == Exact:
		return b
	case b == Exact:
		return o
	default:
		return Estimate
	}
}

// Metric is one number with its evidence.
type Metric struct {
	// Value is null when the metric cannot be computed; then Reasons is not empty.
	Value *float64 `json:"value"`
	Unit  Unit     `json:"unit"`
	Bound Bound    `json:"bound"`
	// Source is empty only when there was nothing to read.
	Source   Source   `json:"source"`
	Coverage Coverage `json:"coverage"`
	Reasons  Reasons  `json:"reasons"`
}

// Coverage says how much of the job was measured. A null is not known.
type Coverage struct {
	// Nodes measured, of NodesAllocated.
	Nodes          *int64 `json:"nodes"`
	NodesAllocated *int64 `json:"nodes_allocated"`
	// Seconds measured, of SecondsElapsed.
	Seconds        *float64 `json:"seconds"`
	SecondsElapsed *float64 `json:"seconds_elapsed"`
}

// Has tells whether the metric carries the reason.
func (m Metric) Has(r Reason) bool {
	for _, have := range m.Reasons {
		if have == r {
			return true
		}
	}
	return false
}

// with returns the metric with one more reason, each at most once.
func (m Metric) with(reasons ...Reason) Metric {
	m.Reasons = append(Reasons{}, m.Reasons...)
	for _, r := range reasons {
		if !m.Has(r) {
			m.Reasons = append(m.Reasons, r)
		}
	}
	return m
}

// finite keeps NaN and infinities out of reports: a number that is none is missing.
func finite(v float64) *float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	return &v
}
