package gormstore_test

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore/storetest"
	"github.com/ergon-hpc/ergon/controlplane/internal/jobs"
	"github.com/ergon-hpc/ergon/controlplane/internal/jobs/dump"
)

// mixed is a dump in which an incarnation between two others comes last: two jobs turn out to be one.
func mixed(n int) []string {
	const head = "JobID|JobIDRaw|State|Submit|Start|End|NodeList\n"
	parts := make([]string, 3)
	for i := range n {
		id, t := i+1, 1_700_000_000+i*1000
		for part, at := range []int{0, 200, 100} {
			parts[part] += fmt.Sprintf("%d|%d|NODE_FAIL|%d|%d|%d|n1\n", id, id, t+at, t+at, t+at+100)
		}
	}
	for i := range parts {
		parts[i] = head + parts[i]
	}
	return parts
}

func TestALoadWithoutLookupsLeavesNoRowWithoutItsJob(t *testing.T) {
	for _, name := range []string{"bulk", "plain"} {
		t.Run(name, func(t *testing.T) {
			s := storetest.SQLite(t)
			done := func(context.Context) error { return nil }
			if name == "bulk" {
				var err error
				if done, err = s.BulkLoad(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			g := gormstore.NewJobs(s)
			for _, text := range mixed(20) {
				im := dump.New(jobs.New(g, g, time.Now, nil), g, dump.Options{Cluster: "c", Reject: func(r dump.Rejected) error { return fmt.Errorf("%+v", r) }})
				if err := im.File(t.Context(), "f", bytes.NewReader([]byte(text))); err != nil {
					t.Fatal(err)
				}
			}
			if err := done(t.Context()); err != nil {
				t.Fatal(err)
			}
			rows, err := s.SQL().QueryContext(t.Context(), "PRAGMA foreign_key_check")
			if err != nil {
				t.Fatal(err)
			}
			defer rows.Close()
			if rows.Next() {
				t.Error("a row refers to a job that is gone")
			}
			var jobsLeft, attempts int
			if err := s.SQL().QueryRowContext(t.Context(), "SELECT (SELECT COUNT(*) FROM jobs), (SELECT COUNT(*) FROM attempts)").Scan(&jobsLeft, &attempts); err != nil {
				t.Fatal(err)
			}
			if jobsLeft != 20 || attempts != 60 {
				t.Errorf("%d jobs with %d attempts, want 20 with 60", jobsLeft, attempts)
			}
		})
	}
}
