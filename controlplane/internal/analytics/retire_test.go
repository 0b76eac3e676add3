package analytics_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/ergon-hpc/ergon/controlplane/internal/analytics"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore/storetest"
	"github.com/ergon-hpc/ergon/controlplane/internal/jobs"
	"github.com/ergon-hpc/ergon/controlplane/internal/jobs/dump"
)

// kept is a history over three months of which the first two are old: measured and unmeasured jobs, requeued ones, some that never
// started, and ends close to where a month begins somewhere in the world.
func keptHistory() string {
	var b strings.Builder
	b.WriteString(measuredHead)
	r := rand.New(rand.NewPCG(7, 7))
	edge := time.Date(2024, 3, 1, 0, 0, 0, 0, time.UTC)
	row := func(id int, account string, submit, start, end int64, state, nodes string, cpus int, energy string) {
		from := fmt.Sprint(start)
		if nodes == "None assigned" {
			from = "Unknown"
		}
		fmt.Fprintf(&b, "%d|%d|user%d|%s|main|%d|%s|%d|%d|%s|0:0|%d|%d|1|%s|cpu=%d,mem=8G,node=1|||%s\n",
			id, id, id%3, account, submit, from, end, end-start, state, cpus, cpus, nodes, cpus, energy)
	}
	for id := 1; id <= 60; id++ {
		end := edge.Add(time.Duration(r.IntN(80*24)-40*24) * time.Hour).Unix()
		if id%3 == 0 {
			end = edge.Add(time.Duration(r.IntN(120)-60)*15*time.Minute).Unix() - 1
		}
		wall, cpus := int64(60+r.IntN(90000)), 1+r.IntN(64)
		account, energy := []string{"phys", "chem", ""}[id%3], []string{"", "7200000"}[id%2]
		switch id % 10 {
		case 0:
			row(id, account, end-wall, end, end, "CANCELLED by 7", "None assigned", cpus, "")
			continue
		case 1: // an incarnation before, which a node lost
			row(id, account, end-3*wall, end-3*wall, end-2*wall, "NODE_FAIL", "n1", cpus, "")
			row(id, account, end-2*wall, end-wall, end, "COMPLETED", "n1", cpus, energy)
		default:
			row(id, account, end-wall, end-wall, end, []string{"COMPLETED", "TIMEOUT"}[id%2], "n1", cpus, energy)
		}
		if id%4 != 0 {
			fmt.Fprintf(&b, "%d.0|%d.0||%s||%d|%d|%d|%d|COMPLETED|0:0|%d||1|n1|cpu=%d,mem=8G,node=1|%d:00:00|mem=3G|\n",
				id, id, account, end-wall, end-wall, end, wall, cpus, cpus, wall*int64(cpus)/7200)
		}
	}
	return b.String()
}

var keptUntil = time.Date(2024, 3, 14, 5, 0, 0, 0, time.UTC)

// aged imports a history as if agents had told it at the time.
func aged(t *testing.T, s *gormstore.Store) *gormstore.Jobs {
	t.Helper()
	g := analysed(t, s, keptHistory())
	execute(t, s, "UPDATE jobs SET created_at = submit_at")
	execute(t, s, "UPDATE reports SET cost = energy_j / 3.6e6, cost_unit = CASE WHEN energy_j > 100 THEN 'EUR' ELSE 'USD' END, carbon_g = 2 WHERE energy_j IS NOT NULL")
	return g
}

func execute(t *testing.T, s *gormstore.Store, statement string) {
	t.Helper()
	if _, err := s.SQL().ExecContext(context.Background(), statement); err != nil {
		t.Fatal(err)
	}
}

