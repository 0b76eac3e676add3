package efficiency

import "testing"

func TestCPUSumsStepsThatOverlapInTime(t *testing.T) {
	r := analyse(t,
		row("JobID=9", "State=COMPLETED", "AllocCPUS=4", "NNodes=1", "ElapsedRaw=100", "TotalCPU=00:00:01"),
		row("JobID=9.batch", "State=COMPLETED", "TotalCPU=00:10.000", "NTasks=1", "Start=1000", "End=1100"),
		row("JobID=9.0", "State=COMPLETED", "TotalCPU=01:40.500", "TRESUsageInTot=cpu=00:01:39", "NTasks=1", "Start=1000", "End=1100"),
		row("JobID=9.1", "State=COMPLETED", "TotalCPU=00:00:00", "TRESUsageInTot=cpu=00:01:00", "NTasks=1", "Start=1000", "End=1100"))
	m := want(t, r, CPUUsed, 10+100.5+60)
	if m.Bound != Exact || m.Source != SourceTotalCPU {
		t.Errorf("bound %s, source %s", m.Bound, m.Source)
	}
	want(t, r, CPUEfficiency, 100*170.5/400)
}

func TestCPUOfTheJobRowCountsOnlyWithoutSteps(t *testing.T) {
	r := analyse(t, row("JobID=9", "State=COMPLETED", "AllocCPUS=2", "NNodes=1", "ElapsedRaw=100", "TotalCPU=01:40.000"))
	m := want(t, r, CPUEfficiency, 50)
	if m.Source != SourceJobTotalCPU || !m.Has(NoStepData) {
		t.Errorf("source %s, reasons %v", m.Source, m.Reasons)
	}
}

func TestKilledStepsMakeALowerBound(t *testing.T) {
	for _, c := range []struct{ name, state, exit string }{
		{"timeout kills the batch script", "CANCELLED", "0:15"},
		{"a signal", "FAILED", "0:9"},
		{"out of memory", "OUT_OF_MEMORY", "0:125"},
		{"a failed node leaves no exit code", "CANCELLED", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := analyse(t,
				row("JobID=9", "State=COMPLETED", "AllocCPUS=1", "NNodes=1", "ElapsedRaw=100"),
				row("JobID=9.batch", "State="+c.state, "ExitCode="+c.exit, "TotalCPU=00:10.000", "NTasks=1"))
			m := want(t, r, CPUUsed, 10)
			if m.Bound != Lower || !m.Has(KilledStep) {
				t.Errorf("bound %s, reasons %v", m.Bound, m.Reasons)
			}
		})
	}
}

func TestAFailedNodeLeavesNoCPUNumber(t *testing.T) {
	r := analyse(t,
		row("JobID=10", "State=NODE_FAIL", "AllocCPUS=1", "NNodes=1", "ElapsedRaw=164", "TotalCPU=00:00:00"),
		row("JobID=10.batch", "State=CANCELLED", "ExitCode=", "TotalCPU=00:00:00", "NNodes=1", "NTasks=1"),
		row("JobID=10.extern", "State=CANCELLED", "ExitCode=", "TotalCPU=00:00:00", "NNodes=1", "NTasks=1"))
	wantMissing(t, r, CPUEfficiency, NoStepData)
	if lost := r.Ledger.CoreS.LostBy[CauseNodeFail]; lost != 164 {
		t.Errorf("lost to node failure %v, want 164", lost)
	}
}

func TestTwentyNodesWithOnlyTheBatchStepAreMostlyUnmeasured(t *testing.T) {
	r := analyse(t,
		row("JobID=20", "State=COMPLETED", "AllocCPUS=200", "NNodes=20", "ElapsedRaw=1000", "AllocTRES=cpu=200,mem=200G,node=20", "NodeList=n[01-20]"),
		row("JobID=20.batch", "State=COMPLETED", "TotalCPU=02:30:00", "NNodes=1", "NTasks=1", "NodeList=n01", "MaxRSS=1G"),
		row("JobID=20.extern", "State=COMPLETED", "TotalCPU=00:00.020", "TRESUsageInTot=cpu=00:00:00,mem=40M", "NNodes=20", "NTasks=20", "NodeList=n[01-20]"))
	m := wantMissing(t, r, CPUEfficiency, UnmeasuredNodes)
	if *m.Coverage.Nodes != 1 || *m.Coverage.NodesAllocated != 20 {
		t.Errorf("coverage %d of %d nodes, want 1 of 20", *m.Coverage.Nodes, *m.Coverage.NodesAllocated)
	}
	want(t, r, CPUEfficiencyMeasuredNodes, 100*9000.02/(1000*10))
	if used := want(t, r, CPUUsed, 9000.02); used.Bound != Lower {
		t.Errorf("bound of cpu_used %s", used.Bound)
	}
	if f := hasRule(r, RuleUnmeasured); f == nil || f.Evidence["nodes_unmeasured"] != 19.0 {
		t.Errorf("finding %+v, want 19 nodes unmeasured", f)
	}
	if got := r.Ledger.CoreS.Unmeasured; got != 190000 {
		t.Errorf("unmeasured core seconds %v, want 190000", got)
	}
}

