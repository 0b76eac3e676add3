package efficiency

import (
	"testing"
)

func jobOf(pairs ...string) Job {
	return Analyse(Input{Rows: []*record{row(append([]string{"JobID=1"}, pairs...)...)}}).Job
}

func TestIdentityOfJobs(t *testing.T) {
	for _, c := range []struct {
		id, parent, task string
		het              int
	}{
		{"123", "", "", -1}, {"123_4", "123", "4", -1}, {"123_[1-10%5]", "123", "[1-10]", -1}, {"123+1", "123", "", 1}, {"123_2+3", "123", "2", 3},
	} {
		j := Analyse(Input{Rows: []*record{row("JobID=" + c.id)}}).Job
		het := -1
		if j.HetComponent != nil {
			het = *j.HetComponent
		}
		if j.JobID != c.id || j.ParentID != c.parent || j.ArrayTask != c.task || het != c.het {
			t.Errorf("%s: parent %q, task %q, component %d", c.id, j.ParentID, j.ArrayTask, het)
		}
	}
}

func TestStatesOfJobs(t *testing.T) {
	for raw, c := range map[string][2]string{
		"COMPLETED": {"DONE", "COMPLETED"}, "CANCELLED by 1000": {"FAILED", "CANCELLED"}, "CANCELLED+": {"FAILED", "CANCELLED"}, "OUT_OF_MEMORY": {"FAILED", "OUT_OF_MEMORY"},
		"RUNNING": {"RUNNING", "RUNNING"}, "PENDING": {"PENDING", "PENDING"}, "FUTURE_WORD": {"UNKNOWN", "FUTURE_WORD"}, "": {"UNKNOWN", ""},
	} {
		if j := jobOf("State=" + raw); j.State != c[0] || j.SlurmState != c[1] {
			t.Errorf("%q gives %s and %s, want %v", raw, j.State, j.SlurmState, c)
		}
	}
}

func TestCountsOfJobs(t *testing.T) {
	for _, c := range []struct {
		name        string
		pairs       []string
		cpus, nodes int64 // 0: not known
	}{
		{"columns", []string{"AllocCPUS=8", "NNodes=2"}, 8, 2},
		{"AllocTRES alone", []string{"AllocTRES=cpu=4,node=2,mem=1G"}, 4, 2},
		{"NCPUS alone", []string{"NCPUS=16"}, 16, 0},
		{"zero is not yet", []string{"AllocCPUS=0", "NNodes=0"}, 0, 0},
		{"the list of nodes", []string{"NodeList=n[1-5]"}, 0, 5},
		{"not numbers", []string{"AllocCPUS=many", "NNodes=-3"}, 0, 0},
		{"more than there can be", []string{"AllocCPUS=9223372036854775807", "NNodes=4294967294", "AllocTRES=cpu=4,node=2,gres/gpu=99999999999"}, 4, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			j := jobOf(c.pairs...)
			cpus, _ := value(j.CPUs)
			nodes, _ := value(j.Nodes)
			if cpus != c.cpus || nodes != c.nodes || (j.CPUs == nil) != (c.cpus == 0) {
				t.Errorf("%d CPUs, %d nodes", cpus, nodes)
			}
			if gpus, known := value(j.GPUs); known && gpus > 0 {
				t.Errorf("%d GPUs", gpus)
			}
		})
	}
}

func TestMemoryOfJobs(t *testing.T) {
	for _, c := range []struct {
		name             string
		pairs            []string
		alloc, requested float64 // 0: not known
	}{
		{"both", []string{"ReqMem=4G", "AllocTRES=cpu=1,mem=8G"}, 8 * gib, 4 * gib},
		{"per CPU, old suffix", []string{"ReqMem=2Gc", "AllocCPUS=4", "NNodes=1"}, 0, 8 * gib},
		{"per node, old suffix", []string{"ReqMem=2Gn", "AllocCPUS=4", "NNodes=3"}, 0, 6 * gib},
		{"per CPU of those asked for", []string{"ReqMem=4000Mc", "AllocCPUS=64", "ReqCPUS=4", "AllocTRES=cpu=64,mem=256000M"}, 256000 << 20, 16000 << 20},
		{"leaked flag", []string{"ReqMem=2147486648Mn", "NCPUS=8", "NNodes=1"}, 0, 24000 << 20},
		{"the whole node", []string{"ReqMem=0", "AllocTRES=mem=251G"}, 251 * gib, 0},
		{"nothing", nil, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			j := jobOf(c.pairs...)
			alloc, _ := value(j.MemoryBytes)
			requested, _ := value(j.MemoryRequestedBytes)
			if alloc != c.alloc || requested != c.requested {
				t.Errorf("allocated %v, requested %v", alloc, requested)
			}
		})
	}
}

func TestTimesOfJobs(t *testing.T) {
	j := jobOf("Submit=0900", "Start=1000", "End=1100", "ElapsedRaw=90", "Suspended=00:00:10", "TimelimitRaw=5")
	if *j.WaitSeconds != 100 || *j.ElapsedSeconds != 90 || *j.SuspendedSeconds != 10 || *j.LimitSeconds != 300 {
		t.Errorf("%+v", j)
	}
	j = jobOf("Submit=Unknown", "Start=Unknown", "End=Unknown")
	if j.Submit != nil || j.Start != nil || j.End != nil || j.ElapsedSeconds != nil || j.WaitSeconds != nil || j.LimitSeconds != nil {
		t.Errorf("%+v", j)
	}
	if j = jobOf("Start=1100", "End=1000"); j.ElapsedSeconds != nil {
		t.Errorf("elapsed %v from an end before the start", *j.ElapsedSeconds)
	}
}