func number(t *testing.T, s *gormstore.Store, query string) (n int64) {
	t.Helper()
	if err := s.SQL().QueryRowContext(context.Background(), query).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// told is everything that usage says by the dimensions that sums can answer, in zones on both sides of the date line.
func told(t *testing.T, g *gormstore.Jobs) map[string]float64 {
	t.Helper()
	out := map[string]float64{}
	for _, name := range []string{"UTC", "Europe/Berlin", "Asia/Kathmandu", "Pacific/Kiritimati", "Etc/GMT+12"} {
		zone, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		from, to := time.Date(2024, 2, 1, 0, 0, 0, 0, zone), time.Date(2024, 3, 1, 0, 0, 0, 0, zone)
		for _, by := range []analytics.Dimension{"none", "cluster", "account", "month", "year"} {
			for where, q := range map[string]analytics.Query{
				"all": {}, "phys": {Account: "phys"}, "february": {From: &from, To: &to}, "other cluster": {Cluster: "x"},
			} {
				q.By, q.Location, q.Energy, q.Ledger = by, zone, true, true
				groups, err := analytics.Usage(context.Background(), g, q)
				if err != nil {
					t.Fatal(err)
				}
				for _, group := range groups {
					for _, m := range analytics.Metrics() {
						key := fmt.Sprintf("%s, by %s in %s, %v: %s", where, by, name, group.Key, m.Name)
						switch v := m.Value(group.Sums).(type) {
						case int64:
							out[key] = float64(v)
						case float64:
							out[key] = v
						}
					}
				}
			}
		}
	}
	return out
}

func same(t *testing.T, before, after map[string]float64) {
	t.Helper()
	if len(before) < 1000 || len(before) != len(after) {
		t.Errorf("%d numbers before, %d after", len(before), len(after))
	}
	for key, want := range before {
		if got, ok := after[key]; !ok || math.Abs(got-want) > 1e-9*math.Abs(want) {
			t.Fatalf("%s was %v, is %v", key, want, got)
		}
	}
}

func TestTotalsAreTheSameBeforeAndAfterJobsBecomeSums(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *gormstore.Store) {
		g := aged(t, s)
		before, stored := told(t, g), number(t, s, "SELECT COUNT(*) FROM jobs")
		for range 2 { // the second has nothing to do
			if _, err := analytics.Retire(context.Background(), g, keptUntil); err != nil {
				t.Fatal(err)
			}
			same(t, before, told(t, g))
		}
		left := number(t, s, "SELECT COUNT(*) FROM jobs")
		if left == 0 || left > stored/2+10 || left == stored {
			t.Errorf("%d of %d jobs are left: the test tries nothing", left, stored)
		}
		for _, table := range []string{"accounting_rows", "attempts", "reports", "job_ledgers"} {
			if n := number(t, s, "SELECT COUNT(*) FROM "+table+" WHERE job_id NOT IN (SELECT id FROM jobs)"); n != 0 {
				t.Errorf("%d rows of %s stay", n, table)
			}
		}
		if n := number(t, s, "SELECT COUNT(*) FROM jobs WHERE summed_at IS NOT NULL"); n != 0 {
			t.Errorf("%d jobs without files stay", n)
		}
	})
}

// dying is a store whose process is killed after some pages; small pages make many.
type dying struct {
	*gormstore.Jobs
	pages int
}

var errKilled = errors.New("killed")

func (d *dying) SumUp(ctx context.Context, before time.Time, _ int) (int, error) {
	if d.pages--; d.pages < 0 {
		return 0, errKilled
	}
	return d.Jobs.SumUp(ctx, before, 2)
}

func TestKilledBetweenPagesNothingIsLostOrCountedTwice(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *gormstore.Store) {
		g := aged(t, s)
		before := told(t, g)
		for pages := 0; ; pages++ {
			_, err := analytics.Retire(context.Background(), &dying{g, pages}, keptUntil)
			same(t, before, told(t, g))
			if err == nil {
				break
			}
			if !errors.Is(err, errKilled) {
				t.Fatal(err)
			}
		}
	})
}

func TestKilledInsideOfAPageNothingOfItCounts(t *testing.T) {
	s := storetest.SQLite(t)
	g := aged(t, s)
	before := told(t, g)
	for _, table := range []string{"attempts", "reports", "jobs"} {
		execute(t, s, "CREATE TRIGGER killed BEFORE DELETE ON "+table+" BEGIN SELECT RAISE(ABORT, 'killed'); END")
		if n, err := g.SumUp(context.Background(), keptUntil, 1000); err == nil || n != 0 {
			t.Fatalf("%d, %v", n, err)
		}
		same(t, before, told(t, g))
		if n := number(t, s, "SELECT (SELECT COUNT(*) FROM usage_sums) + (SELECT COUNT(*) FROM ledger_sums) + (SELECT COUNT(*) FROM summed_months)"); n != 0 {
			t.Errorf("%d rows of sums were kept of a page that failed", n)
		}
		execute(t, s, "DROP TRIGGER killed")
	}
}

