package gormstore_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore/storetest"
	"github.com/ergon-hpc/ergon/controlplane/internal/jobs"
	"github.com/ergon-hpc/ergon/shared/jobkey"
	"github.com/ergon-hpc/ergon/shared/slurmfmt"
)

var sub = uuid.MustParse("0190b0d0-0000-7000-8000-0000000000aa")

func eventID(n int64) uuid.UUID { return uuid.NewSHA1(uuid.Nil, fmt.Append(nil, n)) }

func report(seq int64, state, slurm string) jobs.Report {
	return jobs.Report{
		EventID: eventID(seq), JobID: jobkey.Tagged(sub, ""), Seq: seq, Type: "state", At: noon, Manifest: []byte("[]"),
		Job: jobs.Snapshot{
			SlurmJobID: "40", JobIDRaw: "40", SubmissionID: &sub, UID: 1002, UnixUser: "alice", Name: "sim", State: state, SlurmState: slurm, Submit: 1000,
		},
	}
}

func (l *lab) events(who jobs.Reporter, reports ...jobs.Report) []jobs.Outcome {
	l.t.Helper()
	out, err := l.svc.Events(context.Background(), who, l.cluster, reports)
	if err != nil {
		l.t.Fatal(err)
	}
	return out
}

func TestEventsAreTakenOnceAndNeverGoBack(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *gormstore.Store) {
		l := newLab(t, s)
		first := l.events(l.who, report(0, "PENDING", "PENDING"), report(2, "DONE", "COMPLETED"), report(1, "RUNNING", "RUNNING"), report(0, "PENDING", "PENDING"))
		want := []jobs.Status{jobs.Accepted, jobs.Accepted, jobs.Accepted, jobs.Duplicate}
		for i, o := range first {
			if o.Status != want[i] {
				t.Errorf("event %d: %s %s", i, o.Status, o.Detail)
			}
		}
		if again := l.events(l.who, report(2, "FAILED", "FAILED"), report(3, "RUNNING", "RUNNING")); again[0].Status != jobs.Duplicate {
			t.Errorf("a known event: %+v", again[0])
		}
		if j := l.all()[0].Job; j.State != slurmfmt.StateDone || j.EventSeq != 3 {
			t.Errorf("state %s, seq %d", j.State, j.EventSeq)
		}
		next := report(4, "PENDING", "PENDING")
		next.Job.Attempt, next.Job.Submit = 1, 5000
		l.events(l.who, next)
		if e := l.all()[0]; e.Job.State != slurmfmt.StatePending || len(e.Attempts) != 2 {
			t.Errorf("after a requeue:\n%s", l.picture())
		}
		got, _, err := l.svc.EventsOf(context.Background(), jobs.Viewer{All: true}, jobkey.Tagged(sub, ""), jobs.EventCursor{}, 3)
		if err != nil || len(got) != 3 || got[0].Seq != 0 || got[2].Seq != 2 {
			t.Errorf("events %v, %v", got, err)
		}
	})
}

func TestAdoptedJobIsNotStoredTwice(t *testing.T) {
	const stripped = "JobID|JobIDRaw|JobName|UID|User|State|Submit|Start|End|NodeList|ExitCode|ElapsedRaw\n40|40|sim|1002|alice|COMPLETED|1001|1002|1010|n1|0:0|8\n"
	done := report(1, "DONE", "COMPLETED")
	done.Job.Submit = 1001
	for name, act := range map[string]func(l *lab){
		"the tag was stripped, event first": func(l *lab) { l.events(l.who, done); l.ingest(records(l.t, stripped)) },
		"the tag was stripped, event last":  func(l *lab) { l.ingest(records(l.t, stripped)); l.events(l.who, done) },
		// The report goes with the old id, so there has to be a new one.
		"event last, after the analysis": func(l *lab) {
			l.ingest(records(l.t, stripped))
			l.exec("UPDATE jobs SET analysis_due = (1 = 0)")
			l.events(l.who, done)
		},
	} {
		t.Run(name, func(t *testing.T) {
			storetest.Each(t, func(t *testing.T, s *gormstore.Store) {
				l := newLab(t, s)
				act(l)
				list := l.all()
				if len(list) != 1 || list[0].Job.ID != jobkey.Tagged(sub, "") || len(list[0].Attempts) != 1 || !list[0].Job.AnalysisDue {
					t.Errorf("jobs:\n%s", l.picture())
				}
			})
		})
	}
}

