package gormstore_test

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore/storetest"
	"github.com/ergon-hpc/ergon/controlplane/internal/insight"
)

const threeJobs = "JobID|State|Submit|Start|End|ElapsedRaw|AllocCPUS|NNodes|NodeList|TotalCPU|AllocTRES\n" +
	"1|COMPLETED|1000|1000|1100|100|4|1|n1|00:03:20|cpu=4,mem=8G,node=1\n" +
	"2|COMPLETED|1000|1000|1100|100|4|1|n1|00:03:20|cpu=4,mem=8G,node=1\n" +
	"3|COMPLETED|1000|1000|1100|100|4|1|n1|00:03:20|cpu=4,mem=8G,node=1\n"

// An upgrade leaves reports of the old rules: they are made again some at a time, and those of a newer server are left alone.
func TestReportsOfAnOlderAnalysisAreMadeAgain(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *gormstore.Store) {
		l, store := newLab(t, s), gormstore.NewInsight(s)
		l.ingest(records(t, threeJobs))
		work := insight.New(store, nil, time.Now, slog.New(slog.DiscardHandler), insight.Config{})
		analyse := func(want int) {
			t.Helper()
			if w, err := work.AnalyseDue(t.Context(), func(int) {}); err != nil || w.Analysed != want || w.Failed > 0 {
				t.Fatalf("%+v, %v, want %d", w, err, want)
			}
		}
		exec := func(query string, args ...any) {
			t.Helper()
			if _, err := s.SQL().ExecContext(t.Context(), query, args...); err != nil {
				t.Fatal(err)
			}
		}
		count := func(where string) (n int) {
			t.Helper()
			if err := s.SQL().QueryRowContext(t.Context(), "SELECT COUNT(*) FROM reports WHERE "+where).Scan(&n); err != nil {
				t.Fatal(err)
			}
			return n
		}
		analyse(3)
		if n, err := work.Refresh(t.Context()); err != nil || n != 0 {
			t.Fatalf("%d of today's reports are to be made again, %v", n, err)
		}
		// As an older version left them: other numbers, made of the same rows under another revision.
		exec("UPDATE reports SET revision = 1, inputs_digest = 'old', cpu_used_core_s = 1, report = '{}' WHERE job_id IN (SELECT id FROM jobs WHERE slurm_job_id <> '3')")
		exec("UPDATE reports SET revision = 1000, cpu_used_core_s = 7 WHERE job_id IN (SELECT id FROM jobs WHERE slurm_job_id = '3')")
		for round := range 2 { // one at a time, as a limit of one allows
			for call, want := range []int64{1, 0} {
				if n, err := store.MarkStale(t.Context(), insight.Stale{Revision: insight.Revision, Limit: 1, Profiles: true}, time.Now()); err != nil || n != want {
					t.Fatalf("round %d, call %d: %d became due, %v", round, call, n, err)
				}
			}
			analyse(1)
		}
		if n, err := work.Refresh(t.Context()); err != nil || n != 0 {
			t.Errorf("%d are left, %v", n, err)
		}
		if good, newer := count("cpu_used_core_s = 200 AND report LIKE '%cpu_efficiency%'"), count("revision = 1000 AND cpu_used_core_s = 7"); good != 2 || newer != 1 {
			t.Errorf("%d reports of today's rules, %d of a newer server's", good, newer)
		}
	})
}

func TestWhatIsNewIsDueBeforeWhatIsMadeAgain(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *gormstore.Store) {
		l, store := newLab(t, s), gormstore.NewInsight(s)
		l.ingest(records(t, threeJobs))
		work := insight.New(store, nil, time.Now, slog.New(slog.DiscardHandler), insight.Config{})
		if _, err := work.AnalyseDue(t.Context(), func(int) {}); err != nil {
			t.Fatal(err)
		}
		if n, err := store.MarkAllDue(t.Context(), "", noon.Add(-time.Hour)); err != nil || n != 3 { // they wait longer
			t.Fatal(n, err)
		}
		l.ingest(records(t, strings.Replace(threeJobs, "\n1|", "\n4|", 1)))
		var fresh string
		if err := s.SQL().QueryRowContext(t.Context(), "SELECT id FROM jobs WHERE slurm_job_id = '4'").Scan(&fresh); err != nil {
			t.Fatal(err)
		}
		if ids, err := store.Due(t.Context(), 1); err != nil || len(ids) != 1 || ids[0].String() != fresh {
			t.Errorf("%v comes before %s, %v", ids, fresh, err)
		}
		if ids, err := store.Due(t.Context(), 9); err != nil || len(ids) != 4 {
			t.Errorf("%d are due, %v", len(ids), err)
		}
	})
}

func TestAReportThatCannotBeReadIsMadeAgain(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *gormstore.Store) {
		o := newOwned(t, s)
		for _, damage := range []string{"report = '[]'", "series = '[]'"} {
			o.analyse()
			o.exec("UPDATE reports SET " + damage)
			o.analyse()
			if o.count("reports WHERE report LIKE '%hdf5_profile%' AND series LIKE '{%' AND series <> '{}'") != 1 {
				t.Errorf("%s: the report was not made again", damage)
			}
		}
	})
}
