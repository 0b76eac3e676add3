package gormstore_test

import (
	"fmt"
	"log/slog"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore/storetest"
	"github.com/ergon-hpc/ergon/controlplane/internal/insight"
	"github.com/ergon-hpc/ergon/controlplane/internal/jobs"
	"github.com/ergon-hpc/ergon/controlplane/internal/jobs/dump"
	"github.com/ergon-hpc/ergon/shared/efficiency"
)

func TestNeighboursAreTheJobsOfTheSameTimeWhereAllAreTold(t *testing.T) {
	const text = "JobID|State|Submit|Start|End|NodeList\n1|COMPLETED|1000|1000|2000|n1\n2|COMPLETED|1000|1500|9000|n1\n" +
		"3|COMPLETED|1000|2000|3000|n1\n4|COMPLETED|10|10|1000|n1\n5|RUNNING|1000|1900|Unknown|n[1-2]\n6|RUNNING|3000|3000|Unknown|n1\n7|CANCELLED|1000|Unknown|1200|None assigned\n" +
		"8|NODE_FAIL|1000|1100|1200|n1\n8|COMPLETED|1200|5000|6000|n2\n9|COMPLETED|1900|5000|6000|n1\n"
	storetest.Each(t, func(t *testing.T, s *gormstore.Store) {
		g := gormstore.NewJobs(s)
		im := dump.New(jobs.New(g, g, time.Now, nil), g, dump.Options{Cluster: "c", Reject: func(r dump.Rejected) error { return fmt.Errorf("%+v", r) }})
		if err := im.File(t.Context(), "f", strings.NewReader(text)); err != nil {
			t.Fatal(err)
		}
		list, err := g.ListJobs(t.Context(), jobs.Filter{}, jobs.Page{Limit: 10})
		if err != nil {
			t.Fatal(err)
		}
		names, first := map[uuid.UUID]string{}, uuid.Nil
		for _, j := range list {
			if names[j.ID] = j.SlurmJobID; j.SlurmJobID == "1" {
				first = j.ID
			}
		}
		ask := func() (string, bool) {
			near, known, err := gormstore.NewInsight(s).Neighbours(t.Context(), first, time.Unix(1000, 0), time.Unix(2000, 0))
			if err != nil {
				t.Fatal(err)
			}
			found := map[string]bool{}
			for _, n := range near {
				found[names[n.ID]] = true
			}
			return fmt.Sprint(found), known
		}
		if found, known := ask(); !known || found != "map[2:true 5:true 8:true]" {
			t.Errorf("%s, known %v", found, known)
		}
		now := map[gormstore.Dialect]string{gormstore.SQLite: "1", gormstore.Postgres: "now()"}[s.Dialect()]
		agent := func(id, scopes string) {
			_, err := s.SQL().ExecContext(t.Context(), fmt.Sprintf("INSERT INTO agents (id, cluster_id, kind, name, public_key, scopes, created_at) VALUES ('%s', '%s', 'system', 'a', '%s', '%s', %s)", id, list[0].ClusterID, id, scopes, now))
			if err != nil {
				t.Fatal(err)
			}
		}
		agent("a1", "jobs:linked")
		if _, known := ask(); known {
			t.Error("an agent that reports linked users only: others may have used the node")
		}
		agent("a2", "jobs:linked accounting:cluster")
		if _, known := ask(); !known {
			t.Error("an agent reports the accounting of all")
		}
	})
}

// Both jobs had four of eight CPUs for ten seconds and used 30 CPU seconds, while their node took 1000 J.
func TestJobsOfOneImportThatSharedANodeShareItsEnergy(t *testing.T) {
	const text = "JobID|State|Submit|Start|End|ElapsedRaw|AllocCPUS|NNodes|NodeList|TotalCPU|AllocTRES|ConsumedEnergyRaw\n" +
		"1|COMPLETED|1000|1000|1010|10|4|1|n1|00:00:30|cpu=4,mem=8G,node=1|1000\n1.0|COMPLETED|1000|1000|1010|10|4|1|n1|00:00:30|cpu=4,mem=8G,node=1|1000\n" +
		"2|COMPLETED|1000|1000|1010|10|4|1|n1|00:00:30|cpu=4,mem=8G,node=1|1000\n2.0|COMPLETED|1000|1000|1010|10|4|1|n1|00:00:30|cpu=4,mem=8G,node=1|1000\n"
	site := &efficiency.Cluster{DefaultType: "t", NodeTypes: map[string]efficiency.NodeType{"t": {Cores: 8, ThreadsPerCore: 1, IdleWatt: 50}}}
	storetest.Each(t, func(t *testing.T, s *gormstore.Store) {
		g, store := gormstore.NewJobs(s), gormstore.NewInsight(s)
		im := dump.New(jobs.New(g, g, time.Now, nil), g, dump.Options{Cluster: "c", Reject: func(r dump.Rejected) error { return fmt.Errorf("%+v", r) }})
		if err := im.File(t.Context(), "f", strings.NewReader(text)); err != nil {
			t.Fatal(err)
		}
		if _, err := store.MarkAllDue(t.Context(), "", time.Now()); err != nil {
			t.Fatal(err)
		}
		work := insight.New(store, nil, time.Now, slog.New(slog.DiscardHandler), insight.Config{Sites: insight.Sites{"c": site}})
		if w, err := work.AnalyseDue(t.Context(), func(int) {}); err != nil || w.Failed > 0 {
			t.Fatalf("%+v, %v", w, err)
		}
		var reports, open int
		var joules float64
		err := s.SQL().QueryRowContext(t.Context(), "SELECT COUNT(*), SUM(CASE WHEN energy_open THEN 1 ELSE 0 END), SUM(energy_j) FROM reports").Scan(&reports, &open, &joules)
		if err != nil || reports != 2 || open != 0 || math.Abs(joules-1000) > 1e-6 {
			t.Errorf("%d reports, %d open, %v J together, %v", reports, open, joules, err)
		}
	})
}
