package gormstore_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore/storetest"
	"github.com/ergon-hpc/ergon/controlplane/internal/storage"
)

func TestARecountFindsWhatIsOffAndLetsTheRowsWin(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *gormstore.Store) {
		user, st := newUser(t, s), s.Storage()
		id, _ := newJob(t, s, user)
		job, limit := &storage.JobRef{ID: id}, storage.Limit{Bytes: 1000, Objects: 100}
		got := reserve(t, s, user, limit, draft(user, job, "a", 5, 1), draft(user, job, "b", 7, 1))
		reserve(t, s, user, limit, draft(user, nil, "own", 11, 1))
		if _, err := st.Settle(t.Context(), objectOf(*got[0].Upload), true); err != nil {
			t.Fatal(err)
		}
		execute(t, s, "UPDATE quotas SET used_bytes = used_bytes + 3, reserved_objects = 0")
		execute(t, s, "UPDATE job_quotas SET used_objects = 9")
		off, jobs, err := st.Recount(t.Context(), user)
		if err != nil || jobs != 1 || off != (storage.Tally{UsedBytes: 3, ReservedObjects: -2}) {
			t.Errorf("found %+v, %d jobs, %v", off, jobs, err)
		}
		readBooks(t, s, user).check(t)
		want := storage.Tally{UsedBytes: 5, UsedObjects: 1, ReservedBytes: 7, ReservedObjects: 1}
		if tally, err := st.JobTally(t.Context(), id.String()); err != nil || tally != want {
			t.Errorf("the job's books: %+v, %v", tally, err)
		}
		execute(t, s, "DELETE FROM job_quotas")
		if off, jobs, err := st.Recount(t.Context(), user); err != nil || jobs != 1 || off != (storage.Tally{}) {
			t.Errorf("books of a job that are missing: %+v, %d, %v", off, jobs, err)
		}
		if off, jobs, err := st.Recount(t.Context(), user); err != nil || jobs != 0 || off != (storage.Tally{}) {
			t.Errorf("the second time: %+v, %d, %v", off, jobs, err)
		}
		if ids, err := st.Accounts(t.Context(), "", 10); err != nil || len(ids) != 1 || ids[0] != user {
			t.Errorf("accounts %v, %v", ids, err)
		}
	})
}

// A recount in the middle of everything must see no drift where there is none, and make none.
func TestARecountAmongChangesMendsNothing(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *gormstore.Store) {
		user := newUser(t, s)
		id, _ := newJob(t, s, user)
		limit := storage.Limit{Bytes: 1 << 40, Objects: 1 << 20}
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for range 25 {
					d := draft(user, &storage.JobRef{ID: id}, uuid.NewString(), 3, 1)
					got, err := s.Storage().Reserve(context.Background(), user, storage.Quotas{User: limit}, []storage.Draft{d})
					if err == nil {
						_, err = s.Storage().Settle(context.Background(), objectOf(*got[0].Upload), true)
					}
					if err == nil {
						_, err = s.Storage().Remove(context.Background(), user, d.Upload.ID, epoch)
					}
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		for range 20 {
			if off, jobs, err := s.Storage().Recount(t.Context(), user); err != nil || off != (storage.Tally{}) || jobs != 0 {
				t.Errorf("recount: %+v, %d jobs, %v", off, jobs, err)
			}
		}
		wg.Wait()
		readBooks(t, s, user).check(t)
	})
}

func TestOnlyClosedUploadsWithoutAnObjectAreReopened(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *gormstore.Store) {
		user, st, limit := newUser(t, s), s.Storage(), storage.Limit{Bytes: 1000, Objects: 100}
		one := func(name string) storage.Upload {
			return *reserve(t, s, user, limit, draft(user, nil, name, 5, 1))[0].Upload
		}
		reserved, stored, deleted, aborted := one("reserved"), one("stored"), one("deleted"), one("aborted")
		for _, u := range []storage.Upload{stored, deleted} {
			if _, err := st.Settle(t.Context(), objectOf(u), true); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := st.Remove(t.Context(), user, deleted.ID, epoch); err != nil {
			t.Fatal(err)
		}
		if _, err := st.Release(t.Context(), aborted.ID, storage.Aborted, epoch); err != nil {
			t.Fatal(err)
		}
		for u, want := range map[*storage.Upload]bool{&reserved: false, &stored: false, &deleted: true, &aborted: true} {
			if err := st.CloseUpload(t.Context(), u.ID); err != nil {
				t.Fatal(err)
			}
			if got, err := st.Reopen(t.Context(), u.ID, epoch); err != nil || got != want {
				t.Errorf("%s: %v, %v", u.Name, got, err)
			}
		}
		if got, err := st.Reopen(t.Context(), aborted.ID, epoch); err != nil || got {
			t.Errorf("what is open already: %v, %v", got, err)
		}
	})
}

func TestTheCensusSeesAllUsers(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *gormstore.Store) {
		st, limit := s.Storage(), storage.Limit{Bytes: 1000, Objects: 100}
		var keys []string
		var users []string
		for range 2 {
			user := newUser(t, s)
			users = append(users, user)
			for i := range 3 {
				u := reserve(t, s, user, limit, draft(user, nil, "x", int64(i), 1))[0].Upload
				keys = append(keys, u.Key)
				if i > 0 {
					if _, err := st.Settle(t.Context(), objectOf(*u), true); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		rows, err := st.ByKeys(t.Context(), append(keys, "nobody/knows"))
		if err != nil || len(rows) != 6 {
			t.Fatalf("%d rows, %v", len(rows), err)
		}
		for _, r := range rows {
			if has := r.Object != nil; has != (r.Upload.SizeBytes > 0) || has && *r.Object != r.Upload.SizeBytes {
				t.Errorf("%+v", r)
			}
		}
		if counts, err := st.ObjectCounts(t.Context(), epoch.Add(time.Second)); err != nil || counts[users[0]] != 2 || counts[users[1]] != 2 {
			t.Errorf("counts %v, %v", counts, err)
		}
		if counts, err := st.ObjectCounts(t.Context(), epoch); err != nil || len(counts) != 0 {
			t.Errorf("counts of what came later %v, %v", counts, err)
		}
		old, err := st.Outdated(t.Context(), storage.ClassOutput, epoch.Add(time.Second), 3)
		if err != nil || len(old) != 3 {
			t.Errorf("%d outdated, %v", len(old), err)
		}
		if old, err := st.Outdated(t.Context(), storage.ClassProfile, epoch.Add(time.Second), 3); err != nil || len(old) != 0 {
			t.Errorf("%d outdated of another class, %v", len(old), err)
		}
		below, err := st.ObjectsBelow(t.Context(), users[0]+"/", "", 1)
		if err != nil || len(below) != 1 {
			t.Fatalf("%d below, %v", len(below), err)
		}
		if rest, err := st.ObjectsBelow(t.Context(), users[0]+"/", below[0].Key, 10); err != nil || len(rest) != 1 {
			t.Errorf("%d after it, %v", len(rest), err)
		}
		if open, err := st.OpenBelow(t.Context(), users[1]+"/", "", 10); err != nil || len(open) != 1 {
			t.Errorf("%d open, %v", len(open), err)
		}
	})
}
