package gormstore_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/controlplane/internal/analytics"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore/storetest"
	"github.com/ergon-hpc/ergon/controlplane/internal/insight"
	"github.com/ergon-hpc/ergon/controlplane/internal/jobs"
	"github.com/ergon-hpc/ergon/shared/efficiency"
	"github.com/ergon-hpc/ergon/shared/jobkey"
)

const (
	liveHead    = "JobID|JobIDRaw|JobName|UID|User|State|Submit|Start|End|NodeList|ExitCode|ElapsedRaw|AllocCPUS|NNodes|AllocTRES|TotalCPU|Comment\n"
	liveRunning = liveHead + "40|40|sim|1002|alice|RUNNING|1000|1002|Unknown|n1|0:0|100|2|1|cpu=2,mem=4G,node=1||\n" +
		"40.batch|40.batch|batch|||RUNNING|1002|1002|Unknown|n1|0:0|100|2|1|cpu=2,mem=4G,node=1||\n"
	// Slurm lost the children's time of the step that was killed.
	liveKilled = liveHead + "40|40|sim|1002|alice|CANCELLED by 1002|1000|1002|1302|n1|0:15|300|2|1|cpu=2,mem=4G,node=1|00:00:01|\n" +
		"40.batch|40.batch|batch|||CANCELLED|1002|1002|1302|n1|0:15|300|2|1|cpu=2,mem=4G,node=1|00:00:01|\n"
)

// liveText is what sstat says of the job's batch step.
func liveText(cpu string) string {
	return "JobID|JobIDRaw|Submit|Start|NTasks|TRESUsageInTot|Comment\n40.batch|40|1000|1002|1|cpu=" + cpu + ",mem=1G|said=secret\n"
}

func (l *lab) sample(who jobs.Reporter, at time.Time, text string) jobs.Result {
	l.t.Helper()
	res, err := l.svc.Samples(context.Background(), who, jobs.SampleBatch{Cluster: l.cluster, Rows: records(l.t, text), At: at})
	if err != nil {
		l.t.Fatal(err)
	}
	return res
}

// stored lists the samples.
func (l *lab) stored() (out []string) {
	l.t.Helper()
	rows, err := l.s.SQL().Query("SELECT job_id, attempt, step, fields FROM job_samples ORDER BY attempt, step")
	if err != nil {
		l.t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var job, step, fields string
		var attempt int
		if err := rows.Scan(&job, &attempt, &step, &fields); err != nil {
			l.t.Fatal(err)
		}
		out = append(out, fmt.Sprintf("%s #%d %s %s", job, attempt, step, fields))
	}
	if err := rows.Err(); err != nil {
		l.t.Fatal(err)
	}
	return out
}

func (l *lab) insight() *insight.Service {
	return insight.New(gormstore.NewInsight(l.s), nil, func() time.Time { return noon }, slog.New(slog.DiscardHandler), insight.Config{})
}

// used is the CPU time of the job's report.
func (l *lab) used(id uuid.UUID) efficiency.Metric {
	l.t.Helper()
	r, err := l.insight().Report(context.Background(), id)
	if err != nil {
		l.t.Fatal(err)
	}
	return r.Metrics[efficiency.CPUUsed]
}

func (l *lab) expectUsed(what string, id uuid.UUID, want float64, source efficiency.Source, running bool) {
	l.t.Helper()
	m := l.used(id)
	if m.Value == nil || *m.Value != want || m.Source != source || slices.Contains(m.Reasons, efficiency.Running) != running {
		l.t.Errorf("%s: CPU %+v", what, m)
	}
}

func (l *lab) analyse() {
	l.t.Helper()
	if w, err := l.insight().AnalyseDue(context.Background(), func(int) {}); err != nil || w.Failed > 0 {
		l.t.Fatalf("%+v, %v", w, err)
	}
}

func TestARunningJobIsSeenLiveAndItsLastSampleStaysForTheEnd(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *gormstore.Store) {
		l := newLab(t, s)
		l.ingest(records(t, liveRunning))
		id := l.all()[0].Job.ID
		if res := l.sample(l.who, noon.Add(-time.Minute), liveText("00:02:30")); res.Rows != 1 || res.Jobs != 1 || len(res.Bad) > 0 {
			t.Fatalf("%+v", res)
		}
		l.expectUsed("while it runs", id, 150, efficiency.SourceSstat, true)
		l.sample(l.who, noon.Add(time.Hour), liveText("00:04:10")) // a clock that is ahead is not believed
		l.sample(l.who, noon.Add(-2*time.Minute), liveText("00:00:10"))
		l.expectUsed("after a newer sample, and an older one that came late", id, 250, efficiency.SourceSstat, true)
		if got := l.stored(); len(got) != 1 || strings.Contains(got[0], "secret") {
			t.Errorf("stored %q", got)
		}
		if l.all()[0].Job.AnalysisDue {
			t.Error("a sample made the analysis due")
		}
		l.ingest(records(t, liveKilled))
		l.analyse()
		l.expectUsed("of a step that was killed", id, 250, efficiency.SourceSstat, false)
		if res := l.sample(l.who, noon, liveText("00:09:00")); res.Unchanged != 1 || res.Rows != 0 {
			t.Errorf("after the end: %+v", res)
		}
		l.expectUsed("after the end", id, 250, efficiency.SourceSstat, false)
	})
}

