package track_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/ergon-hpc/ergon/agent/internal/journal"
	"github.com/ergon-hpc/ergon/agent/internal/slurm"
	"github.com/ergon-hpc/ergon/agent/internal/slurm/slurmtest"
	"github.com/ergon-hpc/ergon/agent/internal/track"
	"github.com/ergon-hpc/ergon/shared/slurmfmt"
	"github.com/google/uuid"
)

// private is a Slurm with PrivateData: each question shows the rows of the user who is asked as, as recorded on a cluster
// with PrivateData=jobs,usage,users: the others are left out with exit code 0.
type private struct {
	*world
	deaf map[string]bool // users whose helper does not answer
}

func only(t slurm.Table, user string) slurm.Table {
	out := slurm.Table{Columns: t.Columns}
	for _, rec := range t.Rows {
		if rec.Get("User") == user {
			out.Rows = append(out.Rows, rec)
		}
	}
	return out
}

var errDeaf = errors.New("the helper hangs")

func (p *private) EachQueued(ctx context.Context, user string, row func(*slurmfmt.Record)) (slurm.Table, error) {
	t, err := p.world.EachQueued(ctx, user, func(rec *slurmfmt.Record) {
		if rec.Get("User") == user {
			row(rec)
		}
	})
	if p.deaf[user] {
		return slurm.Table{}, errDeaf
	}
	return t, err
}

func (p *private) ByID(ctx context.Context, user string, ids []string) (slurm.Table, error) {
	t, err := p.world.ByID(ctx, user, ids)
	return only(t, user), err
}

func (p *private) Window(ctx context.Context, from, to time.Time, user string) (slurm.Table, error) {
	t, err := p.world.Window(ctx, from, to, user)
	return only(t, user), err
}

// newPrivate asks by views.
func newPrivate(t *testing.T, views *[]track.View) *private {
	t.Helper()
	p := &private{world: newWorld(t), deaf: map[string]bool{}}
	p.tracker = track.New(track.Options{
		Cluster: func() string { return "lab" }, Slurm: p, Journal: p.j, Sink: p.world, Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return p.now },
		Tell: func(uint32) bool { return true }, Upload: func(uint32) bool { return true }, Views: func(context.Context) []track.View { return *views },
	})
	return p
}

var (
	alice = track.View{User: "alice", UID: 1000}
	bob   = track.View{User: "bob", UID: 1001}
)

// aliceAndBob have a running job each and are both asked for.
func aliceAndBob(t *testing.T) (p *private, hers, his uuid.UUID) {
	t.Helper()
	views := []track.View{alice, bob}
	p, hers, his = newPrivate(t, &views), submission(t), submission(t)
	p.queue = []slurmtest.Row{job("7", "7", "RUNNING", hers), with(job("8", "8", "RUNNING", his), "UID", "1001", "User", "bob")}
	p.cycles(1)
	return p, hers, his
}

func TestUsersAreFollowedThroughTheirOwnEyes(t *testing.T) {
	t.Parallel()
	p, hers, his := aliceAndBob(t)
	p.acct = []slurmtest.Row{ended(p.queue[0], "COMPLETED", "0:0"), ended(p.queue[1], "FAILED", "3:0")}
	p.queue = nil
	p.cycles(4)
	if got := p.world.only(hers); got.State != journal.JobEnded || got.Detail.SlurmState != "COMPLETED" {
		t.Errorf("alice's: %+v", got)
	}
	if got := p.world.only(his); got.State != journal.JobEnded || got.Detail.SlurmState != "FAILED" {
		t.Errorf("bob's: %+v", got)
	}
}

