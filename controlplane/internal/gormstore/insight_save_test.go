package gormstore_test

import (
	"context"
	"io"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore/storetest"
	"github.com/ergon-hpc/ergon/controlplane/internal/insight"
	"github.com/ergon-hpc/ergon/controlplane/internal/storage"
)

// profiledJob is the accounting of the job whose step 20.0 wrote the profile 20_0_n1.h5.
const profiledJob = "JobID|State|Submit|Start|End|ElapsedRaw|AllocCPUS|NNodes|NodeList|TotalCPU|AllocTRES\n" +
	"20|COMPLETED|1795421970|1795421973|1795421988|15|4|1|n1|00:00:15|cpu=4,mem=8G,node=1\n" +
	"20.0|COMPLETED|1795421973|1795421973|1795421988|15|4|1|n1|00:00:15|cpu=4,mem=8G,node=1\n"

const profileFile = "../../../shared/hdf5/testdata/20_0_n1.h5"

// onDisk serves the profile for every key.
type onDisk struct{}

func (onDisk) Open(context.Context, string) (io.ReadCloser, error) { return os.Open(profileFile) }

// owned is a job of a user's, with a profile in the catalogue.
type owned struct {
	*lab
	user string
	job  uuid.UUID
	work *insight.Service
}

func newOwned(t *testing.T, s *gormstore.Store) owned {
	t.Helper()
	o := owned{lab: newLab(t, s), user: newUser(t, s)}
	o.work = insight.New(gormstore.NewInsight(s), onDisk{}, time.Now, slog.New(slog.DiscardHandler), insight.Config{})
	o.ingest(records(t, profiledJob))
	info, err := os.Stat(profileFile)
	if err != nil {
		t.Fatal(err)
	}
	o.job = o.all()[0].Job.ID
	o.exec("UPDATE jobs SET user_id = '" + o.user + "', name = 'secret name'")
	u := *reserve(t, s, o.user, storage.Limit{Bytes: 1 << 30, Objects: 2}, draft(o.user, nil, "20_0_n1.h5", info.Size(), 0))[0].Upload
	if _, err := s.Storage().SettleAs(t.Context(), objectOf(u)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Storage().Attach(t.Context(), u.ID, storage.JobRef{ID: o.job, Attempt: 1}, storage.ClassProfile, epoch); err != nil {
		t.Fatal(err)
	}
	return o
}

func (o owned) exec(query string) {
	o.t.Helper()
	if _, err := o.s.SQL().ExecContext(o.t.Context(), query); err != nil {
		o.t.Fatal(err)
	}
}

func (o owned) count(of string) (n int) {
	o.t.Helper()
	if err := o.s.SQL().QueryRowContext(o.t.Context(), "SELECT COUNT(*) FROM "+of).Scan(&n); err != nil {
		o.t.Fatal(err)
	}
	return n
}

func (o owned) analyse() {
	o.t.Helper()
	if err := o.work.Analyse(o.t.Context(), o.job); err != nil {
		o.t.Fatal(err)
	}
}

func TestAnUpgradeKeepsWhatGoneProfilesTold(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *gormstore.Store) {
		o := newOwned(t, s)
		o.analyse()
		const whole = "reports WHERE report LIKE '%hdf5_profile%' AND series <> '{}' AND memory_used_byte_s > 0"
		if o.count(whole) != 1 {
			t.Fatal("the profile was not used")
		}
		o.exec("DELETE FROM objects")
		o.exec("UPDATE reports SET revision = 1, inputs_digest = 'old'")
		if n, err := o.work.Refresh(t.Context()); err != nil || n != 1 {
			t.Fatalf("%d are made again, %v", n, err)
		}
		o.analyse()
		if o.count(whole) != 1 || o.count("job_ledgers WHERE resource = 'byte_s' AND unmeasured = 0") != 1 {
			t.Error("the numbers of the profile are lost")
		}
		if n, err := o.work.Refresh(t.Context()); err != nil || n != 0 || o.count("jobs WHERE analysis_due") != 0 {
			t.Errorf("%d are left, %v", n, err)
		}
	})
}

