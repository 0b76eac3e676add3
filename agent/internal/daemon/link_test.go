package daemon

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/agent/internal/config"
	"github.com/ergon-hpc/ergon/agent/internal/journal"
	"github.com/ergon-hpc/ergon/agent/internal/outputs"
	"github.com/ergon-hpc/ergon/shared/api"
)

// nobody does no file work; that it is there means that the node collects.
type nobody struct{ outputs.Worker }

var errKilled = errors.New("killed")

// linker is an agent of a node that knows that nobody is linked, with one job of uid 7 whose outputs were left alone.
func linker(t *testing.T, crash journal.Crash) (*Daemon, journal.JobKey) {
	t.Helper()
	on := true
	d := &Daemon{opt: Options{System: true, Now: time.Now, Log: slog.New(slog.DiscardHandler), Worker: nobody{}, Config: config.Config{}}}
	d.opt.Config.Uploads.Enabled = &on
	var err error
	d.journal, err = journal.Open(t.Context(), journal.Options{
		Dir: filepath.Join(t.TempDir(), "state"), Now: time.Now, Log: d.opt.Log, ReserveBytes: -1, Crash: crash,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.journal.Close() })
	d.settled = &map[uint32]api.Link{}
	key := journal.JobKey{JobID: uuid.New()}
	for _, to := range []journal.JobState{journal.JobSettling, journal.JobEnded, journal.JobKept} {
		_, err := d.journal.PutJob(t.Context(), journal.Change{Key: key, To: to, Apply: func(j *journal.Job) { j.UID, j.Detail.StartAt = 7, time.Now() }})
		if err != nil {
			t.Fatal(err)
		}
	}
	return d, key
}

func (d *Daemon) check(t *testing.T, key journal.JobKey, state journal.JobState, stored string) {
	t.Helper()
	job, err := d.journal.Job(t.Context(), key)
	if err != nil || job.State != state {
		t.Errorf("the job is %s, want %s (%v)", job.State, state, err)
	}
	if text, err := d.journal.Meta(t.Context(), metaLinks); err != nil || text != stored {
		t.Errorf("stored links %q, want %q (%v)", text, stored, err)
	}
}

func TestAKillBetweenANewLinkAndItsActLosesNothing(t *testing.T) {
	t.Parallel()
	killing := true
	d, key := linker(t, func(point string) {
		if killing && point == "job.COLLECTING.before" {
			panic(errKilled)
		}
	})
	linked := &map[uint32]api.Link{7: {Uid: 7}}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the job was never taken up")
			}
		}()
		_ = d.takeLinks(t.Context(), linked, "new")
	}()
	d.check(t, key, journal.JobKept, "")
	killing = false
	if err := d.takeLinks(t.Context(), linked, "new"); err != nil {
		t.Fatal(err)
	}
	d.check(t, key, journal.JobCollecting, "new")
}

func TestAFailureBetweenANewLinkAndItsActIsMadeUpFor(t *testing.T) {
	t.Parallel()
	d, key := linker(t, nil)
	linked := &map[uint32]api.Link{7: {Uid: 7}}
	dead, cancel := context.WithCancel(t.Context())
	cancel()
	if d.takeLinks(dead, linked, "new") == nil {
		t.Fatal("want an error")
	}
	d.check(t, key, journal.JobKept, "")
	if err := d.takeLinks(t.Context(), linked, "new"); err != nil {
		t.Fatal(err)
	}
	d.check(t, key, journal.JobCollecting, "new")
}
