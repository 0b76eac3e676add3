package efficiency

import "testing"

const gib = 1 << 30

func TestConcurrentStepsAddUpAndSequentialOnesDoNot(t *testing.T) {
	job := row("JobID=7", "State=COMPLETED", "AllocCPUS=2", "NNodes=1", "ElapsedRaw=3600", "AllocTRES=cpu=2,mem=20G,node=1")
	step := func(id, start, end string) *record {
		return row("JobID=7."+id, "State=COMPLETED", "NTasks=1", "TRESUsageInTot=mem=10G", "Start="+start, "End="+end)
	}
	for _, c := range []struct {
		name    string
		a, b    [2]string
		percent float64
	}{
		{"at the same time", [2]string{"1000", "4600"}, [2]string{"1000", "4600"}, 100},
		{"partly at the same time", [2]string{"1000", "3000"}, [2]string{"2999", "4600"}, 100},
		{"one after the other", [2]string{"1000", "3000"}, [2]string{"3000", "4600"}, 50},
		{"without times", [2]string{"", ""}, [2]string{"", ""}, 50},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := analyse(t, job, step("0", c.a[0], c.a[1]), step("1", c.b[0], c.b[1]))
			if m := want(t, r, MemoryEfficiency, c.percent); m.Bound != Upper {
				t.Errorf("bound %s", m.Bound)
			}
		})
	}
}

func TestBatchAndExternCountOnlyWhenLargerOrAlone(t *testing.T) {
	job := row("JobID=7", "State=COMPLETED", "AllocCPUS=2", "NNodes=1", "ElapsedRaw=3600", "AllocTRES=cpu=2,mem=20G,node=1")
	batch := row("JobID=7.batch", "NTasks=1", "TRESUsageInTot=mem=4G", "Start=1000", "End=4600")
	small := row("JobID=7.0", "NTasks=1", "TRESUsageInTot=mem=3G", "Start=1000", "End=4600")
	large := row("JobID=7.1", "NTasks=1", "TRESUsageInTot=mem=5G", "Start=2000", "End=2000")
	want(t, analyse(t, job, batch), MemoryPeak, 4*gib)
	want(t, analyse(t, job, batch, small), MemoryPeak, 4*gib)
	want(t, analyse(t, job, batch, large), MemoryPeak, 5*gib)
	want(t, analyse(t, job, batch, small, large), MemoryPeak, 8*gib)
}

func TestAStepWithoutTaskCountIsALowerBound(t *testing.T) {
	r := analyse(t,
		row("JobID=7", "State=COMPLETED", "AllocCPUS=8", "NNodes=1", "ElapsedRaw=3600", "ReqMem=8G"),
		row("JobID=7.0", "MaxRSS=1G"))
	if m := want(t, r, MemoryPeak, gib); m.Bound != Lower || !m.Has(MissingField) {
		t.Errorf("bound %s, reasons %v", m.Bound, m.Reasons)
	}
}

func TestTheGathererDecidesTheBound(t *testing.T) {
	rows := []*record{
		row("JobID=7", "State=COMPLETED", "AllocCPUS=1", "NNodes=1", "ElapsedRaw=3600", "AllocTRES=cpu=1,mem=10G,node=1"),
		row("JobID=7.batch", "State=COMPLETED", "NTasks=1", "TRESUsageInTot=cpu=01:00:00,mem=5G"),
	}
	for _, c := range []struct {
		name    string
		cluster *Cluster
		bound   Bound
		reasons []Reason
	}{
		{"nothing known", nil, Upper, nil},
		{"linux samples", &Cluster{JobAcctGather: "jobacct_gather/linux"}, Estimate, []Reason{Sampled}},
		{"cgroup v1 samples", &Cluster{JobAcctGather: "jobacct_gather/cgroup", CgroupVersion: 1}, Estimate, []Reason{Sampled}},
		{"cgroup v2 counts cache", &Cluster{JobAcctGather: "jobacct_gather/cgroup", CgroupVersion: 2}, Upper, []Reason{PageCacheIncluded, Sampled}},
		{"a cgroup that may count cache", &Cluster{JobAcctGather: "jobacct_gather/cgroup"}, Estimate, []Reason{PageCacheIncluded, Sampled}},
		{"memory.peak is a high-water mark", &Cluster{JobAcctGather: "jobacct_gather/cgroup", CgroupVersion: 2, MemoryPeakFile: true}, Upper, []Reason{PageCacheIncluded}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := want(t, Analyse(Input{Rows: rows, Cluster: c.cluster}), MemoryPeak, 5*gib)
			if m.Bound != c.bound || len(m.Reasons) != len(c.reasons) {
				t.Errorf("bound %s, reasons %v", m.Bound, m.Reasons)
			}
			for _, why := range c.reasons {
				if !m.Has(why) {
					t.Errorf("no %s in %v", why, m.Reasons)
				}
			}
		})
	}
}

