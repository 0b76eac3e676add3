package efficiency

import (
	"math"
	"regexp"
	"strconv"
	"strings"
)

// What other tools compute, by their own published code, for the same job. A formula answers ok = false where the tool
// shows no such number for such an input.
type otherTool struct {
	name string
	// read names what the formula was read from.
	read    string
	formula func(c comparison) (float64, bool)
}

// seffOld is SchedMD's contribs/seff before 24.11: memory is the largest MaxRSS of a step times its tasks.
// seffNew takes the step's TRESUsageInTot. Both add the steps' TotalCPU.
func otherTools() []otherTool {
	return []otherTool{
		{"seff < 24.11", "SchedMD/slurm `contribs/seff/seff`", seffOld},
		{"seff ≥ 24.11", "SchedMD/slurm `contribs/seff/seff`", seffNew},
		{"reportseff", "troycomi/reportseff `src/reportseff/job.py`", reportseff},
		{"jobstats", "PrincetonUniversity/jobstats `jobstats.py`, `output_formatters.py`, before it rounds to whole percent", jobstatsTool},
		{"ClusterCockpit", "ClusterCockpit/cc-backend `internal/importer/initDB.go`: energy = mean power × duration, in steps of 0.01 kWh", clusterCockpit},
		{"CEEMS", "mahendrapaipuri/ceems `etc/prometheus/rules/host-power-ipmi.rules`, the case without RAPL; avg_cpu_usage of its TSDB updater", ceems},
		{"XDMoD", "ubccr/xdmod: (end − start) × CPUs", xdmod},
	}
}

func seffOld(c comparison) (float64, bool) {
	switch c.metric {
	case MemoryEfficiency:
		return c.percentOf(most(c.steps(), rssTimesTasks), c.allocatedMemory())
	case CPUEfficiency:
		return c.stepCPU()
	}
	return 0, false
}

func seffNew(c comparison) (float64, bool) {
	switch c.metric {
	case MemoryEfficiency:
		inTot := func(r *record) float64 {
			n, _ := r.TRES("TRESUsageInTot").UsageMemory().Value()
			return float64(n)
		}
		return c.percentOf(most(c.steps(), inTot), c.allocatedMemory())
	case CPUEfficiency:
		return c.stepCPU()
	}
	return 0, false
}

// reportseff reads ReqMem with the suffixes n and c as they stand, prints 0 as "---", and knows energy from
// TRESUsageOutAve. Where there is a jobstats summary it shows the mean of the nodes' percentages instead.
func reportseff(c comparison) (float64, bool) {
	if strings.HasPrefix(c.rows[0].Get("AdminComment"), "JS1:") && c.metric == CPUEfficiency {
		var sum float64
		for _, n := range c.monitor {
			sum += 100 * n.cpuSeconds / n.cpus / c.wall()
		}
		return sum / float64(len(c.monitor)), true
	}
	job := c.rows[0]
	switch c.metric {
	case MemoryEfficiency:
		limit := literalReqMem(job)
		return c.percentOf(most(c.steps(), rssTimesTasks), limit)
	case CPUEfficiency:
		used, _ := job.Duration("TotalCPU").Seconds()
		v, ok := c.percentOf(used, c.elapsed()*c.cpus())
		return v, ok && v != 0
	case TimeEfficiency:
		limit, ok := job.TimeLimit().Seconds()
		v, some := c.percentOf(c.elapsed(), limit)
		return v, ok && some
	case Energy:
		out := func(r *record) float64 {
			_, text, _ := strings.Cut(","+r.Get("TRESUsageOutAve"), ",energy=")
			text, _, _ = strings.Cut(text, ",")
			n, _ := strconv.ParseFloat(text, 64)
			return n
		}
		v := most(c.steps(), out)
		return v, v > 0
	}
	return 0, false
}

// literalReqMem multiplies the number before the suffix, without the flag 0x80000000 of old dumps.
func literalReqMem(job *record) float64 {
	m := regexp.MustCompile(`^([0-9.]+)([KMGT]?)([nc]?)$`).FindStringSubmatch(job.Get("ReqMem"))
	if m == nil {
		return 0
	}
	v, _ := strconv.ParseFloat(m[1], 64)
	for range 1 + strings.Index("KMGT", m[2]) {
		v *= 1024
	}
	if m[2] == "" {
		v = 0
	}
	if m[3] == "c" {
		n, _ := job.Count("AllocCPUS").Value()
		v *= float64(n)
	}
	return v
}

