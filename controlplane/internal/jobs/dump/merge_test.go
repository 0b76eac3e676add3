package dump_test

import (
	"context"
	"strings"
	"testing"

	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore/storetest"
	"github.com/ergon-hpc/ergon/controlplane/internal/jobs/dump"
)

// stored imports dumps one after the other and gives the stored columns of a row, by step.
func stored(t *testing.T, s *gormstore.Store, dumps ...string) map[string]string {
	t.Helper()
	for _, text := range dumps {
		im, _ := importer(t, s, dump.Options{Cluster: "c", Reject: func(r dump.Rejected) error { t.Errorf("%+v", r); return nil }})
		if err := im.File(context.Background(), "f", strings.NewReader(text)); err != nil {
			t.Fatal(err)
		}
	}
	rows, err := s.SQL().QueryContext(context.Background(), "SELECT step, fields FROM accounting_rows")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	out := map[string]string{}
	for rows.Next() {
		var step, fields string
		if err := rows.Scan(&step, &fields); err != nil {
			t.Fatal(err)
		}
		out[step] = fields
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestAnotherDumpOfTheSameJobsAddsItsColumns(t *testing.T) {
	const first = "JobID|State|Submit|Start|End|ElapsedRaw|AllocCPUS|NNodes|NodeList\n1|COMPLETED|1704067200|1704067200|1704067300|100|4|1|n1\n1.0|COMPLETED||1704067200|1704067300|100|4|1|n1\n"
	const more = "JobID|State|Submit|Start|End|ElapsedRaw|AllocCPUS|NNodes|NodeList|TotalCPU\n1|COMPLETED|1704067200|1704067200|1704067300|100|4|1|n1|\n1.0|COMPLETED||1704067200|1704067300|100|4|1|n1|00:05:00\n"
	const fewer = "JobID|State|Submit|Start|End|Account\n1|COMPLETED|1704067200|1704067200|1704067300|phys\n1.0|COMPLETED||1704067200|1704067300|phys\n"
	storetest.Each(t, func(t *testing.T, s *gormstore.Store) {
		got := stored(t, s, first, more)
		if !strings.Contains(got["0"], "00:05:00") {
			t.Errorf("a dump with one more column: %v", got)
		}
		got = stored(t, s, fewer)
		for step, want := range map[string][]string{"": {"phys", "n1"}, "0": {"phys", "n1", "00:05:00"}} {
			for _, w := range want {
				if !strings.Contains(got[step], w) {
					t.Errorf("a dump with another column and fewer of the known: step %q lacks %s: %s", step, w, got[step])
				}
			}
		}
		again := stored(t, s, first, fewer, more, fewer)
		for step := range got {
			if again[step] != got[step] {
				t.Errorf("the same dumps again changed step %q: %s, was %s", step, again[step], got[step])
			}
		}
	})
}

func TestARowThatWasNotOverIsReplacedAsAWhole(t *testing.T) {
	const runs = "JobID|State|Submit|Start|End|ElapsedRaw|Reason\n1|RUNNING|1704067200|1704067200|Unknown|50|early\n"
	const over = "JobID|State|Submit|Start|End|ElapsedRaw\n1|COMPLETED|1704067200|1704067200|1704067300|100\n"
	s := storetest.SQLite(t)
	got := stored(t, s, runs, over, runs)
	if !strings.Contains(got[""], "COMPLETED") || strings.Contains(got[""], "early") {
		t.Errorf("%v", got)
	}
}