func (l *lab) user(name string) uuid.UUID {
	l.t.Helper()
	id := uuid.New()
	l.exec("INSERT INTO users (id, username, created_at) VALUES ('%s', '%s', %s)", id, name, l.nowSQL())
	return id
}

func (l *lab) link(user uuid.UUID, uid int64, name string) {
	l.t.Helper()
	l.exec("INSERT INTO links (id, cluster_id, uid, gid, unix_name, user_id, created_at) VALUES ('%s', '%s', %d, 1, '%s', '%s', %s)",
		uuid.New(), l.cluster.ID, uid, name, user, l.nowSQL())
}

func (l *lab) nowSQL() string {
	if l.s.Dialect() == gormstore.Postgres {
		return "now()"
	}
	return "1"
}

func (l *lab) exec(format string, args ...any) {
	l.t.Helper()
	if _, err := l.s.SQL().Exec(fmt.Sprintf(format, args...)); err != nil {
		l.t.Fatal(err)
	}
}

func TestUserAgentSpeaksForItsOwnerAlone(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *gormstore.Store) {
		l := newLab(t, s)
		alice, mallory := l.user("alice"), l.user("mallory")
		uid := int64(1002)
		hers := jobs.Reporter{AgentID: uuid.NewString(), ClusterID: l.cluster.ID, Owner: &alice, UID: &uid}
		his := jobs.Reporter{AgentID: uuid.NewString(), ClusterID: l.cluster.ID, Owner: &mallory, UID: &uid}
		if o := l.events(hers, report(0, "PENDING", "PENDING"), report(1, "RUNNING", "RUNNING")); o[0].Status != jobs.Accepted || o[1].Status != jobs.Accepted {
			t.Fatalf("%+v", o)
		}
		if o := l.events(his, report(2, "FAILED", "FAILED")); o[0].Status != jobs.Refused || o[0].Detail == "" {
			t.Errorf("another's job: %+v", o)
		}
		other := report(5, "PENDING", "PENDING")
		other.Job.UID = 7
		if o := l.events(hers, other); o[0].Status != jobs.Refused {
			t.Errorf("another's uid: %+v", o)
		}
		rows := records(t, "JobID|JobIDRaw|UID|User|State|Submit|Start|End|NodeList|ExitCode|Comment\n40|40|1002|alice|COMPLETED|1000|1002|1010|n1|0:0|"+jobkey.Tag(sub, "")+"\n")
		if res, err := l.svc.Accounting(context.Background(), his, jobs.Batch{Cluster: l.cluster, Rows: rows}); err != nil || res.Refused != 1 {
			t.Errorf("another's rows: %+v %v", res, err)
		}
		mine := jobs.Viewer{UserID: alice}
		if _, _, err := l.svc.Get(context.Background(), mine, jobkey.Tagged(sub, "")); err != nil {
			t.Errorf("own job: %v", err)
		}
		if _, _, err := l.svc.Get(context.Background(), jobs.Viewer{UserID: mallory}, jobkey.Tagged(sub, "")); err == nil {
			t.Error("another's job can be read")
		}
		l.ingest(rows) // the site's own agent: its word replaces what was claimed
		if j := l.all()[0].Job; j.UserID != nil || j.SelfAsserted || j.State != slurmfmt.StateDone {
			t.Errorf("after the system agent: %+v", j)
		}
		l.link(alice, 1002, "alice")
		if n, err := l.svc.AdoptLinked(context.Background(), jobs.Link{ClusterID: l.cluster.ID, UID: 1002, UnixName: "alice", UserID: alice}); err != nil || n != 1 {
			t.Errorf("adopted %d, %v", n, err)
		}
		if _, _, err := l.svc.Get(context.Background(), mine, jobkey.Tagged(sub, "")); err != nil {
			t.Errorf("own job after linking: %v", err)
		}
	})
}

