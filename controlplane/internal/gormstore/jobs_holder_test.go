package gormstore_test

import (
	"slices"
	"testing"
	"time"

	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore/storetest"
	"github.com/ergon-hpc/ergon/controlplane/internal/jobs"
)

// agentOf enrols an agent that was heard of at seen.
func (l *lab) agentOf(id string, seen time.Time) jobs.Reporter {
	l.t.Helper()
	execute(l.t, l.s, `INSERT INTO agents (id, cluster_id, kind, name, public_key, scopes, last_seen_at, created_at) VALUES (?, ?, 'system', ?, ?, '', ?, ?)`,
		id, l.cluster.ID, id, id, gormstore.At(seen), gormstore.At(noon))
	return jobs.Reporter{AgentID: id, ClusterID: l.cluster.ID, Everyone: true}
}

// statuses sends one event and gives the word that came back.
func (l *lab) status(who jobs.Reporter, seq int64, told bool) jobs.Status {
	l.t.Helper()
	r := report(seq, "RUNNING", "RUNNING")
	r.Told = told
	return l.events(who, r)[0].Status
}

func TestOfTwoAgentsOneReportsAJob(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *gormstore.Store) {
		l := newLab(t, s)
		first, second := l.agentOf("one", noon), l.agentOf("two", noon)
		got := []jobs.Status{
			l.status(first, 0, false), l.status(second, 1, false), l.status(first, 2, false), // found by the tag, by both
			l.status(second, 3, true), l.status(first, 4, false), l.status(first, 5, true), // the wrapper spoke to the second
			l.status(second, 3, true), // what was taken before is a duplicate, whoever holds the job
		}
		want := []jobs.Status{jobs.Accepted, jobs.Held, jobs.Accepted, jobs.Accepted, jobs.Held, jobs.Held, jobs.Duplicate}
		if !slices.Equal(got, want) {
			t.Fatalf("got %v, want %v", got, want)
		}
		events, err := l.g.EventsOf(t.Context(), l.all()[0].Job.ID, jobs.EventCursor{}, 10)
		if err != nil || len(events) != 3 || events[0].AgentID != "one" || events[2].AgentID != "two" {
			t.Fatalf("stored %+v, %v", events, err)
		}
	})
}

func TestAnAgentThatIsSilentOrRevokedLosesItsJobs(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *gormstore.Store) {
		l := newLab(t, s)
		silent, other := l.agentOf("silent", noon), l.agentOf("other", noon)
		if got := l.status(silent, 0, true); got != jobs.Accepted {
			t.Fatal(got)
		}
		heard := func(ago time.Duration) {
			execute(t, s, "UPDATE agents SET last_seen_at = ? WHERE id = 'silent'", gormstore.At(noon.Add(-ago)))
		}
		heard(jobs.HolderPatience)
		if got := l.status(other, 1, false); got != jobs.Held {
			t.Errorf("at the bound: %s", got)
		}
		heard(jobs.HolderPatience + time.Second)
		if got := l.status(other, 2, false); got != jobs.Accepted {
			t.Errorf("behind the bound: %s", got)
		}
		heard(0)
		if got := l.status(silent, 3, false); got != jobs.Held {
			t.Errorf("back from the dead, without the wrapper's word: %s", got)
		}
		if got := l.status(silent, 4, true); got != jobs.Accepted {
			t.Errorf("back from the dead, with the wrapper's word: %s", got)
		}
		execute(t, s, "UPDATE agents SET revoked_at = ? WHERE id = 'silent'", gormstore.At(noon))
		if got := l.status(other, 5, false); got != jobs.Accepted {
			t.Errorf("after the revocation: %s", got)
		}
	})
}