func retired(t *testing.T, s *gormstore.Store) *gormstore.Jobs {
	t.Helper()
	g := aged(t, s)
	if n, err := analytics.Retire(context.Background(), g, keptUntil); err != nil || n == 0 {
		t.Fatalf("%d, %v", n, err)
	}
	return g
}

func started(groups []analytics.Group) (sum, summed int64) {
	for _, g := range groups {
		sum += g.Sums.Started
		if g.Key == analytics.Summed {
			summed = g.Sums.Started
		}
	}
	return sum, summed
}

func TestWhatSumsCannotAnswerIsSaid(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *gormstore.Store) {
		g := retired(t, s)
		ask := func(q analytics.Query) (sum, summed int64, notes string) {
			t.Helper()
			groups, err := analytics.Usage(context.Background(), g, q)
			if err != nil {
				t.Fatal(err)
			}
			sum, summed = started(groups)
			return sum, summed, strings.Join(analytics.Missing(groups), "\n")
		}
		all, _, notes := ask(analytics.Query{By: "none"})
		if strings.Contains(notes, "only sums") {
			t.Errorf("a total covers everything: %s", notes)
		}
		for _, by := range []analytics.Dimension{"user", "partition", "qos", "name", "state", "day", "week", "nodes", "cores", "gpus"} {
			sum, summed, notes := ask(analytics.Query{By: by, Ledger: true})
			if sum != all || summed == 0 || !strings.Contains(notes, "stand in the group (summed)") {
				t.Errorf("by %s: %d of %d, %d summed: %s", by, sum, all, summed, notes)
			}
		}
		cut := time.Date(2024, 2, 11, 0, 0, 0, 0, time.UTC)
		late, _, lateNotes := ask(analytics.Query{By: "none", From: &cut})
		early, _, earlyNotes := ask(analytics.Query{By: "none", To: &cut})
		if late+early >= all || !strings.Contains(lateNotes, "months that the window cuts") || !strings.Contains(earlyNotes, "months that the window cuts") {
			t.Errorf("%d + %d of %d: %s; %s", late, early, all, lateNotes, earlyNotes)
		}
		if sum, _, notes := ask(analytics.Query{By: "month", User: "somebody"}); sum != 0 || !strings.Contains(notes, "name no person") {
			t.Errorf("%d of a person: %s", sum, notes)
		}
		if _, _, notes := ask(analytics.Query{By: "user", Cluster: "elsewhere"}); strings.Contains(notes, "only sums") {
			t.Errorf("about another cluster: %s", notes)
		}
	})
}

func again(t *testing.T, g *gormstore.Jobs, text string) dump.Counts {
	t.Helper()
	im := dump.New(jobs.New(g, g, time.Now, nil), g, dump.Options{Cluster: "c", ChunkRows: 20})
	if err := im.File(context.Background(), "f", strings.NewReader(text)); err != nil {
		t.Fatal(err)
	}
	return im.Counts()
}

func TestHistoryThatWasSummedIsNotCountedAgain(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *gormstore.Store) {
		g := retired(t, s)
		before := told(t, g)
		lines := int64(strings.Count(keptHistory(), "\n") - 1)
		c := again(t, g, keptHistory())
		if c.Stored != 0 || c.Summed == 0 || c.Unchanged == 0 || c.Summed+c.Unchanged != lines || c.Rejected != 0 {
			t.Errorf("%d rows: %+v", lines, c)
		}
		same(t, before, told(t, g))
		// A year before was never summed: it is taken, and kept as long as what agents told.
		const older = measuredHead + "900|900|user1|phys|main|1672531200|1672531200|1672534800|3600|COMPLETED|0:0|4|4|1|n1|cpu=4,mem=8G,node=1|||\n"
		if c := again(t, g, older); c.Stored != 1 || c.Summed != 0 {
			t.Errorf("%+v", c)
		}
		if n, err := analytics.Retire(context.Background(), g, keptUntil); n != 0 || err != nil {
			t.Errorf("what was just imported became sums: %d, %v", n, err)
		}
	})
}

