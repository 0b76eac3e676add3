package gormstore_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore/storetest"
	"github.com/ergon-hpc/ergon/controlplane/internal/jobs"
	"github.com/ergon-hpc/ergon/shared/jobkey"
	"github.com/ergon-hpc/ergon/shared/slurmfmt"
)

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

type lab struct {
	t       testing.TB
	s       *gormstore.Store
	g       *gormstore.Jobs
	svc     *jobs.Service
	cluster jobs.Cluster
	who     jobs.Reporter
}

func newLab(t testing.TB, s *gormstore.Store) *lab {
	t.Helper()
	g := gormstore.NewJobs(s)
	c, created, err := g.ClusterByName(context.Background(), "lab", true)
	if err != nil || !created {
		t.Fatalf("making the cluster: created %v, %v", created, err)
	}
	return &lab{
		t: t, s: s, g: g, cluster: c, svc: jobs.New(g, g, func() time.Time { return noon }, nil),
		who: jobs.Reporter{AgentID: "0190b0d0-0000-7000-8000-000000000001", ClusterID: c.ID, Everyone: true},
	}
}

func records(t testing.TB, text string) []*slurmfmt.Record {
	t.Helper()
	rd, err := slurmfmt.NewReader(strings.NewReader(text), slurmfmt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var out []*slurmfmt.Record
	for {
		r, err := rd.Next()
		if err != nil {
			break
		}
		out = append(out, r.Clone())
	}
	return out
}

func fixture(t testing.TB, name string) []*slurmfmt.Record {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "jobs", "testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return records(t, string(b))
}

func (l *lab) ingest(rows []*slurmfmt.Record) jobs.Result {
	l.t.Helper()
	res, err := l.svc.Accounting(context.Background(), l.who, jobs.Batch{Cluster: l.cluster, Rows: rows})
	if err != nil {
		l.t.Fatal(err)
	}
	return res
}

func (l *lab) all() []jobs.Listed {
	l.t.Helper()
	list, _, err := l.svc.List(context.Background(), jobs.Viewer{All: true}, jobs.Filter{}, true, jobs.Page{Limit: 500})
	if err != nil {
		l.t.Fatal(err)
	}
	return list
}

// picture is what anybody can see of the stored jobs, the ids of untagged jobs left out: they follow from the submit time
// that happened to be known first.
func (l *lab) picture() string {
	var b strings.Builder
	for _, e := range l.all() {
		j := e.Job
		fmt.Fprintf(&b, "%s raw=%s %s/%s %s user=%v uid=%v due=%v exit=%v:%v name=%q n=%v\n", j.SlurmJobID, j.JobIDRaw, j.State, j.SlurmState,
			span(j.StartAt, j.EndAt), j.UserID, num(j.UID), j.AnalysisDue, num(j.ExitCode), num(j.ExitSignal), j.Name, num(j.Nodes))
		for _, a := range e.Attempts {
			fmt.Fprintf(&b, "   #%d %s submit=%d %s wall=%v wait=%v\n", a.Number, a.SlurmState, a.SubmitAt.Unix(), span(a.StartAt, a.EndAt), num(a.WallS), num(a.WaitS))
		}
	}
	return b.String()
}

func span(from, to *time.Time) string {
	f := func(t *time.Time) string {
		if t == nil {
			return "-"
		}
		return fmt.Sprint(t.Unix())
	}
	return f(from) + ".." + f(to)
}

func num(n *int64) string {
	if n == nil {
		return "?"
	}
	return fmt.Sprint(*n)
}

func TestRequeuedJobHasOneRowForEachIncarnation(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *gormstore.Store) {
		l := newLab(t, s)
		for name, want := range map[string][]string{
			"sacct_D_11.p2": {"NODE_FAIL", "CANCELLED"}, "sacct_D_15.p2": {"REQUEUED", "COMPLETED"},
		} {
			rows := fixture(t, name)
			if res := l.ingest(rows); res.Jobs != 1 || res.Rows != len(rows) || len(res.Bad) != 0 {
				t.Fatalf("%s: %+v", name, res)
			}
			if res := l.ingest(rows); res.Rows != 0 || res.Unchanged != len(rows) {
				t.Errorf("%s again: %+v", name, res)
			}
			id := rows[0].Get("JobID")
			for _, e := range l.all() {
				if e.Job.SlurmJobID != id {
					continue
				}
				var got []string
				for _, a := range e.Attempts {
					got = append(got, a.SlurmState)
				}
				if fmt.Sprint(got) != fmt.Sprint(want) || e.Job.SlurmState != want[1] || !e.Job.AnalysisDue {
					t.Errorf("%s: attempts %v, state %s, due %v", name, got, e.Job.SlurmState, e.Job.AnalysisDue)
				}
			}
		}
		if n := len(l.all()); n != 2 {
			t.Errorf("%d jobs", n)
		}
	})
}

