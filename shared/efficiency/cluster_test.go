package efficiency

import (
	"os"
	"strings"
	"testing"

	"github.com/ergon-hpc/ergon/shared/slurmfmt"
)

func realCluster(t *testing.T) *Cluster {
	t.Helper()
	read := func(name string) string {
		data, err := os.ReadFile(fixture(name))
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	return ReadCluster(slurmfmt.ParseConfig(read("scontrol_show_config.txt")),
		slurmfmt.ParseEntities(read("scontrol_show_node.txt")), slurmfmt.ParseEntities(read("scontrol_show_part.txt")))
}

func TestReadClusterFromScontrol(t *testing.T) {
	c := realCluster(t)
	if c.JobAcctGather != "jobacct_gather/linux" || c.TaskInterval != 1 || c.gatherer() != gatherSampled {
		t.Errorf("gatherer %q every %v s", c.JobAcctGather, c.TaskInterval)
	}
	n, ok := c.TypeOf("n1")
	if !ok || n != (NodeType{Cores: 4, ThreadsPerCore: 1, MemoryBytes: 4 << 30, GPUs: 2}) {
		t.Errorf("node %+v", n)
	}
	if p := c.Partitions["debug"]; p.LimitSeconds != 86400 || p.Unlimited || p.Exclusive {
		t.Errorf("partition %+v", p)
	}
}

func TestTheSiteFileAddsWatts(t *testing.T) {
	file, err := ParseCluster([]byte(`{"pue": 1.4, "node_types": {"cpu": {"watt_per_core": 12, "idle_watt": 80}}, "nodes": {"n[1-2]": "cpu"}, "partitions": {"gpu": {"def_cpu_per_gpu": 8}}}`))
	if err != nil {
		t.Fatal(err)
	}
	c := realCluster(t).Overlay(file)
	n, _ := c.TypeOf("n2")
	if n.Cores != 4 || n.WattPerCore != 12 || n.GPUs != 2 || c.PUE != 1.4 {
		t.Errorf("node %+v, PUE %v", n, c.PUE)
	}
	if other, ok := c.TypeOf("n3"); !ok || other.WattPerCore != 0 {
		t.Errorf("n3 is not in the file: %+v", other)
	}
	if c.Partitions["gpu"].DefCPUPerGPU != 8 || c.Partitions["debug"].LimitSeconds != 86400 {
		t.Errorf("partitions %+v", c.Partitions)
	}
	if (*Cluster)(nil).Overlay(file) != file || file.Overlay(nil) != file {
		t.Error("one description alone stays as it is")
	}
}

func TestBadSiteFilesAreRefused(t *testing.T) {
	for name, text := range map[string]string{
		"misspelt": `{"pue_factor": 1}`, "no JSON": `pue = 1`, "no such type": `{"nodes": {"n1": "gpu"}}`, "bad host list": `{"nodes": {"n[1": "gpu"}, "node_types": {"gpu": {}}}`,
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := ParseCluster([]byte(text)); err == nil || !strings.Contains(err.Error(), " ") {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestDefaultGPUCPUsAreForced(t *testing.T) {
	c := &Cluster{Partitions: map[string]Partition{"gpu": {DefCPUPerGPU: 8}}}
	rows := []*record{
		row("JobID=9", "State=COMPLETED", "Partition=gpu", "AllocCPUS=8", "NNodes=1", "ElapsedRaw=1000", "AllocTRES=cpu=8,mem=8G,gres/gpu=1,node=1", "SubmitLine=sbatch --gpus=1 x.sh"),
		row("JobID=9.0", "State=COMPLETED", "TotalCPU=00:10:00", "NTasks=1"),
	}
	if a := Analyse(Input{Rows: rows, Cluster: c}).Ledger.CoreS; a.Forced != 7000 || a.Idle != 400 || a.Used != 600 {
		t.Errorf("%+v", *a)
	}
	rows[0] = row("JobID=9", "State=COMPLETED", "Partition=gpu", "AllocCPUS=8", "NNodes=1", "ElapsedRaw=1000", "AllocTRES=cpu=8,mem=8G,gres/gpu=1,node=1", "SubmitLine=sbatch --gpus=1 -c 8 x.sh")
	if a := Analyse(Input{Rows: rows, Cluster: c}).Ledger.CoreS; a.Forced != 0 {
		t.Errorf("the user asked for 8 CPUs, yet %v are forced", a.Forced)
	}
}

func TestFindingsAddUpByRule(t *testing.T) {
	serial := Analyse(Input{Rows: []*record{longJob(), step0(serialCPU + "," + goodMem)}})
	worse := Analyse(Input{Rows: []*record{longJob("JobID=6", "ElapsedRaw=14400"), step0(serialCPU+","+goodMem, "JobID=6.0")}})
	short := Analyse(Input{Rows: []*record{longJob("JobID=7", "ElapsedRaw=4")}})
	got := SumFindings([]Report{short, serial, worse})
	if len(got) != 2 || got[0].Rule != RuleSerialOnManyCores || got[0].Jobs != 2 || got[0].Worst[0] != "6" || got[1].Rule != RuleTooShort {
		t.Fatalf("%+v", got)
	}
	if want := serial.Findings[0].Wasted.CoreS + worse.Findings[0].Wasted.CoreS; got[0].Wasted.CoreS != want {
		t.Errorf("wasted %v, want %v", got[0].Wasted.CoreS, want)
	}
}

func TestGPUsOfANodeInEveryFormOfGres(t *testing.T) {
	for text, n := range map[string]int64{
		"": 0, "(null)": 0, "gpu": 1, "gpu:4": 4, "gpu:0": 0, "gpu:a100:2(S:0-1)": 2, "gpu:a:1,gpu:b:2,nvme:3": 3, "gpu:tesla": 1, "gpu:-1": 1, "gpuish:3": 0,
	} {
		node := slurmfmt.ParseEntities("NodeName=n1 CPUTot=4 Gres=" + text + "\n")
		c := ReadCluster(slurmfmt.Config{}, node, nil)
		if got := c.NodeTypes[c.Nodes["n1"]].GPUs; got != n {
			t.Errorf("Gres=%s: %d GPUs, want %d", text, got, n)
		}
	}
	both := slurmfmt.ParseEntities("NodeName=n1 CPUTot=4 Gres=gpu:a100:4\n   CfgTRES=cpu=4,mem=8G,gres/gpu=4\n")
	if c := ReadCluster(slurmfmt.Config{}, both, nil); c.NodeTypes[c.Nodes["n1"]].GPUs != 4 {
		t.Errorf("%+v: Slurm's own count comes first, and nothing is counted twice", c.NodeTypes)
	}
}

func TestTheCgroupVersionIsKnownOnlyWhereTheConfigurationNamesIt(t *testing.T) {
	for text, version := range map[string]int{"": 0, "CgroupPlugin = cgroup/v1": 1, "CgroupPlugin = cgroup/v2": 2, "CgroupPlugin = autodetect": 0, "CgroupPlugin = (null)": 0} {
		if got := CgroupVersion(slurmfmt.ParseConfig(text + "\n")); got != version {
			t.Errorf("%q: %d, want %d", text, got, version)
		}
	}
}

func TestTheSiteFileLeavesWhatItDoesNotSayOfAPartition(t *testing.T) {
	slurm := &Cluster{Partitions: map[string]Partition{"gpu": {LimitSeconds: 3600, Exclusive: true}, "long": {Unlimited: true, DefCPUPerGPU: 4}}}
	file, err := ParseCluster([]byte(`{"partitions": {"gpu": {"def_cpu_per_gpu": 16}, "long": {"limit_seconds": 60}, "new": {"exclusive": true}}}`))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]Partition{
		"gpu":  {LimitSeconds: 3600, Exclusive: true, DefCPUPerGPU: 16},
		"long": {LimitSeconds: 60, DefCPUPerGPU: 4},
		"new":  {Exclusive: true},
	} {
		if got := slurm.Overlay(file).Partitions[name]; got != want {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
	if slurm.Partitions["gpu"].DefCPUPerGPU != 0 {
		t.Error("the overlay wrote into what Slurm said")
	}
}

// A site may count its cores as CPUs though the hardware has threads: then a CPU is a core.
func TestCPUsThatAreCoresAreNoThreads(t *testing.T) {
	for text, want := range map[string]NodeType{
		"CPUTot=64 Sockets=2 CoresPerSocket=32 ThreadsPerCore=2":  {Cores: 64, ThreadsPerCore: 1},
		"CPUTot=128 Sockets=2 CoresPerSocket=32 ThreadsPerCore=2": {Cores: 64, ThreadsPerCore: 2},
		"CPUTot=64 Sockets=2 CoresPerSocket=32":                   {Cores: 64, ThreadsPerCore: 1},
		"CPUTot=100 Sockets=2 CoresPerSocket=32 ThreadsPerCore=2": {Cores: 64, ThreadsPerCore: 2},
		"CPUTot=8 Sockets=1 CoresPerSocket=1 ThreadsPerCore=1":    {Cores: 1, ThreadsPerCore: 1},
		"Sockets=2 CoresPerSocket=32 ThreadsPerCore=2":            {Cores: 64, ThreadsPerCore: 2},
	} {
		c := ReadCluster(slurmfmt.Config{}, slurmfmt.ParseEntities("NodeName=n1 "+text+"\n"), nil)
		if got := c.NodeTypes[c.Nodes["n1"]]; got != want {
			t.Errorf("%s: %+v, want %+v", text, got, want)
		}
	}
}
