package main

import (
	"cmp"
	"strconv"
	"strings"
	"time"

	"github.com/ergon-hpc/ergon/shared/api"
	"github.com/ergon-hpc/ergon/shared/efficiency"
)

// reportOf makes the report of what the server's list says of a job: its facts, and the efficiencies that it has.
func reportOf(j api.Job) efficiency.Report {
	r := efficiency.Report{
		ID: j.Id.String(), Job: factsOf(j), Attempts: []efficiency.Report{}, Findings: []efficiency.Finding{},
		Actions: []efficiency.Action{}, Nodes: []efficiency.NodeUse{}, Sources: []efficiency.Source{},
		Metrics: map[efficiency.MetricName]efficiency.Metric{},
	}
	why := missingReason(j)
	for _, name := range efficiency.MetricNames() {
		r.Metrics[name] = efficiency.Metric{Unit: name.Unit(), Bound: efficiency.Exact, Reasons: efficiency.Reasons{why}}
	}
	for name, m := range map[efficiency.MetricName]*efficiency.Metric{
		efficiency.CPUEfficiency: j.CpuEfficiency, efficiency.MemoryEfficiency: j.MemoryEfficiency, efficiency.TimeEfficiency: j.TimeEfficiency,
	} {
		if m != nil {
			r.Metrics[name] = *m
		}
	}
	r.Verdict = j.SlurmState + ": not analysed yet."
	return r
}

func missingReason(j api.Job) efficiency.Reason {
	switch {
	case j.State == api.RUNNING:
		return efficiency.Running
	case j.StartAt == nil:
		return efficiency.NeverStarted
	default:
		return efficiency.NoStepData
	}
}

func factsOf(j api.Job) efficiency.Job {
	submit := j.SubmitAt.Unix()
	f := efficiency.Job{
		JobID: j.SlurmJobId, JobIDRaw: deref(j.JobIdRaw), Cluster: j.Cluster, Name: deref(j.Name), User: deref(j.UnixUser),
		Account: deref(j.Account), Partition: deref(j.Partition), QOS: deref(j.Qos), State: string(j.State), SlurmState: j.SlurmState,
		Reason: deref(j.Reason), Submit: &submit, Start: unixOf(j.StartAt), End: unixOf(j.EndAt),
		Nodes: widen(j.Nodes), CPUs: widen(j.Cpus), Restarts: max(0, len(j.Attempts)-1),
	}
	if j.ExitCode != nil || j.ExitSignal != nil {
		f.ExitCode = strconv.Itoa(int(deref(j.ExitCode))) + ":" + strconv.Itoa(int(deref(j.ExitSignal)))
	}
	if j.ElapsedS != nil {
		seconds := float64(*j.ElapsedS)
		f.ElapsedSeconds = &seconds
	}
	if parent := deref(j.ArrayJobId); parent != "" {
		f.ParentID = parent
		_, f.ArrayTask, _ = strings.Cut(j.SlurmJobId, "_")
		f.HetComponent = componentOf(j.SlurmJobId)
	}
	return f
}

// componentOf is the offset of a het component (123+1), nil for any other job.
func componentOf(id string) *int {
	_, text, _ := strings.Cut(id, "+")
	n, err := strconv.Atoi(text)
	if err != nil {
		return nil
	}
	return &n
}

func unixOf(t *time.Time) *int64 {
	if t == nil {
		return nil
	}
	unix := t.Unix()
	return &unix
}

// compareTasks orders 12_9 before 12_10.
func compareTasks(a, b string) int {
	return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
}