func TestReusedIDMakesAnotherJob(t *testing.T) {
	const head = "JobID|JobIDRaw|JobName|UID|User|State|Submit|Start|End|NodeList|ExitCode|ElapsedRaw\n"
	a := "1|1|wrap|1002|alice|COMPLETED|2026-11-23T08:15:50|2026-11-23T08:15:50|2026-11-23T08:15:52|n1|0:0|2\n"
	b := "1|1|wrap 4|1002|alice|FAILED|2026-11-23T08:40:42|2026-11-23T08:40:43|2026-11-23T08:40:44|n1|1:0|1\n"
	for name, texts := range map[string][]string{"together": {head + a + b}, "in turn": {head + a, head + b}, "newest first": {head + b, head + a}} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, storetest.SQLite(t))
			for _, text := range texts {
				l.ingest(records(t, text))
			}
			if list := l.all(); len(list) != 2 || list[0].Job.Name != "wrap 4" || list[1].Job.Name != "wrap" {
				t.Errorf("jobs:\n%s", l.picture())
			}
		})
	}
}

// The row says that the job ran for 31 000 years until the end of time: a Start made of that would count in every sum.
func TestADamagedRowMakesNoStartBeforeAllTime(t *testing.T) {
	l := newLab(t, storetest.SQLite(t))
	l.ingest(records(t, "JobID|State|Submit|Start|End|ElapsedRaw|NodeList|ExitCode\n1|COMPLETED|100|Unknown|253402300799|999999999999|n1|0:0\n"))
	if list := l.all(); len(list) != 1 || list[0].Job.StartAt != nil {
		t.Errorf("jobs:\n%s", l.picture())
	}
}

func TestArrayTasksAndHetComponentsAreJobsOfTheirOwn(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *gormstore.Store) {
		l := newLab(t, s)
		sub := uuid.MustParse("0190b0d0-0000-7000-8000-00000000000a")
		const head = "JobID|JobIDRaw|State|Submit|Start|End|NodeList|ExitCode|Comment\n"
		tag := jobkey.Tag(sub, "")
		l.ingest(records(t, head+"14_[0-1]|14|PENDING|100|Unknown|Unknown|None assigned|0:0|"+tag+"\n"))
		if list := l.all(); len(list) != 1 || list[0].Job.ID != jobkey.Tagged(sub, "") {
			t.Fatalf("waiting array:\n%s", l.picture())
		}
		l.ingest(records(t, head+"14_0|15|COMPLETED|100|110|120|n1|0:0|"+tag+"\n14_1|14|FAILED|100|111|121|n1|3:0|"+tag+"\n"+
			"21+0|21|COMPLETED|130|131|140|n1|0:0|\n21+1|22|COMPLETED|130|131|140|n2|0:0|\n"))
		ids := map[string]uuid.UUID{}
		for _, e := range l.all() {
			ids[e.Job.SlurmJobID] = e.Job.ID
		}
		if len(ids) != 4 || ids["14_1"] != jobkey.Tagged(sub, "_1") || ids["14_0"] != jobkey.Tagged(sub, "_0") {
			t.Errorf("ids %v\n%s", ids, l.picture())
		}
		list, _, err := l.svc.List(context.Background(), jobs.Viewer{All: true}, jobs.Filter{SlurmJobID: "14"}, true, jobs.Page{Limit: 10})
		if err != nil || len(list) != 2 {
			t.Errorf("base id finds %d tasks, %v", len(list), err)
		}
	})
}

