package gormstore_test

import (
	"fmt"
	"io/fs"
	"testing"

	"github.com/pressly/goose/v3"

	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore/storetest"
	"github.com/ergon-hpc/ergon/controlplane/internal/jobs"
	"github.com/ergon-hpc/ergon/migrations"
)

// movedJob was requeued after an hour and moved: its second run has another partition, QOS and account. The other never moved.
const movedJob = "JobID|JobIDRaw|JobName|User|UID|Account|Partition|QOS|Submit|Start|End|ElapsedRaw|State|ExitCode|AllocCPUS|NNodes|NodeList\n" +
	"1|1|x|alice|1001|phys|short|low|1000|1000|4600|3600|NODE_FAIL|1:0|2|1|n1\n" +
	"1|1|x|alice|1001|chem|long|high|4600|4700|11900|7200|COMPLETED|0:0|2|1|n1\n" +
	"2|2|y|alice|1001|phys|short|low|1000|1000|4600|3600|COMPLETED|0:0|2|1|n1\n"

func whereRunsCount(t *testing.T, s *gormstore.Store, table string) string {
	t.Helper()
	column := "account || ' ' || partition_name"
	if table == "attempts" {
		column += " || ' ' || qos"
	}
	rows, err := s.SQL().QueryContext(t.Context(), "SELECT "+column+" FROM "+table+" ORDER BY job_id IN (SELECT id FROM jobs WHERE slurm_job_id = '2'), attempt")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var all []string
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			t.Fatal(err)
		}
		all = append(all, text)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%q", all)
}

// What was stored before runs had these columns is filled from each run's own row of accounting.
func TestARequeuedRunCountsWhereItRanAlsoAfterAnUpgrade(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *gormstore.Store) {
		newLab(t, s).ingest(records(t, movedJob))
		check := func(when string) {
			t.Helper()
			if got := whereRunsCount(t, s, "attempts"); got != `["phys short low" "chem long high" "phys short low"]` {
				t.Errorf("%s: %s", when, got)
			}
			if got := whereRunsCount(t, s, "staff_attempts"); got != `["phys short" "chem long" "phys short"]` {
				t.Errorf("%s, for staff: %s", when, got)
			}
		}
		check("ingested")
		dialect, files, dir := goose.DialectSQLite3, migrations.SQLite, "sqlite"
		if s.Dialect() == gormstore.Postgres {
			dialect, files, dir = goose.DialectPostgres, migrations.Postgres, "postgres"
		}
		sub, err := fs.Sub(files, dir)
		if err != nil {
			t.Fatal(err)
		}
		p, err := goose.NewProvider(dialect, s.SQL(), sub, goose.WithDisableGlobalRegistry(true))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.DownTo(t.Context(), 13); err != nil {
			t.Fatal(err)
		}
		if got := whereRunsCount(t, s, "staff_attempts"); got != `["chem long" "chem long" "phys short"]` {
			t.Errorf("before the upgrade: %s", got)
		}
		if _, err := p.Up(t.Context()); err != nil {
			t.Fatal(err)
		}
		check("after an upgrade")
	})
}

// Older Slurm keeps the submit time over a requeue; the dump says nothing of partitions, the agent saw each run's.
func TestWhatAnAgentSawOfARunCompletesThatRun(t *testing.T) {
	const text = "JobID|JobIDRaw|JobName|User|UID|Submit|Start|End|ElapsedRaw|State|ExitCode|AllocCPUS|NNodes|NodeList|Comment\n" +
		"40|40|sim|alice|1002|1000|1000|4600|3600|NODE_FAIL|1:0|2|1|n1|\n" +
		"40|40|sim|alice|1002|1000|4700|11900|7200|COMPLETED|0:0|2|1|n1|\n"
	storetest.Each(t, func(t *testing.T, s *gormstore.Store) {
		l := newLab(t, s)
		first, second := report(0, "RUNNING", "RUNNING"), report(1, "DONE", "COMPLETED")
		first.Job.Partition, first.Job.Account, first.Job.QOS = "short", "phys", "low"
		second.Job.Partition, second.Job.Account, second.Job.QOS, second.Job.Attempt = "long", "chem", "high", 1
		for _, o := range l.events(l.who, first, second) {
			if o.Status != jobs.Accepted {
				t.Fatalf("%+v", o)
			}
		}
		l.ingest(records(t, text))
		if got := whereRunsCount(t, s, "attempts"); got != `["phys short low" "chem long high"]` {
			t.Errorf("%s", got)
		}
	})
}