// A dump without the column UID names people by their logins only; whoever links that login later sees the jobs, and nobody else.
func TestHistoryWithoutUIDsComesToWhoLinksTheName(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *gormstore.Store) {
		l := newLab(t, s)
		alice, carol := l.user("alice"), l.user("carol")
		l.ingest(records(t, "JobID|User|State|Submit|Start|End|ExitCode\n1|alice|COMPLETED|100|101|102|0:0\n2|bob|COMPLETED|200|201|202|0:0\n"))
		for _, who := range []struct {
			name string
			id   uuid.UUID
			uid  int64
			want int64
		}{{"carol", carol, 1003, 0}, {"alice", alice, 1002, 1}} {
			l.link(who.id, who.uid, who.name)
			n, err := l.svc.AdoptLinked(context.Background(), jobs.Link{ClusterID: l.cluster.ID, UID: who.uid, UnixName: who.name, UserID: who.id})
			if err != nil || n != who.want {
				t.Errorf("%s adopted %d, want %d, %v", who.name, n, who.want, err)
			}
		}
		for _, e := range l.all() {
			_, _, err := l.svc.Get(context.Background(), jobs.Viewer{UserID: alice}, e.Job.ID)
			if seen := err == nil; seen != (e.Job.UnixUser == "alice") {
				t.Errorf("alice sees job %s of %s: %v", e.Job.SlurmJobID, e.Job.UnixUser, seen)
			}
		}
	})
}

func TestTheNextHolderOfAUIDGetsNobodysJobs(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *gormstore.Store) {
		l := newLab(t, s)
		alice, carol := l.user("alice"), l.user("carol")
		const head = "JobID|UID|User|State|Submit|Start|End|ExitCode\n"
		l.ingest(records(t, head+"1|1002|alice|COMPLETED|100|101|102|0:0\n")) // nobody was linked yet
		l.link(alice, 1002, "alice")
		l.ingest(records(t, head+"2|1002|alice|COMPLETED|200|201|202|0:0\n3|1002|alice|RUNNING|300|301|Unknown|0:0\n"))
		l.exec("DELETE FROM links")
		l.link(carol, 1002, "carol")
		if n, err := l.svc.AdoptLinked(context.Background(), jobs.Link{ClusterID: l.cluster.ID, UID: 1002, UnixName: "carol", UserID: carol}); err != nil || n != 0 {
			t.Errorf("carol adopted %d jobs of alice, %v", n, err)
		}
		l.ingest(records(t, head+"1|1002|alice|COMPLETED|100|101|103|0:0\n3|1002|alice|COMPLETED|300|301|302|0:0\n4|1002|alice|COMPLETED|310|311|312|0:0\n5|1002|carol|COMPLETED|900|901|902|0:0\n"))
		want := map[string]*uuid.UUID{"1": nil, "2": &alice, "3": &alice, "4": nil, "5": &carol}
		for _, e := range l.all() {
			owner := want[e.Job.SlurmJobID]
			if got := e.Job.UserID; (got == nil) != (owner == nil) || got != nil && *got != *owner {
				t.Errorf("job %s belongs to %v, want %v", e.Job.SlurmJobID, got, owner)
			}
		}
		// The same person in another account: what had an owner stays there, what had none comes along.
		l.exec("DELETE FROM links")
		second := l.user("alice2")
		if n, err := l.svc.AdoptLinked(context.Background(), jobs.Link{ClusterID: l.cluster.ID, UID: 1002, UnixName: "alice", UserID: second}); err != nil || n != 2 {
			t.Errorf("adopted %d, want jobs 1 and 4, %v", n, err)
		}
		l.link(second, 1002, "alice")
		l.ingest(records(t, head+"2|1002|alice|COMPLETED|200|201|203|0:0\n"))
		for _, e := range l.all() {
			if e.Job.SlurmJobID == "2" && *e.Job.UserID != alice {
				t.Error("a late report gave alice's job to another account")
			}
		}
	})
}

