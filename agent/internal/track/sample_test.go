package track_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ergon-hpc/ergon/agent/internal/slurm"
	"github.com/ergon-hpc/ergon/agent/internal/slurm/slurmtest"
	"github.com/ergon-hpc/ergon/agent/internal/track"
	"github.com/ergon-hpc/ergon/shared/jobkey"
	"github.com/ergon-hpc/ergon/shared/slurmfmt"
	"github.com/google/uuid"
)

// meter is sstat, and the server that takes its rows.
type meter struct {
	asked   []string // "user: ids" of each call
	err     error
	columns []string
	rows    [][]string
	at      time.Time
}

func (m *meter) Samples(_ context.Context, user string, ids []string) (slurm.Table, error) {
	m.asked = append(m.asked, user+": "+strings.Join(ids, ","))
	var rows []slurmtest.Row
	for _, id := range append(slices.Clone(ids), "999") {
		rows = append(rows, slurmtest.Row{"JobID": id + ".batch", "AveCPU": "00:00:05"})
	}
	return records([]string{"JobID", "AveCPU"}, rows), m.err
}

// sink is the server's side.
type sink struct{ *meter }

func (s sink) Samples(_ context.Context, at time.Time, columns []string, rows [][]string) error {
	s.at, s.columns, s.rows = at, columns, rows
	return nil
}

func (w *world) sampler(m *meter, as func(string) string) *track.Sampler {
	return track.NewSampler(track.SamplerOptions{
		Meter: m, Journal: w.j, Sink: sink{m}, Tell: func(uid uint32) bool { return uid != 66 }, As: as, Now: func() time.Time { return w.now }, Every: time.Minute,
	})
}

func living(n int, user, state string, startedAgo time.Duration) slurmtest.Row {
	return slurmtest.Row{
		"JobID": fmt.Sprint(n), "JobIDRaw": fmt.Sprint(n), "UID": "1000", "User": user, "State": state, "JobName": "x", "Comment": jobkey.Tag(uuid.New(), ""),
		"Submit": fmt.Sprint(start.Add(-time.Hour).Unix()), "Start": fmt.Sprint(start.Add(-startedAgo).Unix()),
	}
}

func agent(string) string { return "" }

func TestRunningJobsOfPeopleWhoAreToldAreSampled(t *testing.T) {
	w, m := newWorld(t), &meter{}
	stranger := living(4, "eve", "RUNNING", time.Hour)
	stranger["UID"] = "66"
	task := living(6, "alice", "RUNNING", time.Minute)
	task["JobID"] = "5_1"
	w.queue = []slurmtest.Row{living(1, "alice", "RUNNING", time.Hour), living(2, "alice", "PENDING", 0), living(3, "alice", "RUNNING", -20*time.Second), stranger, task}
	w.cycles(1)
	if err := w.sampler(m, agent).Sample(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(m.asked) != 1 || m.asked[0] != ": 1,6" || !m.at.Equal(w.now) {
		t.Errorf("asked %q at %s", m.asked, m.at)
	}
	submit := fmt.Sprint(start.Add(-time.Hour).Unix())
	want := fmt.Sprint([][]string{{"1.batch", "00:00:05", "1", submit, submit}, {"6.batch", "00:00:05", "6", submit, fmt.Sprint(start.Add(-time.Minute).Unix())}})
	if fmt.Sprint(m.columns) != "[JobID AveCPU JobIDRaw Submit Start]" || fmt.Sprint(m.rows) != want {
		t.Errorf("sent %v %v, want %s", m.columns, m.rows, want)
	}
}

func TestNoCallAsksForMoreThanItMayAndAllGetTheirTurn(t *testing.T) {
	w, m := newWorld(t), &meter{}
	for n := range slurm.MaxIDs + 20 {
		w.queue = append(w.queue, living(n+1, "alice", "RUNNING", time.Hour))
	}
	w.cycles(1)
	s := w.sampler(m, agent)
	seen := map[string]int{}
	for range 4 {
		w.now = w.now.Add(time.Minute)
		if err := s.Sample(t.Context()); err != nil {
			t.Fatal(err)
		}
		ids := strings.Split(strings.TrimPrefix(m.asked[len(m.asked)-1], ": "), ",")
		if len(ids) != slurm.MaxIDs {
			t.Fatalf("%d ids in one call", len(ids))
		}
		for _, id := range ids {
			seen[id]++
		}
	}
	for n := range slurm.MaxIDs + 20 {
		if got := seen[fmt.Sprint(n+1)]; got < 2 {
			t.Errorf("job %d was asked for %d times in 4 minutes", n+1, got)
		}
	}
}

func TestUsersAreAskedForAsThemselvesInTurn(t *testing.T) {
	w, m := newWorld(t), &meter{}
	w.queue = []slurmtest.Row{living(1, "alice", "RUNNING", 3*time.Hour), living(2, "bob", "RUNNING", 2*time.Hour), living(3, "alice", "RUNNING", time.Hour)}
	w.cycles(1)
	s := w.sampler(m, func(user string) string { return user })
	for range 3 {
		w.now = w.now.Add(time.Minute)
		if err := s.Sample(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if got := fmt.Sprint(m.asked); got != "[alice: 1,3 bob: 2 alice: 1,3]" {
		t.Errorf("asked %s", got)
	}
}

func TestASampleThatFailsChangesNothing(t *testing.T) {
	w, m := newWorld(t), &meter{}
	w.queue = []slurmtest.Row{living(1, "alice", "RUNNING", time.Hour)}
	w.cycles(1)
	before := fmt.Sprint(active(t, w))
	s := w.sampler(m, agent)
	for fault, fails := range map[slurmfmt.Fault]bool{slurmfmt.FaultTimeout: true, slurmfmt.FaultDenied: true, slurmfmt.FaultNotRunning: false, slurmfmt.FaultInvalidJob: false} {
		m.err = &slurm.CommandError{Command: "sstat", Fault: fault}
		w.now = w.now.Add(time.Minute)
		if err := s.Sample(t.Context()); (err != nil) != fails {
			t.Errorf("%s: %v", fault, err)
		}
	}
	if m.err = errors.New("no helper"); s.Sample(t.Context()) == nil {
		t.Error("the failure of a helper is not told")
	}
	if after := fmt.Sprint(active(t, w)); after != before || m.rows != nil {
		t.Errorf("the journal changed from %s to %s, sent %v", before, after, m.rows)
	}
}

func active(t *testing.T, w *world) (jobs []any) {
	t.Helper()
	for job, err := range w.j.ActiveJobs(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		jobs = append(jobs, job)
	}
	return jobs
}