func TestWhatIsHiddenIsNeverGone(t *testing.T) {
	t.Parallel()
	cases := map[string][]track.View{
		"nobody sees it":      {{}},
		"another user's view": {bob},
		"squeue alone sees":   {{All: true, Doubtful: true}},
	}
	for name, later := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			views := []track.View{alice}
			p := newPrivate(t, &views)
			running, open := submission(t), submission(t)
			if _, err := p.j.BeginSubmission(t.Context(), open, func(s *journal.Submission) { s.UID, s.User = 1000, "alice" }); err != nil {
				t.Fatal(err)
			}
			p.queue = []slurmtest.Row{job("7", "7", "RUNNING", running)}
			p.cycles(1)
			views = later
			for range 10 {
				p.now = p.now.Add(24 * time.Hour)
				p.cycles(2)
			}
			if got := p.world.only(running); got.State != journal.JobRunning {
				t.Errorf("after ten days in the dark the job is %s", got.State)
			}
			if s, err := p.j.Submission(t.Context(), open); err != nil || s.State != journal.SubmissionUnknown {
				t.Errorf("after ten days in the dark the submission is %s, %v", s.State, err)
			}
		})
	}
}

func TestAJobThatIsNotShownForACycleIsStaleAndComesBack(t *testing.T) {
	t.Parallel()
	views := []track.View{alice}
	p := newPrivate(t, &views)
	id := submission(t)
	p.queue = []slurmtest.Row{job("7", "7", "RUNNING", id)}
	p.cycles(1)
	views = []track.View{bob}
	p.cycles(3)
	if got := p.world.only(id); got.Detail.StaleSince.IsZero() || got.State != journal.JobRunning {
		t.Errorf("in the dark: %+v", got)
	}
	views = []track.View{alice, bob}
	p.cycles(1)
	if got := p.world.only(id); !got.Detail.StaleSince.IsZero() {
		t.Errorf("in the light: stale since %s", got.Detail.StaleSince)
	}
}

func TestAHelperThatHangsHidesItsUserAlone(t *testing.T) {
	t.Parallel()
	p, hers, his := aliceAndBob(t)
	p.acct = []slurmtest.Row{ended(p.queue[0], "COMPLETED", "0:0"), ended(p.queue[1], "COMPLETED", "0:0")}
	p.queue, p.deaf["alice"] = nil, true
	p.cycles(4)
	if got := p.world.only(hers); got.State != journal.JobRunning || got.Detail.StaleSince.IsZero() {
		t.Errorf("alice's: %+v", got)
	}
	if got := p.world.only(his); got.State != journal.JobEnded {
		t.Errorf("bob's: %+v", got)
	}
	p.deaf["bob"] = true
	if err := p.cycle(); !errors.Is(err, errDeaf) {
		t.Errorf("nobody answers: %v", err)
	}
}

func TestWhatCameBeforeSqueueBrokeOffIsForgotten(t *testing.T) {
	t.Parallel()
	p, hers, his := aliceAndBob(t)
	fresh := submission(t)
	p.acct = []slurmtest.Row{ended(p.queue[0], "COMPLETED", "0:0"), ended(p.queue[1], "COMPLETED", "0:0")}
	p.queue, p.deaf["alice"] = []slurmtest.Row{job("9", "9", "RUNNING", fresh)}, true
	p.cycles(3)
	if jobs := p.attempts(fresh, ""); len(jobs) != 0 {
		t.Errorf("a job of a part of the answer was taken: %+v", jobs)
	}
	if got := p.world.only(hers); got.State != journal.JobRunning {
		t.Errorf("a job that a part of the answer does not show is %s", got.State)
	}
	if got := p.world.only(his); got.State != journal.JobEnded {
		t.Errorf("the other view's answer is whole, but the job is %s", got.State)
	}
	p.deaf["alice"] = false
	p.cycles(2)
	if got := p.world.only(fresh); got.State != journal.JobRunning {
		t.Errorf("after a whole answer: %+v", got)
	}
	if got := p.world.only(hers); got.State != journal.JobEnded {
		t.Errorf("after two whole answers without it the job is %s", got.State)
	}
}

func TestSlurmHasAnsweredOnlyWhenItWasAsked(t *testing.T) {
	t.Parallel()
	views := []track.View{}
	p := newPrivate(t, &views)
	p.cycles(1)
	if got := p.tracker.Status().Answered; !got.IsZero() {
		t.Errorf("nobody was asked, and it answered at %s", got)
	}
	views = []track.View{alice}
	p.cycles(1)
	if got := p.tracker.Status().Answered; !got.Equal(p.now) {
		t.Errorf("answered at %s, want %s", got, p.now)
	}
}