func TestUnlinkedRowsAreRefusedWithoutTheScope(t *testing.T) {
	l := newLab(t, storetest.SQLite(t))
	l.link(l.user("alice"), 1002, "alice")
	who := l.who
	who.Everyone = false
	rows := records(t, "JobID|UID|State|Submit|Start|End|ExitCode\n1|1002|COMPLETED|100|101|102|0:0\n2|1003|COMPLETED|100|101|102|0:0\n3||COMPLETED|100|101|102|0:0\n")
	res, err := l.svc.Accounting(context.Background(), who, jobs.Batch{Cluster: l.cluster, Rows: rows})
	if err != nil || res.Rows != 1 || res.Refused != 2 {
		t.Errorf("%+v, %v", res, err)
	}
}

// step of the life of a few jobs, in any order.
type piece struct {
	rows   string
	report *jobs.Report
}

func life() []piece {
	const head = "JobID|JobIDRaw|JobName|UID|User|State|Submit|Start|End|NodeList|ExitCode|ElapsedRaw|Comment\n"
	tag := jobkey.Tag(sub, "")
	ev := func(seq int64, attempt int, submit int64, state, slurm string) piece {
		r := report(seq, state, slurm)
		r.Job.Attempt, r.Job.Submit = attempt, submit
		return piece{report: &r}
	}
	row := func(text string) piece { return piece{rows: head + text + "\n"} }
	return []piece{
		ev(0, 0, 1000, "PENDING", "PENDING"), ev(1, 0, 1000, "RUNNING", "RUNNING"), ev(2, 1, 2000, "PENDING", "PENDING"), ev(3, 1, 2000, "DONE", "COMPLETED"),
		row("40|40|sim|1002|alice|RUNNING|1000|1010|Unknown|n1|0:0|20|" + tag),
		row("40|40|sim|1002|alice|NODE_FAIL|1000|1010|2000|n1|0:0|990|" + tag),
		row("40|40|sim|1002|alice|RUNNING|2000|2100|Unknown|n2|0:0|5|" + tag),
		row("40|40|sim|1002|alice|COMPLETED|2000|2100|2500|n2|0:0|400|" + tag),
		// without a tag: three incarnations, then another job under the same number
		row("50|50|wrap|1003|bob|NODE_FAIL|1000|1010|1100|n1|0:0|90|"),
		row("50|50|wrap|1003|bob|REQUEUED|1100|1200|1300|n1|0:0|100|"),
		row("50|50|wrap|1003|bob|TIMEOUT|1301|1400|1500|n1|0:0|100|"),
		row("50|50|other|1003|bob|FAILED|9000|9001|9002|n1|1:0|1|"),
	}
}

func (l *lab) play(pieces []piece) string {
	for _, p := range pieces {
		if p.report != nil {
			l.events(l.who, *p.report)
		} else {
			l.ingest(records(l.t, p.rows))
		}
	}
	return l.picture()
}

func TestAnyOrderOfArrivalGivesTheSameRows(t *testing.T) {
	dir := t.TempDir()
	want := newLab(t, storetest.SQLite(t)).play(life())
	if n := strings.Count(want, "raw="); n != 3 {
		t.Fatalf("%d jobs:\n%s", n, want)
	}
	template := migrated(t, dir)
	runs := 0
	rapid.Check(t, func(rt *rapid.T) {
		order := rapid.Permutation(life()).Draw(rt, "order")
		order = append(order, rapid.SliceOfN(rapid.SampledFrom(life()), 0, 3).Draw(rt, "again")...)
		runs++
		path := filepath.Join(dir, fmt.Sprintf("run%d.db", runs))
		if err := os.WriteFile(path, template, 0o600); err != nil {
			rt.Fatal(err)
		}
		s, err := gormstore.Open(context.Background(), gormstore.Config{Path: path, Synchronous: "NORMAL"})
		if err != nil {
			rt.Fatal(err)
		}
		defer func() { _ = s.Close() }()
		got := newLab(t, s).play(order)
		if sorted(got) != sorted(want) {
			rt.Fatalf("order %v gave\n%s\nwanted\n%s", order, got, want)
		}
	})
}

func sorted(s string) string {
	parts := strings.Split(strings.ReplaceAll(s, "\n   ", "\t"), "\n")
	slices.Sort(parts)
	return strings.Join(parts, "\n")
}

// migrated is an empty database as bytes: applying the migrations in every run of a property would take most of its time.
func migrated(t *testing.T, dir string) []byte {
	t.Helper()
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
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
