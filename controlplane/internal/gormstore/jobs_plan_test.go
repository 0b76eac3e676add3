package gormstore_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore/storetest"
)

// PostgreSQL gives a prepared statement one plan for good after five times. One of the time when the table was empty looks
// through all of it for each of a batch's thousands of numbers.
func TestLargeBatchesKeepNoPlanOfAnEmptyTable(t *testing.T) {
	const batches, each = 8, 600
	s := storetest.Postgres(t)
	s.SQL().SetMaxOpenConns(1) // statements are of a connection
	l := newLab(t, s)
	l.who.Everyone = false // nothing is taken of people without a link: the table stays empty, and its plan is as cheap as they come
	for b := range batches {
		var text strings.Builder
		text.WriteString("JobID|State|Submit|Start|End|ElapsedRaw|AllocCPUS|NNodes|NodeList\n")
		for n := range each {
			fmt.Fprintf(&text, "%d|COMPLETED|1000|1000|1100|100|4|1|n1\n", 1+b*each+n)
		}
		if res := l.ingest(records(t, text.String())); res.Refused != each {
			t.Fatalf("%+v", res)
		}
	}
	var generic, custom int
	err := s.SQL().QueryRowContext(t.Context(), "SELECT SUM(generic_plans), SUM(custom_plans) FROM pg_prepared_statements WHERE statement LIKE $1",
		`%FROM "jobs"%job_id_raw IN ($%`).Scan(&generic, &custom)
	if err != nil || generic != 0 || custom < batches {
		t.Errorf("%d runs of a kept plan, %d of a plan made for the batch, %v", generic, custom, err)
	}
}