func TestForcedCPUs(t *testing.T) {
	gpuPartition := &Cluster{Partitions: map[string]Partition{"gpu": {DefCPUPerGPU: 8}}}
	for _, c := range []struct {
		name    string
		cluster *Cluster
		pairs   []string
		forced  float64
	}{
		{"as asked", nil, []string{"AllocCPUS=4", "ReqCPUS=4"}, 0},
		{"rounded up to whole cores", nil, []string{"AllocCPUS=4", "ReqCPUS=3"}, 1},
		{"the user asked for whole nodes", nil, []string{"AllocCPUS=64", "ReqCPUS=3", "SubmitLine=sbatch --exclusive a.sh"}, 0},
		{"only other users are kept out", nil, []string{"AllocCPUS=4", "ReqCPUS=3", "SubmitLine=sbatch --exclusive=user a.sh"}, 1},
		{"what was asked is not known", nil, []string{"AllocCPUS=64"}, 0},
		{"CPUs that come with GPUs", gpuPartition, []string{"Partition=gpu", "AllocCPUS=16", "AllocTRES=cpu=16,gres/gpu=2", "SubmitLine=sbatch --gpus=2 a.sh"}, 14},
		{"other partitions do not", gpuPartition, []string{"Partition=cpu", "AllocCPUS=16", "AllocTRES=cpu=16,gres/gpu=2"}, 0},
		{"the user named the CPUs", gpuPartition, []string{"Partition=gpu", "AllocCPUS=16", "AllocTRES=cpu=16,gres/gpu=2", "SubmitLine=sbatch --gpus=2 --cpus-per-task=16 a.sh"}, 0},
		{"not the default number", gpuPartition, []string{"Partition=gpu", "AllocCPUS=12", "AllocTRES=cpu=12,gres/gpu=2"}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			rows := []*record{row(append([]string{"JobID=1", "State=COMPLETED"}, c.pairs...)...)}
			in := Input{Rows: rows, Cluster: c.cluster}
			a := newAttempt(&in, splitAttempts(rows)[0], nil, nil)
			if got := a.forcedCPUs(); got != c.forced {
				t.Errorf("%v forced, want %v", got, c.forced)
			}
		})
	}
}

// #SBATCH lines are in no accounting: 63 of 64 CPUs may have been the user's own wish, and then they are waste.
func TestWasteIsALowerBoundWhereTheScriptMayHaveAskedForTheNode(t *testing.T) {
	whole := &Cluster{Partitions: map[string]Partition{"whole": {Exclusive: true}}}
	for _, c := range []struct {
		name  string
		pairs []string
		doubt bool
	}{
		{"a script", []string{"AllocCPUS=64", "ReqCPUS=1", "SubmitLine=sbatch a.sh"}, true},
		{"no submit line", []string{"AllocCPUS=64", "ReqCPUS=1"}, true},
		{"no script", []string{"AllocCPUS=64", "ReqCPUS=1", "SubmitLine=sbatch --wrap=./a"}, false},
		{"srun", []string{"AllocCPUS=64", "ReqCPUS=1", "SubmitLine=srun ./a"}, false},
		{"the partition gives nodes", []string{"AllocCPUS=64", "ReqCPUS=1", "Partition=whole"}, false},
		{"whole cores", []string{"AllocCPUS=4", "ReqCPUS=3"}, false},
		{"as asked", []string{"AllocCPUS=4", "ReqCPUS=4"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			job := row(append([]string{"JobID=1", "State=COMPLETED", "NNodes=1", "ElapsedRaw=100"}, c.pairs...)...)
			r := Analyse(Input{Rows: []*record{job, row("JobID=1.0", "State=COMPLETED", "NTasks=1", "TRESUsageInTot=cpu=00:00:50")}, Cluster: whole})
			m := r.Metrics[WastedCPU]
			if m.Has(ScriptUnknown) != c.doubt || (m.Bound == Lower) != c.doubt {
				t.Errorf("%+v", m)
			}
		})
	}
}

func TestSharingOfNodes(t *testing.T) {
	c := &Cluster{DefaultType: "a", NodeTypes: map[string]NodeType{"a": {Cores: 4, ThreadsPerCore: 2}}, Partitions: map[string]Partition{"whole": {Exclusive: true}}}
	for _, tc := range []struct {
		name    string
		cluster *Cluster
		pairs   []string
		want    sharing
	}{
		{"nothing known", nil, []string{"AllocCPUS=4", "NodeList=n1"}, sharingUnknown},
		{"part of a node", c, []string{"AllocCPUS=4", "NodeList=n1"}, sharingShared},
		{"all of two nodes", c, []string{"AllocCPUS=16", "NodeList=n[1-2]"}, sharingExclusive},
		{"no node list", c, []string{"AllocCPUS=16"}, sharingUnknown},
		{"exclusive partition", c, []string{"AllocCPUS=1", "NodeList=n1", "Partition=whole"}, sharingExclusive},
		{"exclusive by the user", nil, []string{"AllocCPUS=1", "NodeList=n1", "SubmitLine=srun --exclusive a"}, sharingExclusive},
	} {
		t.Run(tc.name, func(t *testing.T) {
			rows := []*record{row(append([]string{"JobID=1", "State=COMPLETED"}, tc.pairs...)...)}
			in := Input{Rows: rows, Cluster: tc.cluster}
			if got := newAttempt(&in, splitAttempts(rows)[0], nil, nil).sharing; got != tc.want {
				t.Errorf("%d, want %d", got, tc.want)
			}
		})
	}
}
