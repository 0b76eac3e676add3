package gormstore_test

import (
	"context"
	"testing"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore/storetest"
	"github.com/ergon-hpc/ergon/controlplane/internal/storage"
)

func standing(t *testing.T, s *gormstore.Store, user string, site storage.Limit) storage.Standing {
	t.Helper()
	got, err := s.Storage().Standing(t.Context(), user, site)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestTheClosestLimitHoldsAtOnceAndKeepsWhatIsUsed(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *gormstore.Store) {
		user, site, st := newUser(t, s), storage.Limit{Bytes: 1, Objects: 1}, s.Storage()
		_, cluster := newJob(t, s, user)
		link(t, s, cluster, user)
		for _, r := range []storage.Rule{
			{Scope: storage.ScopeCluster, Subject: cluster, Limit: storage.Limit{Bytes: 10, Objects: 3}},
			{Scope: storage.ScopeRole, Subject: "user", Limit: storage.Limit{Bytes: 20, Objects: 4}},
			{Scope: storage.ScopeUser, Subject: user, Limit: storage.Limit{Bytes: 30, Objects: 5}},
			{Scope: storage.ScopeUser, Subject: user, Limit: storage.Limit{Bytes: 2, Objects: 6}}, // again, and below what is reserved
		} {
			if err := st.SetRule(t.Context(), r); err != nil {
				t.Fatal(err)
			}
			if got := standing(t, s, user, site).Rule; got.Scope != r.Scope || got.Limit != r.Limit || got.Name == "" {
				t.Errorf("%+v holds, want %+v", got, r)
			}
			got, err := st.Reserve(t.Context(), user, storage.Quotas{User: site}, []storage.Draft{draft(user, nil, uuid.NewString(), r.Limit.Bytes/2, 1)})
			if fits := r.Limit.Bytes > 2; err != nil || (got[0].Refused == nil) != fits {
				t.Errorf("under %+v: %+v, %v", r, got, err)
			}
		}
		if got := standing(t, s, user, site); got.ReservedBytes != 30 || got.ReservedObjects != 3 {
			t.Errorf("reserved: %+v", got)
		}
		if rules, err := st.Rules(t.Context()); err != nil || len(rules) != 3 {
			t.Errorf("rules %+v, %v", rules, err)
		}
		for _, want := range []storage.Scope{storage.ScopeRole, storage.ScopeCluster, storage.ScopeDefault} {
			if err := st.DropRule(t.Context(), standing(t, s, user, site).Rule.Scope, standing(t, s, user, site).Rule.Subject); err != nil {
				t.Fatal(err)
			}
			if got := standing(t, s, user, site).Rule; got.Scope != want {
				t.Errorf("after taking one back %+v holds, want %s", got, want)
			}
		}
		if err := st.DropRule(t.Context(), storage.ScopeUser, user); !apperr.Is(err, apperr.NotFound) {
			t.Errorf("taking back what was not given: %v", err)
		}
	})
}

func TestOfSuspendedLinksNoClusterLimitComes(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *gormstore.Store) {
		user := newUser(t, s)
		_, cluster := newJob(t, s, user)
		link(t, s, cluster, user)
		rule := storage.Rule{Scope: storage.ScopeCluster, Subject: cluster, Limit: storage.Limit{Bytes: 10, Objects: 3}}
		if err := s.Storage().SetRule(t.Context(), rule); err != nil {
			t.Fatal(err)
		}
		execute(t, s, "UPDATE links SET suspended_at = ?", gormstore.At(epoch))
		if got := standing(t, s, user, storage.Limit{Bytes: 1}).Rule; got.Scope != storage.ScopeDefault {
			t.Errorf("%+v", got)
		}
	})
}

func TestAJobsOwnLimitRefusesAndSaysSo(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *gormstore.Store) {
		user := newUser(t, s)
		id, _ := newJob(t, s, user)
		job, st := &storage.JobRef{ID: id}, s.Storage()
		quotas := storage.Quotas{User: storage.Limit{Bytes: 100, Objects: 100}, Job: storage.Limit{Objects: 2}}
		got, err := st.Reserve(t.Context(), user, quotas, []storage.Draft{draft(user, job, "a", 1, 1), draft(user, job, "b", 1, 1), draft(user, job, "c", 1, 1)})
		if err != nil || got[0].Upload == nil || got[1].Upload == nil || got[2].Refused == nil || !got[2].ByJob || got[2].Refused.LimitObjects != 2 {
			t.Fatalf("%+v, %v", got, err)
		}
		if got, err := st.Reserve(t.Context(), user, quotas, []storage.Draft{draft(user, nil, "own", 1, 1)}); err != nil || got[0].Upload == nil {
			t.Errorf("a file of the user's own is refused by a job: %+v, %v", got, err)
		}
		readBooks(t, s, user).check(t)
		if tally, err := st.JobTally(t.Context(), id.String()); err != nil || tally != (storage.Tally{ReservedBytes: 2, ReservedObjects: 2}) {
			t.Errorf("the job's books: %+v, %v", tally, err)
		}
	})
}

func TestADisabledAccountReservesNothing(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *gormstore.Store) {
		user := newUser(t, s)
		execute(t, s, "UPDATE users SET disabled_at = ?", gormstore.At(epoch))
		_, err := s.Storage().Reserve(context.Background(), user, storage.Quotas{User: storage.Limit{Bytes: 9, Objects: 9}}, []storage.Draft{draft(user, nil, "x", 1, 1)})
		if !apperr.Is(err, apperr.Forbidden) {
			t.Errorf("got %v", err)
		}
	})
}
