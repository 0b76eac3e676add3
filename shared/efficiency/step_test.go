package efficiency

import (
	"math"
	"testing"
)

func TestStepReadings(t *testing.T) {
	for _, c := range []struct {
		name    string
		pairs   []string
		cpu     float64
		cpuFrom Source // empty: not measured
		mem     float64
		memFrom Source
		perTask bool
		lower   bool
	}{
		{name: "nothing", pairs: []string{"JobID=1.0"}},
		{name: "TotalCPU is finer than TRES", pairs: []string{"JobID=1.0", "TotalCPU=00:04.556", "TRESUsageInTot=cpu=00:00:04"}, cpu: 4.556, cpuFrom: SourceTotalCPU},
		{name: "TRES is larger: children of a killed step", pairs: []string{"JobID=1.0", "TotalCPU=00:00.010", "TRESUsageInTot=cpu=01:00:00"}, cpu: 3600, cpuFrom: SourceTRES},
		{name: "days", pairs: []string{"JobID=1.0", "TotalCPU=2-03:04:05"}, cpu: 183845, cpuFrom: SourceTotalCPU},
		{name: "an unreadable TotalCPU is no zero", pairs: []string{"JobID=1.0", "TotalCPU=soon"}},
		{name: "INVALID is no zero", pairs: []string{"JobID=1.0", "TotalCPU=INVALID"}},
		{name: "zero of an ended step is zero", pairs: []string{"JobID=1.0", "State=COMPLETED", "TotalCPU=00:00:00"}, cpuFrom: SourceTotalCPU},
		{name: "zero of a running step is nothing gathered", pairs: []string{"JobID=1.0", "State=RUNNING", "TotalCPU=00:00:00"}},
		{name: "zero of a killed step is nothing gathered", pairs: []string{"JobID=1.0", "State=CANCELLED", "TotalCPU=00:00:00"}},
		{name: "TRES memory before MaxRSS", pairs: []string{"JobID=1.0", "NTasks=4", "MaxRSS=10G", "TRESUsageInTot=mem=13G"}, mem: 13 * gib, memFrom: SourceTRES},
		{name: "MaxRSS of one task", pairs: []string{"JobID=1.0", "NTasks=1", "MaxRSS=62764K"}, mem: 62764 << 10, memFrom: SourceMaxRSS},
		{name: "MaxRSS of many tasks", pairs: []string{"JobID=1.0", "NTasks=8", "MaxRSS=1G"}, mem: 8 * gib, memFrom: SourceMaxRSS, perTask: true},
		{name: "MaxRSS of an unknown number of tasks", pairs: []string{"JobID=1.0", "MaxRSS=1G"}, mem: gib, memFrom: SourceMaxRSS, perTask: true, lower: true},
		{name: "a batch step has one task", pairs: []string{"JobID=1.batch", "MaxRSS=1G"}, mem: gib, memFrom: SourceMaxRSS},
		{name: "bytes without suffix", pairs: []string{"JobID=1.batch", "MaxRSS=64270336"}, mem: 64270336, memFrom: SourceMaxRSS},
		{name: "an unreadable MaxRSS", pairs: []string{"JobID=1.batch", "MaxRSS=16X"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStep(row(c.pairs...), nil, false, make(hosts))
			if s.cpu.value != c.cpu || s.cpu.source != c.cpuFrom || s.cpu.ok != (c.cpuFrom != "") {
				t.Errorf("CPU %+v", s.cpu)
			}
			if s.mem.value != c.mem || s.mem.source != c.memFrom || s.mem.ok != (c.memFrom != "") || s.mem.perTask != c.perTask || s.mem.lower != c.lower {
				t.Errorf("memory %+v", s.mem)
			}
		})
	}
}

func TestKindsOfSteps(t *testing.T) {
	for name, kind := range map[string]stepKind{"batch": stepBatch, "extern": stepExtern, "interactive": stepInteractive, "0": stepNumbered, "0+1": stepNumbered, "17": stepNumbered} {
		if kindOf(name) != kind {
			t.Errorf("%s is of kind %d, want %d", name, kindOf(name), kind)
		}
	}
}

