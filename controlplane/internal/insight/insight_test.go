package insight

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
	"github.com/ergon-hpc/ergon/shared/efficiency"
	"github.com/ergon-hpc/ergon/shared/slurmfmt"
)

// memory is a store of one job. What a test does not need panics.
type memory struct {
	Store
	Archive
	m      Material
	stored *Analysis
	saves  int
}

func (s *memory) Material(context.Context, uuid.UUID) (Material, error) { return s.m, nil }

func (s *memory) Stored(context.Context, uuid.UUID) (Analysis, bool, error) {
	if s.stored == nil {
		return Analysis{}, false, nil
	}
	return *s.stored, true, nil
}

func (s *memory) Save(_ context.Context, results []Result) error {
	s.stored, s.saves = &results[0].Analysis, s.saves+1
	return nil
}

// files serves objects by key and counts how often.
type files struct {
	data  map[string][]byte
	opens int
	fail  error
}

func (f *files) Open(_ context.Context, key string) (io.ReadCloser, error) {
	f.opens++
	if f.fail != nil {
		return nil, f.fail
	}
	return io.NopCloser(bytes.NewReader(f.data[key])), nil
}

func material(state string) Material {
	cols := slurmfmt.NewColumns("JobID", "State", "Submit", "Start", "End", "ElapsedRaw", "AllocCPUS", "NNodes", "NodeList", "TotalCPU", "AllocTRES")
	end := "1795004010"
	if state == "RUNNING" {
		end = "Unknown"
	}
	r := slurmfmt.NewRecord(cols, []string{"20", state, "1795000000", "1795000010", end, "4000", "4", "1", "n1", "01:06:40", "cpu=4,mem=8G,node=1"}, nil)
	return Material{ID: uuid.New(), SlurmJobID: "20", Ended: state != "RUNNING", Rows: []Row{{Digest: "a", Record: r}}, ClusterID: "c", ClusterName: "lab", Facts: []byte("{}")}
}

// run are the rows of a job, and of steps of it, that ran on n1 from start to end, 15 s.
func run(id, start, end string, steps ...string) (rows []Row) {
	cols := slurmfmt.NewColumns("JobID", "State", "Submit", "Start", "End", "ElapsedRaw", "AllocCPUS", "NNodes", "NodeList", "TotalCPU", "AllocTRES")
	for _, id := range append([]string{id}, steps...) {
		r := slurmfmt.NewRecord(cols, []string{id, "COMPLETED", start, start, end, "15", "4", "1", "n1", "00:00:15", "cpu=4,mem=8G,node=1"}, nil)
		rows = append(rows, Row{Digest: id + start, Record: r})
	}
	return rows
}

func service(store *memory, src ProfileSource, cfg Config) *Service {
	return New(store, src, time.Now, slog.New(slog.DiscardHandler), cfg)
}

func TestTheSameInputsAreNotComputedAgain(t *testing.T) {
	data, err := os.ReadFile("../../../shared/hdf5/testdata/20_0_n1.h5")
	if err != nil {
		t.Fatal(err)
	}
	src := &files{data: map[string][]byte{"k": data}}
	store := &memory{m: material("COMPLETED")}
	store.m.Profiles = []Profile{{Key: "k", Name: "out/20_0_n1.h5", SHA256: "x", SizeBytes: int64(len(data))}}
	s := service(store, src, Config{})
	for range 2 {
		if err := s.Analyse(context.Background(), store.m.ID); err != nil {
			t.Fatal(err)
		}
	}
	if src.opens != 1 || store.saves != 2 {
		t.Errorf("profile read %d times, saved %d times", src.opens, store.saves)
	}
	store.m.Rows[0].Digest = "b"
	if err := s.Analyse(context.Background(), store.m.ID); err != nil || src.opens != 2 {
		t.Errorf("after a new row: read %d times, %v", src.opens, err)
	}
}