func TestAShortJobHasNoTrustedPeak(t *testing.T) {
	job := row("JobID=7", "State=COMPLETED", "AllocCPUS=1", "NNodes=1", "ElapsedRaw=5", "ReqMem=1G")
	r := analyse(t, job, row("JobID=7.batch", "State=COMPLETED", "NTasks=1", "MaxRSS=0", "TotalCPU=00:01.000"))
	wantMissing(t, r, MemoryPeak, ShortJob)
	r = analyse(t, job, row("JobID=7.batch", "State=COMPLETED", "NTasks=1", "MaxRSS=4M", "TotalCPU=00:01.000"))
	if m := want(t, r, MemoryPeak, 4<<20); m.Bound != Estimate || !m.Has(ShortJob) {
		t.Errorf("bound %s, reasons %v", m.Bound, m.Reasons)
	}
}

func TestZeroRequestedMeansTheWholeNode(t *testing.T) {
	r := analyse(t,
		row("JobID=7", "State=COMPLETED", "AllocCPUS=1", "NNodes=1", "ElapsedRaw=3600", "ReqMem=0"),
		row("JobID=7.batch", "NTasks=1", "MaxRSS=4M"))
	wantMissing(t, r, MemoryEfficiency, MissingField)
}

func TestPeakOverlap(t *testing.T) {
	for _, c := range []struct {
		name  string
		spans []span
		peak  float64
	}{
		{"nothing", nil, 0},
		{"touching spans do not overlap", []span{{0, 5, 1}, {5, 9, 2}}, 2},
		{"three, two of them at once", []span{{0, 5, 1}, {4, 9, 2}, {5, 9, 4}}, 6},
		{"points in one second may be sequential", []span{{3, 3, 5}, {3, 3, 6}}, 6},
		{"a point inside a span is added", []span{{0, 9, 2}, {3, 3, 5}}, 7},
		{"a point at the end of a span is not", []span{{0, 3, 2}, {3, 3, 5}}, 5},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := peakOverlap(c.spans); got != c.peak {
				t.Errorf("%v, want %v", got, c.peak)
			}
		})
	}
}

// A job that died of its limit did not need 7 % of it.
func TestAPeakSampledBeforeAKillAtTheLimitIsALowerBound(t *testing.T) {
	sampled := &Cluster{JobAcctGather: "jobacct_gather/linux"}
	for _, c := range []struct {
		name     string
		nodes    string
		state    string
		step     string
		bound    Bound
		atLimit  bool
		gathered *Cluster
	}{
		{"below the limit", "1", "OUT_OF_MEMORY", "TRESUsageInTot=mem=5M", Lower, true, sampled},
		{"gatherer not known", "1", "OUT_OF_MEMORY", "TRESUsageInTot=mem=5M", Lower, true, nil},
		{"seen at the limit", "1", "OUT_OF_MEMORY", "TRESUsageInTot=mem=64M", Estimate, false, sampled},
		{"which node is not known", "2", "OUT_OF_MEMORY", "TRESUsageInTot=mem=5M", Estimate, true, sampled},
		{"largest task times tasks", "1", "OUT_OF_MEMORY", "MaxRSS=5M", Estimate, true, sampled},
		{"not killed", "1", "COMPLETED", "TRESUsageInTot=mem=5M", Estimate, false, sampled},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := Input{Cluster: c.gathered, Rows: []*record{
				row("JobID=7", "State="+c.state, "AllocCPUS=2", "NNodes="+c.nodes, "ElapsedRaw=600", "AllocTRES=cpu=2,mem=64M"),
				row("JobID=7.0", "State="+c.state, "NNodes="+c.nodes, "NTasks=2", c.step, "Start=1000", "End=1600"),
			}}
			r := Analyse(in)
			m := r.Metrics[MemoryPeak]
			if m.Value == nil || m.Bound != c.bound || m.Has(KilledAtLimit) != c.atLimit {
				t.Errorf("%+v, want %s", m, c.bound)
			}
			if e := r.Metrics[MemoryEfficiency]; e.Value == nil || e.Bound != c.bound || e.Has(KilledAtLimit) != c.atLimit {
				t.Errorf("efficiency %+v, want %s", e, c.bound)
			}
		})
	}
}