func TestWhichStepsWereKilled(t *testing.T) {
	for _, c := range []struct {
		state, exit string
		killed      bool
	}{
		{"COMPLETED", "0:0", false},
		{"FAILED", "1:0", false},
		{"FAILED", "0:9", true},
		{"CANCELLED", "0:15", true},
		{"CANCELLED by 0", "", true},
		{"OUT_OF_MEMORY", "0:125", true},
		{"TIMEOUT", "0:0", true},
		{"NODE_FAIL", "", true},
		{"PREEMPTED", "0:0", true},
		{"RUNNING", "0:0", false},
		{"", "", false},
		{"COMPLETED", "0:11", true},
	} {
		s := newStep(row("JobID=1.0", "State="+c.state, "ExitCode="+c.exit), nil, false, make(hosts))
		if s.killed != c.killed {
			t.Errorf("%s %s: killed %v, want %v", c.state, c.exit, s.killed, c.killed)
		}
	}
}

func TestStepTimes(t *testing.T) {
	for _, c := range []struct {
		name       string
		start, end string
		state      string
		timed      bool
		from, to   float64
	}{
		{"both", "1000", "2000", "COMPLETED", true, 1000, 2000},
		{"end before start", "2000", "1000", "COMPLETED", true, 2000, 2000},
		{"running has no end", "1000", "Unknown", "RUNNING", true, 1000, math.Inf(1)},
		{"ended without an end", "1000", "Unknown", "COMPLETED", false, 1000, math.Inf(1)},
		{"no start", "Unknown", "2000", "COMPLETED", false, math.Inf(-1), math.Inf(1)},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStep(row("JobID=1.0", "Start="+c.start, "End="+c.end, "State="+c.state), nil, false, make(hosts))
			if s.timed != c.timed || s.start != c.from || s.end != c.to {
				t.Errorf("from %v to %v, timed %v", s.start, s.end, s.timed)
			}
		})
	}
}

func TestNodesOfSteps(t *testing.T) {
	for _, c := range []struct {
		name  string
		pairs []string
		names int
		count int64
	}{
		{"a list", []string{"JobID=1.0", "NodeList=n[1-3]", "NNodes=9"}, 3, 3},
		{"a count", []string{"JobID=1.0", "NNodes=4"}, 0, 4},
		{"AllocTRES", []string{"JobID=1.0", "AllocTRES=cpu=1,node=2"}, 0, 2},
		{"a batch step without columns", []string{"JobID=1.batch"}, 0, 1},
		{"a numbered step without columns", []string{"JobID=1.0"}, 0, 0},
		{"an unreadable list", []string{"JobID=1.0", "NodeList=n[1-", "NNodes=2"}, 0, 2},
		{"an endless list", []string{"JobID=1.0", "NodeList=n[1-999999999]", "NNodes=2"}, 0, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStep(row(c.pairs...), nil, false, make(hosts))
			if len(s.nodes) != c.names || s.nodeCount != c.count {
				t.Errorf("%d names, %d nodes", len(s.nodes), s.nodeCount)
			}
		})
	}
}

func TestMeasuredNodes(t *testing.T) {
	batch := row("JobID=1.batch", "NodeList=n1", "TotalCPU=00:01.000")
	first := row("JobID=1.0", "NodeList=n[1-2]", "TotalCPU=00:01.000", "NTasks=2")
	second := row("JobID=1.1", "NodeList=n[2-4]", "TotalCPU=00:01.000", "NTasks=2")
	empty := row("JobID=1.2", "NodeList=n[1-9]", "NTasks=2")
	few := row("JobID=1.3", "TotalCPU=00:01.000", "NTasks=3")
	many := row("JobID=1.4", "TotalCPU=00:01.000", "NTasks=300")
	for _, c := range []struct {
		name  string
		steps []*record
		nodes int64
	}{
		{"none", nil, 0},
		{"batch alone", []*record{batch}, 1},
		{"the union of the lists", []*record{batch, first, second}, 4},
		{"a step without data does not count", []*record{batch, empty}, 1},
		{"no more nodes than tasks", []*record{few}, 3},
		{"no more nodes than the job has", []*record{many}, 9},
	} {
		t.Run(c.name, func(t *testing.T) {
			rows := append([]*record{row("JobID=1", "State=COMPLETED", "NNodes=9", "AllocCPUS=9", "ElapsedRaw=100")}, c.steps...)
			in := Input{Rows: rows}
			a := newAttempt(&in, splitAttempts(rows)[0], nil, nil)
			if n, known := a.measuredNodes(); n != c.nodes || !known {
				t.Errorf("%d nodes, known %v, want %d", n, known, c.nodes)
			}
		})
	}
}