// Profiles are kept for a time, or until their owner removes them. What was read from them stays when the rest is analysed again,
// as after an upgrade; a job that went on is another matter.
func TestWhatGoneProfilesToldIsKept(t *testing.T) {
	data, err := os.ReadFile("../../../shared/hdf5/testdata/20_0_n1.h5")
	if err != nil {
		t.Fatal(err)
	}
	store := &memory{m: material("COMPLETED")}
	store.m.Rows = run("20", "1795421973", "1795421988", "20.0") // when the profile was written
	store.m.Profiles = []Profile{{Key: "k", Name: "out/20_0_n1.h5", SHA256: "x", SizeBytes: int64(len(data))}}
	s := service(store, &files{data: map[string][]byte{"k": data}}, Config{})
	analyse := func() {
		t.Helper()
		if err := s.Analyse(context.Background(), store.m.ID); err != nil {
			t.Fatal(err)
		}
	}
	analyse()
	whole := *store.stored
	if !profiled(whole.Report) || whole.Series == nil {
		t.Fatalf("the profile was not used: %v", whole.Report.Sources)
	}
	store.m.Profiles = nil
	for _, old := range []string{whole.Digest, "of an older revision"} {
		store.stored.Digest = old
		analyse()
		if a := *store.stored; !profiled(a.Report) || a.Series == nil || a.Digest != old || !reflect.DeepEqual(a.Sums, whole.Sums) {
			t.Errorf("digest %q: %v, %v, %+v, want %+v", a.Digest, a.Report.Sources, a.Series != nil, a.Sums, whole.Sums)
		}
	}
	store.m.Rows = append(store.m.Rows, run("20", "1795422000", "1795422015")...)
	analyse()
	if a := *store.stored; profiled(a.Report) || a.Digest == whole.Digest || len(a.Report.Attempts) != 2 {
		t.Errorf("a job that ran once more: %v, %d attempts", a.Report.Sources, len(a.Report.Attempts))
	}
}

func TestUnusableProfilesAreNamedAndTheRestCounts(t *testing.T) {
	src := &files{data: map[string][]byte{"bad": []byte("no profile at all"), "odd": []byte("x")}}
	store := &memory{m: material("COMPLETED")}
	store.m.Profiles = []Profile{
		{Key: "bad", Name: "20_0_n1.h5", SizeBytes: 17}, {Key: "odd", Name: "notes.txt", SizeBytes: 1}, {Key: "big", Name: "20_1_n1.h5", SizeBytes: 1 << 40},
	}
	s := service(store, src, Config{})
	if err := s.Analyse(context.Background(), store.m.ID); err != nil {
		t.Fatal(err)
	}
	named := 0
	for _, f := range store.stored.Report.Findings {
		if f.Rule == efficiency.RuleUnmeasured && strings.Contains(f.Text, "was not used") {
			named++
		}
	}
	if v, ok := store.stored.Report.Value(efficiency.CPUEfficiency); named != 3 || !ok || v != 25 || src.opens != 2 {
		t.Errorf("%d files named, cpu %v %v, %d opened", named, v, ok, src.opens)
	}
}

func TestAStoreThatFailsIsTriedAgain(t *testing.T) {
	store := &memory{m: material("COMPLETED")}
	store.m.Profiles = []Profile{{Key: "k", Name: "20_0_n1.h5", SizeBytes: 10}}
	if err := service(store, &files{fail: errors.New("503")}, Config{}).Analyse(context.Background(), store.m.ID); err == nil || store.saves != 0 {
		t.Errorf("%v, saved %d", err, store.saves)
	}
	if err := service(store, &files{data: map[string][]byte{"k": []byte("short")}}, Config{}).Analyse(context.Background(), store.m.ID); err == nil {
		t.Error("a truncated object was analysed")
	}
	if err := service(store, nil, Config{}).Analyse(context.Background(), store.m.ID); !errors.Is(err, errLeft) {
		t.Errorf("without a store: %v", err)
	}
}

func TestAMissingProfileIsNamedAndTheRestCounts(t *testing.T) {
	store := &memory{m: material("COMPLETED")}
	store.m.Profiles = []Profile{{Key: "k", Name: "20_0_n1.h5", SizeBytes: 10}}
	gone := &files{fail: fmt.Errorf("reading an object: %w", ErrGone)}
	if err := service(store, gone, Config{}).Analyse(context.Background(), store.m.ID); err != nil {
		t.Fatal(err)
	}
	r := store.stored.Report
	if v, ok := r.Value(efficiency.CPUEfficiency); !ok || v != 25 {
		t.Errorf("cpu %v %v", v, ok)
	}
	if !slices.ContainsFunc(r.Findings, func(f efficiency.Finding) bool {
		return strings.Contains(f.Text, "20_0_n1.h5 was not used: it is no longer")
	}) {
		t.Errorf("%+v", r.Findings)
	}
}

