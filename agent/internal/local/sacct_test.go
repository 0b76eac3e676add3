package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ergon-hpc/ergon/agent/internal/slurm"
	"github.com/ergon-hpc/ergon/shared/efficiency"
	"github.com/ergon-hpc/ergon/shared/slurmfmt"
)

// fakeSlurm answers from tables; it stands for slurm.Runner, whose own tests run real commands.
type fakeSlurm struct {
	sacct, sstat string
	config       string
	down         error
	mu           sync.Mutex
	asked        []string
	windows      []string
}

func table(text string) slurm.Table {
	text = strings.TrimSpace(text)
	if text == "" {
		return slurm.Table{}
	}
	lines := strings.Split(text, "\n")
	columns := slurmfmt.NewColumns(strings.Split(lines[0], "|")...)
	t := slurm.Table{Columns: columns.Names()}
	for _, l := range lines[1:] {
		t.Rows = append(t.Rows, slurmfmt.NewRecord(columns, strings.Split(l, "|"), time.UTC))
	}
	return t
}

func (f *fakeSlurm) ByID(_ context.Context, ids []string) (slurm.Table, error) {
	f.asked = append(f.asked, ids...)
	return table(f.sacct), f.down
}

func (f *fakeSlurm) History(_ context.Context, from, to time.Time, user string) (slurm.Table, error) {
	f.windows = append(f.windows, fmt.Sprint(to.Sub(from), " ", user))
	return table(f.sacct), f.down
}

func (f *fakeSlurm) Sstat(context.Context, slurmfmt.JobID) (slurm.Table, error) {
	if f.sstat == "denied" {
		return slurm.Table{}, &slurm.CommandError{Command: "sstat", Fault: slurmfmt.FaultDenied}
	}
	return table(f.sstat), nil
}

func (f *fakeSlurm) Config(context.Context) (slurmfmt.Config, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.config == "" {
		return slurmfmt.Config{}, errors.New("down")
	}
	return slurmfmt.ParseConfig(f.config), nil
}

func (f *fakeSlurm) Nodes(context.Context) ([]slurmfmt.KeyValues, error) {
	return slurmfmt.ParseEntities("NodeName=n1 Arch=x86_64 CoresPerSocket=4\n   Gres=gpu:a100:2(S:0-1),gpu:v100:1\n   RealMemory=4096 Sockets=2 Boards=1\n   ThreadsPerCore=2\n"), nil
}

func (f *fakeSlurm) Partitions(context.Context) ([]slurmfmt.KeyValues, error) {
	return slurmfmt.ParseEntities("PartitionName=gpu OverSubscribe=EXCLUSIVE MaxTime=1-00:00:00\n   JobDefaults=DefCpuPerGPU=8\n"), nil
}

const head = "JobID|JobIDRaw|User|State|ElapsedRaw|AllocCPUS|NNodes|AllocTRES|TotalCPU|Cluster\n"

func reporter(f *fakeSlurm) (Reporter, *[]string) {
	var mu sync.Mutex
	warnings := &[]string{}
	return Reporter{Slurm: f, User: "1000", Warn: func(text string) {
		mu.Lock()
		defer mu.Unlock()
		*warnings = append(*warnings, text)
	}}, warnings
}

func TestEveryFormOfAnIDIsAskedForAsItsJob(t *testing.T) {
	t.Parallel()
	f := &fakeSlurm{config: "ClusterName = c1\n", sacct: head +
		"1|1|alice|COMPLETED|10|1|1||00:10|c1\n2_3|5|alice|COMPLETED|10|1|1||00:10|c1\n4+0|4|alice|COMPLETED|10|1|1||00:10|c1\n6_1|7|alice|COMPLETED|1|1|1||00:01|c1\n"}
	r, _ := reporter(f)
	reports, missing, err := r.Jobs(t.Context(), []string{"1.0", "2_3", "4", "6", "5", "99.batch"})
	if err != nil || len(reports) != 4 || !slices.Equal(missing, []string{"99.batch"}) {
		t.Fatalf("%d reports, missing %q, %v", len(reports), missing, err)
	}
	if want := []string{"1", "2_3", "4", "6", "5", "99"}; !slices.Equal(f.asked, want) {
		t.Errorf("asked for %q, want %q", f.asked, want)
	}
}