func TestSubmitLineRunAgainIsAnotherJob(t *testing.T) {
	l := newLab(t, storetest.SQLite(t))
	tag := jobkey.Tag(uuid.MustParse("0190b0d0-0000-7000-8000-00000000000b"), "")
	const head = "JobID|JobIDRaw|State|Submit|Start|End|NodeList|ExitCode|Comment\n"
	l.ingest(records(t, head+"30|30|COMPLETED|100|110|120|n1|0:0|"+tag+"\n31|31|COMPLETED|500|510|520|n1|0:0|"+tag+"\n"))
	if list := l.all(); len(list) != 2 || list[0].Job.ID == list[1].Job.ID {
		t.Errorf("jobs:\n%s", l.picture())
	}
}

func TestStepsFindTheirIncarnationInLaterBatches(t *testing.T) {
	l := newLab(t, storetest.SQLite(t))
	rows := fixture(t, "sacct_D_15.p2")
	orphans := l.ingest(rows[1:3])
	if len(orphans.Bad) != 2 || !orphans.Bad[0].Orphan {
		t.Fatalf("steps before their job: %+v", orphans)
	}
	for _, i := range []int{3, 0, 1, 5, 4, 2} {
		if res := l.ingest(rows[i : i+1]); len(res.Bad) != 0 {
			t.Fatalf("row %d: %+v", i, res)
		}
	}
	var n int
	if err := l.s.SQL().QueryRow(`SELECT count(*) FROM accounting_rows WHERE attempt = 0 AND step <> ''`).Scan(&n); err != nil || n != 2 {
		t.Errorf("%d steps of the first incarnation, %v", n, err)
	}
}

func TestHostileRowsAreReportedAndHarmNothing(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *gormstore.Store) {
		l := newLab(t, s)
		cols := slurmfmt.NewColumns("JobID", "JobIDRaw", "JobName", "State", "Submit", "Start", "End", "NodeList", "ExitCode", "AllocCPUS")
		row := func(f ...string) *slurmfmt.Record { return slurmfmt.NewRecord(cols, f, nil) }
		res := l.ingest([]*slurmfmt.Record{
			row("abc", "", "x", "COMPLETED", "100", "101", "102", "n1", "0:0", "1"),
			row("7", "7", "x", "COMPLETED", "", "", "", "n1", "0:0", "1"),
			row("8", "8", "x", "", "100", "101", "102", "n1", "", "1"),
			row("9", "9", "x", "COMPLETED", "100", "300", "200", "n1", "0:0", "1"),
			row("10", "10", "we|ird\nna\x00me \xff \x1b[31m'; DROP TABLE jobs; --", "COMPLETED", "100", "101", "102", "n1", "0:0", "99999999999999"),
			row("11", "11", "x", "COMPLETED", "99999999999999999", "101", "102", "n1", "0:0", "1"),
		})
		if len(res.Bad) != 4 || res.Rows != 2 {
			t.Errorf("%+v", res)
		}
		for _, b := range res.Bad {
			if b.Reason == "" {
				t.Errorf("row %d has no reason", b.Row)
			}
		}
		list := l.all()
		if len(list) != 2 || !strings.Contains(list[0].Job.Name+list[1].Job.Name, "DROP TABLE jobs") {
			t.Errorf("jobs:\n%s", l.picture())
		}
	})
}

func TestNeverStartedHasNoTimes(t *testing.T) {
	l := newLab(t, storetest.SQLite(t))
	l.ingest(records(t, "JobID|State|Submit|Start|End|NodeList|ExitCode\n12|CANCELLED by 0|100|200|200|None assigned|0:0\n13|CANCELLED by 0|100|None|200|None assigned|0:0\n"))
	for _, e := range l.all() {
		if e.Attempts[0].StartAt != nil || e.Attempts[0].WallS != nil || e.Job.EndAt == nil || e.Job.State != slurmfmt.StateFailed {
			t.Errorf("jobs:\n%s", l.picture())
		}
	}
}