func TestReportOfEveryState(t *testing.T) {
	running := &memory{m: material("RUNNING")}
	old := Analysis{Report: efficiency.Report{Job: efficiency.Job{State: "RUNNING"}}}
	running.stored = &old // a profile had made it due while it ran
	r, err := service(running, nil, Config{}).Report(context.Background(), running.m.ID)
	if err != nil || r.Job.JobID != "20" || r.Job.State != "RUNNING" {
		t.Errorf("a running job: %+v %v", r.Job, err)
	}
	due := &memory{m: material("COMPLETED")}
	due.m.Due = true
	if _, err := service(due, nil, Config{}).Report(context.Background(), due.m.ID); !apperr.Is(err, apperr.NotAnalysed) {
		t.Errorf("a due job: %v", err)
	}
	untold := &memory{}
	if _, err := service(untold, nil, Config{}).Report(context.Background(), untold.m.ID); !apperr.Is(err, apperr.NotAnalysed) || !strings.Contains(err.Error(), "accounting") {
		t.Errorf("a job without accounting: %v", err)
	}
	history := &memory{m: material("COMPLETED")}
	if r, err := service(history, nil, Config{}).Report(context.Background(), history.m.ID); err != nil || r.Job.SlurmState != "COMPLETED" {
		t.Errorf("imported history: %+v %v", r.Job, err)
	}
}

func TestThinKeepsMeansMaximaAndHoles(t *testing.T) {
	v := func(x float64) *float64 { return &x }
	set := efficiency.SeriesSet{Start: 100, Step: 10, Points: 5, Lines: []efficiency.Line{
		{Name: "power", Reduced: "mean", Values: []*float64{v(1), v(3), nil, v(5), nil}}, {Name: "memory", Reduced: "max", Values: []*float64{v(-4), v(-2), nil, nil, v(9)}},
	}}
	got := thin(set, 3)
	want := [][]*float64{{v(2), v(5), nil}, {v(-2), nil, v(9)}}
	if got.Step != 20 || got.Points != 3 || got.Start != 100 {
		t.Fatalf("%+v", got)
	}
	for i, line := range want {
		for k, w := range line {
			if g := got.Lines[i].Values[k]; (g == nil) != (w == nil) || g != nil && *g != *w {
				t.Errorf("line %d, point %d: %v, want %v", i, k, g, w)
			}
		}
	}
	if same := thin(set, 5); same.Points != 5 {
		t.Errorf("%+v", same)
	}
}

func TestFactsOfAClusterAreUnderstood(t *testing.T) {
	c := parseCluster("lab", []byte(`{"job_acct_gather_type":"jobacct_gather/cgroup","job_acct_gather_frequency":"energy=5,task=15","cgroup_version":"v2",
		"nodes":[{"name":"n1","sockets":2,"cores_per_socket":8,"threads_per_core":2,"memory_bytes":1024,"gres":"gpu:a100:4(S:0-1),gpu"},
			{"name":"n2","cpus":16,"sockets":2,"cores_per_socket":8,"threads_per_core":2}],
		"partitions":[{"name":"gpu","limit_seconds":7200,"def_cpu_per_gpu":16,"exclusive":true},{"name":"long","unlimited":true}]}`))
	if c == nil || c.TaskInterval != 15 || c.CgroupVersion != 2 || c.NodeTypes[c.Nodes["n1"]].Cores != 16 || c.NodeTypes[c.Nodes["n1"]].GPUs != 5 {
		t.Errorf("%+v", c)
	}
	if c.NodeTypes[c.Nodes["n1"]].ThreadsPerCore != 2 || c.NodeTypes[c.Nodes["n2"]].ThreadsPerCore != 1 {
		t.Errorf("n2 has as many CPUs as cores: %+v", c.NodeTypes)
	}
	if c.Partitions["gpu"] != (efficiency.Partition{LimitSeconds: 7200, DefCPUPerGPU: 16, Exclusive: true}) || !c.Partitions["long"].Unlimited {
		t.Errorf("%+v", c.Partitions)
	}
	for _, text := range []string{"{}", "", "[]", "null", `{"nodes":3}`} {
		if parseCluster("lab", []byte(text)) != nil {
			t.Errorf("%q says something about a cluster", text)
		}
	}
	for text, want := range map[string]float64{"30": 30, "": 0, "task=0": 0, "energy=10": 0, "task=x": 0} {
		if got := taskInterval(text); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}