// What a cluster has used stays when a person is deleted: the ledgers of the jobs, of which no row is left to make them again.
func TestAnalysingJobsOfADeletedPersonLosesNoSums(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *gormstore.Store) {
		o := newOwned(t, s)
		o.analyse()
		ledgers := o.count("job_ledgers")
		if _, err := s.Erasures(storage.Limit{}).DetachJobs(t.Context(), o.user, 10); err != nil || ledgers == 0 {
			t.Fatal(ledgers, err)
		}
		o.analyse() // a queued one
		if n, err := gormstore.NewInsight(s).MarkAllDue(t.Context(), "", time.Now()); err != nil || n != 1 {
			t.Fatalf("%d are due, %v", n, err)
		}
		if w, err := o.work.AnalyseDue(t.Context(), func(int) {}); err != nil || w.Failed+w.Left > 0 {
			t.Fatalf("%+v, %v", w, err)
		}
		if now := o.count("job_ledgers"); now != ledgers || o.count("reports") != 0 || o.count("jobs WHERE analysis_due") != 0 {
			t.Errorf("%d ledgers of %d, %d reports, %d due", now, ledgers, o.count("reports"), o.count("jobs WHERE analysis_due"))
		}
	})
}

// deletes takes the person out of the jobs while a profile is read: behind the job's material, before its report is stored.
type deletes struct {
	onDisk
	s    *gormstore.Store
	user string
}

func (d deletes) Open(ctx context.Context, key string) (io.ReadCloser, error) {
	if _, err := d.s.Erasures(storage.Limit{}).DetachJobs(ctx, d.user, 10); err != nil {
		return nil, err
	}
	return d.onDisk.Open(ctx, key)
}

func TestAnAnalysisUnderWayDoesNotBringADeletedPersonBack(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *gormstore.Store) {
		o := newOwned(t, s)
		o.work = insight.New(gormstore.NewInsight(s), deletes{s: s, user: o.user}, time.Now, slog.New(slog.DiscardHandler), insight.Config{})
		o.analyse()
		if o.count("reports") != 0 || o.count("jobs WHERE user_id IS NOT NULL OR name <> ''") != 0 {
			t.Error("a report of the person is stored")
		}
	})
}

// A server without an object store can analyse no job with profiles: such jobs are in the way of no other.
func TestAServerWithoutStorageLeavesJobsWithProfiles(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *gormstore.Store) {
		o := newOwned(t, s)
		o.ingest(records(t, threeJobs))
		if w, err := o.work.AnalyseDue(t.Context(), func(int) {}); err != nil || w.Analysed != 4 {
			t.Fatalf("%+v, %v", w, err)
		}
		o.exec("UPDATE reports SET revision = 1")
		o.exec("UPDATE jobs SET analysis_due = (1 = 1) WHERE user_id IS NOT NULL") // as a server with storage left it
		store := gormstore.NewInsight(s)
		without, with := insight.Stale{Revision: insight.Revision, Limit: 1}, insight.Stale{Revision: insight.Revision, Limit: 9, Profiles: true}
		if n, err := store.MarkStale(t.Context(), without, time.Now()); err != nil || n != 1 {
			t.Errorf("%d of one became due, %v", n, err)
		}
		o.exec("UPDATE jobs SET analysis_due = (1 = 0)")
		without.Limit = 9
		if n, err := store.MarkStale(t.Context(), without, time.Now()); err != nil || n != 3 {
			t.Errorf("%d of three became due, %v", n, err)
		}
		if n, err := store.MarkStale(t.Context(), with, time.Now()); err != nil || n != 1 {
			t.Errorf("with a store %d of one became due, %v", n, err)
		}
	})
}