func TestWhatIsNoIDIsRefusedBeforeSlurmIsAsked(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "x", "1;reboot", "--allusers", "1_[1-3]", "1,2"} {
		f := &fakeSlurm{}
		r, _ := reporter(f)
		var bad *ErrID
		if _, _, err := r.Jobs(t.Context(), []string{"1", text}); !errors.As(err, &bad) || len(f.asked) > 0 {
			t.Errorf("%q: %v, asked %q", text, err, f.asked)
		}
	}
}

func TestARunningJobIsSeenThroughSstat(t *testing.T) {
	t.Parallel()
	sacct := head + "1|1|alice|RUNNING|100|2|1|cpu=2,mem=1G,node=1|00:00:00|c1\n1.batch|1.batch||RUNNING|100|2|1||00:00:00|c1\n"
	f := &fakeSlurm{config: "ClusterName = c1\n", sacct: sacct, sstat: "JobID|NTasks|TRESUsageInTot\n1.batch|1|cpu=00:01:40,mem=512M\n"}
	r, warnings := reporter(f)
	reports, _, err := r.Jobs(t.Context(), []string{"1"})
	if err != nil || len(reports) != 1 {
		t.Fatal(err)
	}
	if m := reports[0].Metrics[efficiency.CPUEfficiency]; m.Value == nil || *m.Value != 50 || m.Source != efficiency.SourceSstat || !m.Has(efficiency.Running) {
		t.Errorf("got %+v", m)
	}
	f.sstat = "denied"
	if _, _, err := r.Jobs(t.Context(), []string{"1"}); err != nil || !slices.ContainsFunc(*warnings, func(w string) bool { return strings.Contains(w, "owner only") }) {
		t.Errorf("%v, %q", err, *warnings)
	}
}