func TestWhatAJobHasUsedSoFarIsInNoSum(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *gormstore.Store) {
		l, ctx := newLab(t, s), context.Background()
		// The first run failed, the second goes on: the job has an attempt that sums know, and no end.
		l.ingest(records(t, liveHead+"40|40|sim|1002|alice|NODE_FAIL|500|502|1000|n1|0:0|498|2|1|cpu=2,mem=4G,node=1|00:00:50|\n"+
			strings.TrimPrefix(liveRunning, liveHead)))
		job := l.all()[0].Job
		if len(l.all()) != 1 || len(l.all()[0].Attempts) != 2 {
			t.Fatalf("jobs:\n%s", l.picture())
		}
		l.sample(l.who, noon, liveText("00:02:30"))
		if err := l.insight().Analyse(ctx, job.ID); err != nil { // as when a profile is stored
			t.Fatal(err)
		}
		sel := insight.Selection{From: time.Unix(0, 0), To: noon}
		sum, err := l.insight().Summary(ctx, sel)
		if err != nil || sum.Analysed != 0 || len(sum.Worst) != 0 {
			t.Errorf("summary: %d analysed, worst %v, %v", sum.Analysed, sum.Worst, err)
		}
		if known, err := l.insight().Headlines(ctx, []uuid.UUID{job.ID}); err != nil || len(known) != 0 {
			t.Errorf("headlines: %v, %v", known, err)
		}
		var ledgers, sums int
		err = s.SQL().QueryRow(`SELECT (SELECT COUNT(*) FROM job_ledgers), (SELECT COUNT(*) FROM reports WHERE cpu_used_core_s IS NOT NULL
			OR elapsed_s IS NOT NULL OR wasted_core_s IS NOT NULL)`).Scan(&ledgers, &sums)
		if err != nil || ledgers != 0 || sums != 0 {
			t.Errorf("%d ledgers, %d reports with sums, %v", ledgers, sums, err)
		}
		groups, err := analytics.Usage(ctx, l.g, analytics.Query{By: "account"})
		if err != nil || len(groups) != 1 || groups[0].Sums.WallS != 498 {
			t.Errorf("usage %+v, %v", groups, err)
		}
		if l.all()[0].Job.AccountingAt != nil {
			t.Fatal("the job counts as ended")
		}
		l.ingest(records(t, liveKilled))
		l.analyse()
		if sum, err = l.insight().Summary(ctx, sel); err != nil || sum.Analysed != 1 {
			t.Errorf("after the end: %d analysed, %v", sum.Analysed, err)
		}
		if err = s.SQL().QueryRow("SELECT COUNT(*) FROM job_ledgers").Scan(&ledgers); err != nil || ledgers == 0 {
			t.Errorf("after the end: %d ledgers, %v", ledgers, err)
		}
	})
}

func TestSamplesAreTakenOfWhomTheReporterMayReport(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *gormstore.Store) {
		l := newLab(t, s)
		l.ingest(records(t, liveRunning))
		uid, mallory := int64(1002), l.user("mallory")
		some, user := l.who, jobs.Reporter{AgentID: l.who.AgentID, ClusterID: l.cluster.ID, Owner: &mallory, UID: &uid}
		some.Everyone = false
		for name, who := range map[string]jobs.Reporter{"an agent that reports linked users": some, "an agent of somebody else": user} {
			if res := l.sample(who, noon, liveText("00:02:30")); res.Refused != 1 || res.Rows != 0 {
				t.Errorf("%s: %+v", name, res)
			}
		}
		bad := l.sample(l.who, noon, "JobID|JobIDRaw|Submit\n41.0|41|1000\n40.0|40|999\n40|40|1000\nx|40|1000\n40.0|40|Unknown\n")
		if len(bad.Bad) != 5 || !bad.Bad[0].Orphan || !bad.Bad[1].Orphan || bad.Bad[2].Orphan {
			t.Errorf("%+v", bad)
		}
		if got := l.stored(); len(got) != 0 {
			t.Errorf("stored %q", got)
		}
		l.link(l.user("alice"), uid, "alice")
		if res := l.sample(some, noon, liveText("00:02:30")); res.Rows != 1 {
			t.Errorf("of a linked user: %+v", res)
		}
		l.svc.Intake(jobs.Intake{NoStrangers: true})
		l.exec("DELETE FROM links")
		if res := l.sample(l.who, noon, liveText("00:02:30")); res.Strangers != 1 {
			t.Errorf("a stranger's, where the site takes none: %+v", res)
		}
	})
}

func TestSamplesGoWhereTheirRunGoes(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *gormstore.Store) {
		l := newLab(t, s)
		l.ingest(records(t, liveRunning))
		l.sample(l.who, noon, liveText("00:02:30"))
		running := report(0, "RUNNING", "RUNNING")
		l.events(l.who, running) // its tag gives the job another id
		if got := l.stored(); len(got) != 1 || !strings.HasPrefix(got[0], jobkey.Tagged(sub, "").String()+" #0 batch ") {
			t.Fatalf("stored %q", got)
		}
		// An earlier incarnation comes late.
		l.ingest(records(t, liveHead+"40|40|sim|1002|alice|NODE_FAIL|500|502|1000|n1|0:0|498|2|1|cpu=2,mem=4G,node=1||\n"))
		if got := l.stored(); len(got) != 1 || !strings.Contains(got[0], " #1 batch ") {
			t.Errorf("stored %q\n%s", got, l.picture())
		}
		l.expectUsed("behind another run", jobkey.Tagged(sub, ""), 150, efficiency.SourceSstat, true)
	})
}

func TestSamplesOfPeopleWhoObjectGoWithTheirNames(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *gormstore.Store) {
		l := newLab(t, s)
		l.ingest(records(t, liveRunning))
		l.sample(l.who, noon, liveText("00:02:30"))
		if err := l.g.Object(t.Context(), l.cluster.ID, 1002, noon); err != nil {
			t.Fatal(err)
		}
		if _, err := jobs.Hide(t.Context(), l.g, noon); err != nil {
			t.Fatal(err)
		}
		if got := l.stored(); len(got) != 0 {
			t.Errorf("stored %q", got)
		}
	})
}