func TestAJobWithFilesStaysUntilTheLastIsGone(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *gormstore.Store) {
		g := aged(t, s)
		before := told(t, g)
		execute(t, s, "INSERT INTO users (id, username, pw_hash, role, created_at) SELECT 'u', 'u', '', 'user', MIN(created_at) FROM jobs")
		execute(t, s, `INSERT INTO objects (id, user_id, job_id, class, name, object_key, size_bytes, sha256, sha256_verified, content_type, created_at)
			SELECT 'o', 'u', id, 'output', 'n', 'k', 1, '', TRUE, '', created_at FROM jobs WHERE slurm_job_id = '2'`)
		for range 2 {
			if _, err := analytics.Retire(context.Background(), g, time.Date(2024, 6, 1, 0, 0, 0, 0, time.UTC)); err != nil {
				t.Fatal(err)
			}
			if n := number(t, s, "SELECT COUNT(*) FROM jobs WHERE summed_at IS NOT NULL AND name = '' AND NOT analysis_due"); n != 1 {
				t.Fatalf("%d jobs stay for their files", n)
			}
			if c := again(t, g, keptHistory()); c.Stored != 0 { // its rows do not come back either
				t.Errorf("%+v", c)
			}
			same(t, before, told(t, g))
		}
		execute(t, s, "DELETE FROM objects")
		if _, err := analytics.Retire(context.Background(), g, time.Time{}); err != nil {
			t.Fatal(err)
		}
		if n := number(t, s, "SELECT COUNT(*) FROM jobs"); n != 0 {
			t.Errorf("%d jobs are left", n)
		}
		same(t, before, told(t, g))
	})
}

func TestTheCheckAgainstSReportSaysWhatIsKeptAsSumsOnly(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *gormstore.Store) {
		g := aged(t, s)
		from, to := time.Date(2024, 2, 1, 0, 0, 0, 0, time.UTC), time.Date(2024, 4, 1, 0, 0, 0, 0, time.UTC)
		said := analytics.SReport{Cluster: "c", From: from, To: to, CPUS: map[analytics.Charge]float64{}}
		check := func() analytics.Check {
			t.Helper()
			c, err := analytics.CheckSReport(context.Background(), g, "c", said, to.AddDate(0, 1, 0))
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		for _, l := range check().Lines {
			said.CPUS[l.Charge] = l.Ergon
		}
		if c := check(); !c.SummedUntil.IsZero() || !c.Total.Agrees() {
			t.Fatalf("%+v", c)
		}
		if _, err := analytics.Retire(context.Background(), g, keptUntil); err != nil {
			t.Fatal(err)
		}
		c := check()
		differ := 0
		for _, l := range c.Lines {
			if l.Agrees() {
				continue
			}
			differ++
			if reasons, explained := l.Why(); !explained || !strings.Contains(strings.Join(reasons, ";"), "only sums per account") {
				t.Errorf("%+v: %v", l, reasons)
			}
		}
		if differ == 0 || c.SummedUntil.IsZero() {
			t.Errorf("%d lines differ, %v", differ, c.SummedUntil)
		}
		said.CPUS[analytics.Charge{Account: "phys", User: "user0"}] *= 1000 // more than all that was summed
		said.CPUS[analytics.Charge{Account: "phys", User: "ghost"}] = 1e15
		if _, explained := check().Lines[len(check().Lines)-1].Why(); explained {
			t.Error("sums explain more than they hold")
		}
	})
}

func TestBucketsAreMonthsOfUTCAndTheirEdges(t *testing.T) {
	for text, want := range map[string]string{
		"2024-02-01T11:59:59Z": "2024-02-01T11:45:00Z 2024-02-01T12:00:00Z", "2024-02-01T12:00:00Z": "2024-02-01T12:00:00Z 2024-02-29T10:00:00Z",
		"2024-02-29T09:59:59Z": "2024-02-01T12:00:00Z 2024-02-29T10:00:00Z", "2024-02-29T10:00:00Z": "2024-02-29T10:00:00Z 2024-02-29T10:15:00Z",
	} {
		at, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		from, to := analytics.Bucket(at.Unix() / analytics.QuarterS)
		show := func(q int64) string { return time.Unix(q*analytics.QuarterS, 0).UTC().Format(time.RFC3339) }
		if got := show(from) + " " + show(to); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}