func TestProfilesOfTheOwnerAreUsedAndDamagedOnesAreTold(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	own := filepath.Join(dir, "alice")
	if err := os.Mkdir(own, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"23_0_n1.h5", "23_0_n2.h5"} {
		data, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(own, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(own, "23_1_n1.h5"), []byte("\x89HDF\r\n\x1a\nxxx"), 0o600); err != nil {
		t.Fatal(err)
	}
	f := &fakeSlurm{config: "ClusterName = c1\nProfileHDF5Dir = " + dir + "\n", sacct: head + "23|23|alice|COMPLETED|30|2|2|cpu=2,mem=1G,node=2|00:10|c1\n24|24|../alice|COMPLETED|30|2|2||00:10|c1\n"}
	r, warnings := reporter(f)
	reports, _, err := r.Jobs(t.Context(), []string{"23", "24"})
	if err != nil || len(reports) != 2 || reports[0].Metrics[efficiency.MemoryPeak].Source != efficiency.SourceProfile {
		t.Fatalf("%v, %q", err, *warnings)
	}
	if len(*warnings) != 1 || !strings.Contains((*warnings)[0], "23_1_n1.h5") {
		t.Errorf("warnings %q", *warnings)
	}
}

func TestWithoutTheControllerTheReportsSayLess(t *testing.T) {
	t.Parallel()
	f := &fakeSlurm{sacct: head + "1|1|alice|COMPLETED|10|1|1||00:10|c1\n"}
	r, warnings := reporter(f)
	reports, err := r.Since(t.Context(), time.Unix(0, 0), time.Unix(86400, 0))
	if err != nil || len(reports) != 1 || len(*warnings) != 1 || f.windows[0] != "24h0m0s 1000" {
		t.Fatalf("%d reports, %q, %q, %v", len(reports), *warnings, f.windows, err)
	}
}

func TestAnOutageIsAnErrorNotAnUnknownJob(t *testing.T) {
	t.Parallel()
	f := &fakeSlurm{config: "ClusterName = c1\n", down: &slurm.CommandError{Command: "sacct", Fault: slurmfmt.FaultDatabaseDown}}
	r, _ := reporter(f)
	if _, missing, err := r.Jobs(t.Context(), []string{"1"}); slurm.FaultOf(err) != slurmfmt.FaultDatabaseDown || missing != nil {
		t.Fatalf("missing %q, %v", missing, err)
	}
}

func TestTheClusterIsReadFromScontrol(t *testing.T) {
	t.Parallel()
	f := &fakeSlurm{config: "ClusterName             = c1\nJobAcctGatherType       = jobacct_gather/cgroup\nJobAcctGatherFrequency  = task=5\nCgroupPlugin            = cgroup/v2\nProfileHDF5Dir          = (null)\n"}
	r, _ := reporter(f)
	s := r.site(t.Context())
	c := s.cluster
	if c.Name != "c1" || c.TaskInterval != 5 || c.CgroupVersion != 2 || s.profileDir != "" {
		t.Fatalf("%+v, profiles %q", c, s.profileDir)
	}
	if n := c.NodeTypes[c.Nodes["n1"]]; n.Cores != 8 || n.ThreadsPerCore != 2 || n.GPUs != 3 || n.MemoryBytes != 4096<<20 {
		t.Fatalf("%+v", n)
	}
	if p := c.Partitions["gpu"]; !p.Exclusive || p.DefCPUPerGPU != 8 || p.LimitSeconds != 86400 {
		t.Errorf("partition %+v", p)
	}
}

func TestAFiveThousandTaskArrayIsReportedWithinTwoSeconds(t *testing.T) {
	var b strings.Builder
	b.WriteString(head)
	for i := range 5000 {
		fmt.Fprintf(&b, "9_%d|%d|alice|COMPLETED|100|2|1|cpu=2,mem=1G,node=1|00:02:30|c1\n9_%d.batch|%d.batch|alice|COMPLETED|100|2|1|cpu=2,mem=1G,node=1|00:02:30|c1\n", i, 100+i, i, 100+i)
	}
	f := &fakeSlurm{config: "ClusterName = c1\nProfileHDF5Dir = " + t.TempDir() + "\n", sacct: b.String()}
	r, warnings := reporter(f)
	start := cpuTime(t)
	reports, missing, err := r.Jobs(t.Context(), []string{"9"})
	if took := cpuTime(t) - start; err != nil || len(reports) != 5000 || len(missing) > 0 || took > 2*time.Second {
		t.Fatalf("%d reports in %s, %v", len(reports), took, err)
	}
	if len(*warnings) != 1 || !strings.Contains((*warnings)[0], "profiles are not read") {
		t.Errorf("warnings %q", *warnings)
	}
}

func TestTailReadsTheEndOfARegularFileOnly(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	long := strings.Repeat("x", 100) + "\n"
	files := map[string]struct {
		content string
		want    []string
	}{
		"few":   {"a\nb\n", []string{"a", "b"}},
		"many":  {"1\n2\n3\n4\n", []string{"2", "3", "4"}},
		"empty": {"", nil},
		"long":  {strings.Repeat(long, 2000) + "end", []string{long[:100], long[:100], "end"}},
	}
	for name, c := range files {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(c.content), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := Tail(path, 3); err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	for _, path := range []string{"relative", dir, "/dev/zero", filepath.Join(dir, "absent")} {
		if got, err := Tail(path, 3); err == nil {
			t.Errorf("%s: %q", path, got)
		}
	}
}

// cpuTime is what this process has used so far: wall time would measure who else uses the machine.
func cpuTime(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
