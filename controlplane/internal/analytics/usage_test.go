package analytics_test

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ergon-hpc/ergon/controlplane/internal/analytics"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore/storetest"
	"github.com/ergon-hpc/ergon/controlplane/internal/jobs"
	"github.com/ergon-hpc/ergon/controlplane/internal/jobs/dump"
)

// run is one row of accounting as the naive computation knows it.
type run struct {
	job, user, account, cluster           string
	partition, qos                        string
	submit, start, wall, cpus, nodes, gpu int64
	suspended                             int64 // part of wall
	started                               bool
	state                                 string
}

func (r run) end() int64 { return r.start + r.wall }

func (r run) row() string {
	start, end, nodes, state := fmt.Sprint(r.start), fmt.Sprint(r.end()), fmt.Sprintf("n[1-%d]", r.nodes), r.state
	if !r.started {
		start, nodes, state = "Unknown", "None assigned", "CANCELLED by 7"
	}
	return fmt.Sprintf("%s|%s|x|%s|%s|%d|%s|%s|%s|0:0|%d|%d|%s|cpu=%d,node=%d,gres/gpu=%d|%s|%s|%d-%02d:%02d:%02d",
		r.job, r.job, r.user, r.account, r.submit, start, end, state, r.cpus, r.nodes, nodes, r.cpus, r.nodes, r.gpu, r.partition, r.qos,
		r.suspended/86400, r.suspended/3600%24, r.suspended/60%60, r.suspended%60)
}

const head = "JobID|JobIDRaw|JobName|User|Account|Submit|Start|End|State|ExitCode|AllocCPUS|NNodes|NodeList|AllocTRES\n"

func runs() *rapid.Generator[[]run] {
	one := rapid.Custom(func(t *rapid.T) run {
		return run{
			user: rapid.SampledFrom([]string{"alice", "bob", "carol"}).Draw(t, "user"), account: rapid.SampledFrom([]string{"phys", "", "chem"}).Draw(t, "account"),
			submit: rapid.Int64Range(1_700_000_000, 1_720_000_000).Draw(t, "submit"), start: rapid.Int64Range(0, 50_000).Draw(t, "wait"),
			wall: rapid.Int64Range(0, 4_000_000).Draw(t, "wall"), cpus: rapid.Int64Range(1, 5000).Draw(t, "cpus"), gpu: rapid.Int64Range(0, 8).Draw(t, "gpu"),
			partition: rapid.SampledFrom([]string{"cpu", "gpu", ""}).Draw(t, "partition"), qos: rapid.SampledFrom([]string{"normal", "high", ""}).Draw(t, "qos"),
			cluster: rapid.SampledFrom([]string{"c", "d"}).Draw(t, "cluster"), nodes: rapid.Int64Range(1, 4).Draw(t, "nodes"),
			started: rapid.IntRange(0, 4).Draw(t, "started") > 0, state: rapid.SampledFrom([]string{"COMPLETED", "FAILED", "TIMEOUT"}).Draw(t, "state"),
		}
	})
	return rapid.Custom(func(t *rapid.T) []run {
		list := rapid.SliceOfN(one, 1, 40).Draw(t, "runs")
		for i := range list {
			list[i].suspended = rapid.Int64Range(0, list[i].wall).Draw(t, "suspended")
			list[i].job = fmt.Sprint(100 + i)
			list[i].start += list[i].submit
			if i > 0 && list[i-1].started && rapid.IntRange(0, 5).Draw(t, "requeued") == 0 { // the next run of the job before
				prev := list[i-1]
				list[i-1].state = "NODE_FAIL"
				list[i].job, list[i].user, list[i].cluster = prev.job, prev.user, prev.cluster // partition, QOS and account may be others
				wait := list[i].start - list[i].submit
				list[i].submit = prev.end() + 1 // two rows of one submit and start are versions of one run
				list[i].start = list[i].submit + wait
			}
		}
		return list
	})
}

type totals struct{ count, never, jobs, wall, cpu, gpu, wait, suspended, nodes int64 }

func naive(list []run, key func(run) any) map[any]totals {
	out := map[any]totals{}
	for i, r := range list {
		t := out[key(r)]
		if !r.started {
			t.never++
		} else {
			t.count, t.wall, t.cpu, t.gpu, t.wait = t.count+1, t.wall+r.wall, t.cpu+r.wall*r.cpus, t.gpu+r.wall*r.gpu, t.wait+r.start-r.submit
			t.suspended, t.nodes = t.suspended+r.suspended, t.nodes+r.wall*r.nodes
			if i+1 == len(list) || list[i+1].job != r.job || !list[i+1].started {
				t.jobs++
			}
		}
		out[key(r)] = t
	}
	return out
}

// orNil is the key of a name that may be missing.
func orNil(name func(run) string) func(run) any {
	return func(r run) any {
		if name(r) == "" {
			return nil
		}
		return name(r)
	}
}

