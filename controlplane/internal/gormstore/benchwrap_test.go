package gormstore_test

import (
	"maps"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
	"github.com/ergon-hpc/ergon/controlplane/internal/benchwrap"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore/storetest"
	"github.com/ergon-hpc/ergon/controlplane/internal/storage"
)

func TestAnUploadIsBookedAsWhatCame(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *gormstore.Store) {
		user := newUser(t, s)
		d := draft(user, nil, "7_batch_n1.h5", 1000, 0)
		d.Upload.SHA256, d.Upload.Plan, d.Upload.StoreChecksum = storage.Digest{}, storage.Plan{}, ""
		u := *reserve(t, s, user, storage.Limit{Bytes: 1500, Objects: 2}, d)[0].Upload
		o := objectOf(u)
		o.SizeBytes, o.SHA256[0] = 30, 1
		for range 2 { // the second time gives the object again
			got, err := s.Storage().SettleAs(t.Context(), o)
			if err != nil || got.ID != u.ID || got.SizeBytes != 30 || got.SHA256 != o.SHA256 {
				t.Fatalf("%+v, %v", got, err)
			}
		}
		b := readBooks(t, s, user)
		b.check(t)
		if b.UsedBytes != 30 || b.UsedObjects != 1 || b.ReservedBytes != 0 || b.ReservedObjects != 0 {
			t.Errorf("%+v", b)
		}
		if off, jobs, err := s.Storage().Recount(t.Context(), user); err != nil || off != (storage.Tally{}) || jobs != 0 {
			t.Errorf("a recount finds %+v in %d jobs, %v", off, jobs, err)
		}
	})
}

func TestAnUploadThatWasGivenUpIsNotBooked(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *gormstore.Store) {
		user := newUser(t, s)
		u := *reserve(t, s, user, storage.Limit{Bytes: 1500, Objects: 2}, draft(user, nil, "x", 1000, 0))[0].Upload
		if _, err := s.Storage().Release(t.Context(), u.ID, storage.Expired, epoch); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Storage().SettleAs(t.Context(), objectOf(u)); !apperr.Is(err, apperr.UploadExpired) {
			t.Errorf("got %v", err)
		}
		readBooks(t, s, user).check(t)
	})
}

func TestAnAttachedProfileIsTheJobsAndMakesItsAnalysisDue(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *gormstore.Store) {
		user := newUser(t, s)
		job, _ := newJob(t, s, user)
		u := *reserve(t, s, user, storage.Limit{Bytes: 1500, Objects: 2}, draft(user, nil, "1_batch_n1.h5", 50, 0))[0].Upload
		if _, err := s.Storage().SettleAs(t.Context(), objectOf(u)); err != nil {
			t.Fatal(err)
		}
		ref := storage.JobRef{ID: job, Attempt: 2}
		for range 2 { // repeated, it charges once
			o, err := s.Storage().Attach(t.Context(), u.ID, ref, storage.ClassProfile, epoch)
			if err != nil || o.Job == nil || *o.Job != ref || o.Class != storage.ClassProfile {
				t.Fatalf("%+v, %v", o, err)
			}
		}
		if off, jobs, err := s.Storage().Recount(t.Context(), user); err != nil || off != (storage.Tally{}) || jobs != 0 {
			t.Errorf("a recount finds %+v in %d jobs, %v", off, jobs, err)
		}
		m, err := gormstore.NewInsight(s).Material(t.Context(), job)
		if err != nil || !m.Due || len(m.Profiles) != 1 || m.Profiles[0].Name != "1_batch_n1.h5" {
			t.Errorf("%+v, %v", m, err)
		}
		if _, err := s.Storage().Attach(t.Context(), uuid.New(), ref, storage.ClassProfile, epoch); !apperr.Is(err, apperr.NotFound) {
			t.Errorf("of a file that is gone: %v", err)
		}
	})
}

func TestUploadsOfBenchwrapAreRemembered(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *gormstore.Store) {
		g, alice, bob := s.Benchwrap(), newUser(t, s), newUser(t, s)
		note := func(user, name, benchmark string, at time.Time) uuid.UUID {
			u := *reserve(t, s, user, storage.Limit{Bytes: 1500, Objects: 9}, draft(user, nil, name, 5, 0))[0].Upload
			row := benchwrap.Upload{ID: u.ID, UserID: user, ObjectName: name, Benchmark: benchmark, SlurmJobID: "7", State: benchwrap.Issued, CheckedAt: at, CreatedAt: at}
			for range 2 {
				if err := g.Note(t.Context(), row); err != nil {
					t.Fatal(err)
				}
			}
			return u.ID
		}
		late, early, other := note(alice, "a", "stream", epoch.Add(time.Minute)), note(alice, "b", "", epoch), note(bob, "c", "io500", epoch.Add(time.Second))
		open := func(state benchwrap.State, user string, before time.Time, want ...uuid.UUID) {
			t.Helper()
			got, err := g.Open(t.Context(), state, user, before, 10)
			if err != nil || len(got) != len(want) {
				t.Fatalf("%d uploads, want %d, %v", len(got), len(want), err)
			}
			for i, u := range got {
				if u.ID != want[i] || u.SlurmJobID != "7" {
					t.Errorf("upload %d is %+v", i, u)
				}
			}
		}
		open(benchwrap.Issued, "", epoch.Add(time.Hour), early, other, late)
		open(benchwrap.Issued, alice, epoch, early)
		if err := g.Mark(t.Context(), early, benchwrap.Waiting, epoch.Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		open(benchwrap.Issued, alice, epoch.Add(time.Hour), late)
		open(benchwrap.Waiting, "", epoch.Add(time.Hour), early)
		names, err := g.Benchmarks(t.Context(), []uuid.UUID{late, early, other, uuid.New()})
		if err != nil || !maps.Equal(names, map[uuid.UUID]string{late: "stream", other: "io500"}) {
			t.Errorf("%v, %v", names, err)
		}
	})
}

func TestOnlyOnesOwnJobTakesAProfile(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *gormstore.Store) {
		g, alice, bob := s.Benchwrap(), newUser(t, s), newUser(t, s)
		if _, err := g.OwnJob(t.Context(), alice, "1"); !apperr.Is(err, apperr.NotFound) {
			t.Fatalf("without jobs: %v", err)
		}
		newJob(t, s, bob)
		newJob(t, s, "")
		if _, err := g.OwnJob(t.Context(), alice, "1"); !apperr.Is(err, apperr.NotFound) {
			t.Fatalf("another user's job: %v", err)
		}
		first, cluster := newJob(t, s, alice)
		if j, err := g.OwnJob(t.Context(), alice, "1"); err != nil || j.ID != first {
			t.Fatalf("%+v, %v", j, err)
		}
		younger, _ := newJob(t, s, alice)
		if _, err := g.OwnJob(t.Context(), alice, "1"); !apperr.Is(err, apperr.Conflict) {
			t.Fatalf("jobs of two clusters: %v", err)
		}
		execute(t, s, "UPDATE jobs SET cluster_id = ?, submit_at = ?, attempt = 3 WHERE id = ?", cluster, gormstore.At(epoch.Add(time.Hour)), younger.String())
		if j, err := g.OwnJob(t.Context(), alice, "1"); err != nil || j.ID != younger || j.Attempt != 3 {
			t.Fatalf("a number that was used again: %+v, %v", j, err)
		}
	})
}