var genericGPU = regexp.MustCompile(`gres/gpu=(\d+)`)

// jobstatsTool divides by end − start, so suspension counts as idle, and shows nothing above 100 percent. GPUs are
// those of the generic name. The time shown is capped at 100.
func jobstatsTool(c comparison) (float64, bool) {
	var used, all float64
	switch c.metric {
	case GPUCount:
		m := genericGPU.FindStringSubmatch(c.rows[0].Get("AllocTRES"))
		if m == nil {
			return 0, true
		}
		n, err := strconv.ParseFloat(m[1], 64)
		return n, err == nil
	case TimeEfficiency:
		limit, ok := c.rows[0].TimeLimit().Seconds()
		return min(100, 100*c.wall()/limit), ok && c.rows[0].State().Word == "COMPLETED"
	case CPUEfficiency:
		for _, n := range c.monitor {
			used, all = used+n.cpuSeconds, all+n.cpus*c.wall()
		}
	case MemoryEfficiency:
		for _, n := range c.monitor {
			used, all = used+n.resident, all+n.memory
		}
	}
	return 100 * used / all, all > 0 && used <= all
}

// clusterCockpit needs a power series: the mean of its samples times the duration, whatever the samples cover, rounded
// to hundredths of a kWh.
func clusterCockpit(c comparison) (float64, bool) {
	if c.metric != Energy || c.watts == nil {
		return 0, false
	}
	var sum float64
	for _, w := range c.watts {
		sum += w
	}
	kWh := sum / float64(len(c.watts)) * c.elapsed() / 3600 / 1000
	return math.Round(kWh*100) / 100 * JoulePerKWh, true
}

// ceems gives nine tenths of the node's power by CPU time and one tenth equally to the jobs on the node. Its mean CPU
// usage leaves out the samples that are 0.
func ceems(c comparison) (float64, bool) {
	switch {
	case c.metric == CPUEfficiency:
		return c.ceemsCPU()
	case c.metric != Energy || c.nodeCPU == 0:
		return 0, false
	}
	joules, _ := c.rows[0].Count("ConsumedEnergyRaw").Value()
	used, _ := seconds(c.steps(), "TotalCPU")
	return 0.9*float64(joules)*used/c.nodeCPU + 0.1*float64(joules)/float64(c.jobsOnNode), true
}

// ceemsCPU is the mean over time of the mean over the nodes, of what is above 0.
func (c comparison) ceemsCPU() (float64, bool) {
	var means []float64
	for i := range c.samples() {
		var sum, n float64
		for _, node := range c.monitor {
			if v := node.percent[i]; v > 0 {
				sum, n = sum+v, n+1
			}
		}
		if n > 0 {
			means = append(means, sum/n)
		}
	}
	if len(means) == 0 {
		return 0, false
	}
	return mean(means), true
}

func (c comparison) samples() int {
	if len(c.monitor) == 0 {
		return 0
	}
	return len(c.monitor[0].percent)
}

// xdmod counts wall time from start to end, suspension included.
func xdmod(c comparison) (float64, bool) {
	start, okStart := c.rows[0].Time("Start").Value()
	end, okEnd := c.rows[0].Time("End").Value()
	if c.metric != cpuHours || !okStart || !okEnd {
		return 0, false
	}
	return end.Sub(start).Hours() * c.cpus(), true
}

func rssTimesTasks(r *record) float64 {
	rss, _ := r.Size("MaxRSS").Value()
	tasks, _ := r.Count("NTasks").Value()
	return float64(rss) * float64(max(1, tasks))
}

func most(rows []*record, of func(*record) float64) (v float64) {
	for _, r := range rows {
		v = max(v, of(r))
	}
	return v
}

func seconds(rows []*record, column string) (sum float64, found bool) {
	for _, r := range rows {
		if v, ok := r.Duration(column).Seconds(); ok {
			sum, found = sum+v, true
		}
	}
	return sum, found
}