func TestUsageEqualsANaiveSum(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	at := func(layout string) func(run) any {
		return func(r run) any { return time.Unix(r.end(), 0).In(berlin).Format(layout) }
	}
	keys := map[analytics.Dimension]func(run) any{
		"user": func(r run) any { return r.user }, "state": func(r run) any {
			if !r.started {
				return "CANCELLED"
			}
			return r.state
		},
		"day": at(time.DateOnly), "month": at("2006-01"), "year": at("2006"), "cores": func(r run) any { return r.cpus },
		"account":   orNil(func(r run) string { return r.account }),
		"partition": orNil(func(r run) string { return r.partition }),
		"qos":       orNil(func(r run) string { return r.qos }),
		"nodes":     func(r run) any { return r.nodes },
		"cluster":   func(r run) any { return r.cluster },
		"none":      func(run) any { return "all" },
	}
	open := opener(t)
	rapid.Check(t, func(rt *rapid.T) {
		list := runs().Draw(rt, "list")
		s := open(rt)
		defer func() { _ = s.Close() }()
		g := gormstore.NewJobs(s)
		for _, cluster := range []string{"c", "d"} {
			text := strings.TrimSuffix(head, "\n") + "|Partition|QOS|Suspended\n"
			for _, r := range list {
				if r.cluster == cluster {
					text += r.row() + "\n"
				}
			}
			im := dump.New(jobs.New(g, g, time.Now, nil), g, dump.Options{Cluster: cluster, ChunkRows: 7, Reject: func(r dump.Rejected) error { rt.Fatalf("%+v", r); return nil }})
			if err := im.File(context.Background(), "f", strings.NewReader(text)); err != nil {
				rt.Fatal(err)
			}
		}
		for by, key := range keys {
			groups, err := analytics.Usage(context.Background(), g, analytics.Query{By: by, Location: berlin})
			if err != nil {
				rt.Fatal(err)
			}
			compare(rt, by, groups, naive(list, key))
		}
	})
}

func compare(rt *rapid.T, by analytics.Dimension, groups []analytics.Group, want map[any]totals) {
	if len(groups) != len(want) {
		rt.Fatalf("by %s: %d groups, want %d", by, len(groups), len(want))
	}
	for _, g := range groups {
		s := g.Sums
		got := totals{s.Started, s.NeverStarted, s.Jobs, int64(s.WallS), int64(s.CPUS), int64(s.GPUS), int64(s.WaitS), int64(s.SuspendedS), int64(s.NodeS)}
		if got != want[g.Key] || math.Trunc(s.CPUS) != s.CPUS {
			rt.Fatalf("by %s, %v: got %+v, want %+v", by, g.Key, got, want[g.Key])
		}
	}
}

// opener gives fresh migrated databases fast: copies of one file.
func opener(t *testing.T) func(*rapid.T) *gormstore.Store {
	dir := t.TempDir()
	path := filepath.Join(dir, "template.db")
	s, err := gormstore.Open(context.Background(), gormstore.Config{Path: path, Synchronous: "NORMAL"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Migrate(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	template, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	return func(rt *rapid.T) *gormstore.Store {
		n++
		path := filepath.Join(dir, fmt.Sprintf("run%d.db", n))
		if err := os.WriteFile(path, template, 0o600); err != nil {
			rt.Fatal(err)
		}
		s, err := gormstore.Open(context.Background(), gormstore.Config{Path: path, Synchronous: "NORMAL"})
		if err != nil {
			rt.Fatal(err)
		}
		return s
	}
}

func TestUsageSaysTheSameOnBothDatabases(t *testing.T) {
	const text = head + "1|1|x|alice|a|1704067200|1704067200|1704070800|COMPLETED|0:0|4|1|n1|cpu=4,node=1\n" +
		"2|2|we|ird|bob||1704067200|Unknown|1704070800|CANCELLED by 1|0:0|4|1|None assigned|\n" +
		"3|3|x|alice|a|1704067200|1704067200|1709251200|FAILED|1:0||1|n1|\n"
	storetest.Each(t, func(t *testing.T, s *gormstore.Store) {
		g := gormstore.NewJobs(s)
		im := dump.New(jobs.New(g, g, time.Now, nil), g, dump.Options{Cluster: "c"})
		if err := im.File(context.Background(), "f", strings.NewReader(text)); err != nil {
			t.Fatal(err)
		}
		for _, by := range analytics.Dimensions() {
			from, to := time.Unix(1704070800, 0), time.Unix(1709251200, 0)
			groups, err := analytics.Usage(context.Background(), g, analytics.Query{By: by, Cluster: "c", From: &from, To: &to})
			if err != nil {
				t.Fatalf("by %s: %v", by, err)
			}
			var sum analytics.Sums
			for _, gr := range groups {
				sum.Started, sum.CPUS, sum.NeverStarted = sum.Started+gr.Sums.Started, sum.CPUS+gr.Sums.CPUS, sum.NeverStarted+gr.Sums.NeverStarted
			}
			if sum.Started != 1 || sum.CPUS != 4*3600 || sum.NeverStarted != 1 {
				t.Errorf("by %s: %+v", by, sum)
			}
		}
		all, err := analytics.Usage(context.Background(), g, analytics.Query{By: "none"})
		if notes := analytics.Missing(all); err != nil || len(notes) == 0 || !strings.Contains(notes[0], "1 of 2") {
			t.Errorf("notes %v, %v", notes, err)
		}
	})
}

func TestUnknownNamesSayWhatThereIs(t *testing.T) {
	if _, err := analytics.ParseDimension("colour"); err == nil {
		t.Error("a dimension that does not exist")
	}
	if d, err := analytics.ParseDimension("CPUs"); err != nil || d != "cores" {
		t.Errorf("%s %v", d, err)
	}
	if _, err := analytics.ParseMetrics("job_count,smell"); err == nil {
		t.Error("a metric that does not exist")
	}
	m, err := analytics.ParseMetrics("core_hours, job_count")
	if err != nil || m[0].Name != "core_hours" || m[0].Value(analytics.Sums{CPUS: 7200}) != 2.0 {
		t.Errorf("%+v %v", m, err)
	}
}