func TestUnmeasuredNodesAreCountedWithoutNodeLists(t *testing.T) {
	r := analyse(t,
		row("JobID=20", "State=COMPLETED", "AllocCPUS=200", "NNodes=20", "Elapsed=00:16:40"),
		row("JobID=20.batch", "TotalCPU=02:30:00", "NTasks=1"))
	m := wantMissing(t, r, CPUEfficiency, UnmeasuredNodes)
	if *m.Coverage.Nodes != 1 {
		t.Errorf("%d nodes measured, want 1", *m.Coverage.Nodes)
	}
}

func TestHardwareThreadsAreNamedAndCountedAsCores(t *testing.T) {
	in := Input{
		Rows: []*record{
			row("JobID=9", "State=COMPLETED", "AllocCPUS=8", "NNodes=1", "ElapsedRaw=100", "NodeList=n1"),
			row("JobID=9.0", "State=COMPLETED", "TotalCPU=06:40.000", "NTasks=4", "NodeList=n1"),
		},
		Cluster: &Cluster{NodeTypes: map[string]NodeType{"smt": {Cores: 4, ThreadsPerCore: 2}}, DefaultType: "smt"},
	}
	r := Analyse(in)
	if m := want(t, r, CPUEfficiency, 50); !m.Has(HardwareThreads) {
		t.Errorf("reasons %v", m.Reasons)
	}
	want(t, r, CPUCoreEfficiency, 100)
}

func TestMoreThanAllocatedIsShownAndExplained(t *testing.T) {
	r := analyse(t,
		row("JobID=9", "State=COMPLETED", "AllocCPUS=1", "NNodes=1", "ElapsedRaw=1000"),
		row("JobID=9.batch", "State=COMPLETED", "TotalCPU=50:00.000", "NTasks=1"))
	if m := want(t, r, CPUEfficiency, 300); !m.Has(OverLimit) {
		t.Errorf("reasons %v", m.Reasons)
	}
	if hasRule(r, RuleOversubscription) == nil {
		t.Error("no finding about oversubscription")
	}
	a := r.Ledger.CoreS
	if a.Overuse != 2000 || a.Used != 3000 || a.Idle != 0 {
		t.Errorf("account %+v", *a)
	}
}

func TestSuspensionIsNotPartOfElapsed(t *testing.T) {
	r := analyse(t,
		row("JobID=9", "State=COMPLETED", "AllocCPUS=1", "NNodes=1", "Elapsed=01:00:00", "Suspended=01:00:00", "Start=1000", "End=8200"),
		row("JobID=9.batch", "State=COMPLETED", "TotalCPU=00:54:00", "NTasks=1"))
	if m := want(t, r, CPUEfficiency, 90); !m.Has(Suspended) {
		t.Errorf("reasons %v", m.Reasons)
	}
}

func TestElapsedFromStartAndEndLeavesSuspensionOut(t *testing.T) {
	r := analyse(t,
		row("JobID=9", "State=COMPLETED", "AllocCPUS=1", "NNodes=1", "Suspended=01:00:00", "Start=1000", "End=8200"),
		row("JobID=9.batch", "State=COMPLETED", "TotalCPU=00:54:00", "NTasks=1"))
	want(t, r, CPUEfficiency, 90)
}

func TestRunningJobsUseSstat(t *testing.T) {
	in := Input{
		Rows: []*record{
			row("JobID=15", "State=RUNNING", "AllocCPUS=1", "NNodes=1", "ElapsedRaw=100", "TotalCPU=00:00:00", "Start=1000", "End=Unknown", "NodeList=n1", "AllocTRES=cpu=1,mem=100M,node=1"),
			row("JobID=15.batch", "State=RUNNING", "Start=1000", "End=Unknown", "TotalCPU=00:00:00", "NTasks=1", "NodeList=n1"),
		},
	}
	wantMissing(t, Analyse(in), CPUEfficiency, Running)
	in.Sstat = []*record{
		row("JobID=15.batch", "MaxRSS=50M", "AveCPU=00:00:40", "NTasks=1", "TRESUsageInTot=cpu=00:00:40,mem=50M"),
		row("JobID=15.0", "MaxRSS=60M", "AveCPU=00:00:10", "NTasks=2"),
	}
	r := Analyse(in)
	m := want(t, r, CPUUsed, 60)
	if m.Source != SourceSstat || m.Bound != Lower || !m.Has(Running) {
		t.Errorf("source %s, bound %s, reasons %v", m.Source, m.Bound, m.Reasons)
	}
	want(t, r, MemoryPeak, 120<<20)
}

func TestJobsThatNeverStartedHaveNoNumbers(t *testing.T) {
	for _, c := range []struct{ name, nodes, start, state string }{
		{"cancelled while pending", "None assigned", "None", "CANCELLED by 1000"},
		{"start and end are set all the same", "None assigned", "2026-11-23T08:19:34", "CANCELLED by 0"},
		{"pending", "None assigned", "Unknown", "PENDING"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := analyse(t, row("JobID=12", "State="+c.state, "NodeList="+c.nodes, "Start="+c.start, "End=2026-11-23T08:19:34",
				"AllocCPUS=1", "NNodes=1", "ElapsedRaw=0", "TotalCPU=00:00:00", "ReqMem=50M", "TimelimitRaw=10"))
			for _, name := range MetricNames() {
				wantMissing(t, r, name, NeverStarted)
			}
			if r.Started() || r.Ledger.CoreS != nil || len(r.Findings) > 0 {
				t.Errorf("ledger %+v, findings %v", r.Ledger, r.Findings)
			}
		})
	}
}
