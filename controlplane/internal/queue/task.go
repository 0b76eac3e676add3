package queue

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/riverqueue/river"
)

// Task is upkeep that comes again by itself. One process of all enqueues it when it is due, and whichever is free does it.
// It must be safe to repeat, to be killed, and to run in two processes at once.
type Task struct {
	Name    string
	Every   time.Duration // also once after a start
	DailyAt time.Duration // after midnight UTC; used when Every is 0
	Timeout time.Duration
	Run     func(ctx context.Context) error
}

// upkeep is the queue of tasks, so that a backlog of analyses does not hold them up.
const upkeep = "upkeep"

const upkeepWorkers = 2

type taskArgs struct {
	Name string `json:"name"`
}

// Kind names the job in River's tables.
func (taskArgs) Kind() string { return "task" }

// InsertOpts: one attempt, the next one comes by itself. Not unique: a process that was killed leaves its job running in
// the table for an hour, and would keep the next one out.
func (taskArgs) InsertOpts() river.InsertOpts { return river.InsertOpts{Queue: upkeep, MaxAttempts: 1} }

// upkeepWorker does the tasks of a process, each by itself at a time.
type upkeepWorker struct {
	river.WorkerDefaults[taskArgs]
	tasks map[string]*runningTask
	stop  context.Context //nolint:containedctx // ends with the queue
}

type runningTask struct {
	Task
	busy sync.Mutex
}

func newUpkeep(stop context.Context, tasks []Task) upkeepWorker {
	w := upkeepWorker{tasks: map[string]*runningTask{}, stop: stop}
	for _, t := range tasks {
		w.tasks[t.Name] = &runningTask{Task: t}
	}
	return w
}

func (w upkeepWorker) Timeout(job *river.Job[taskArgs]) time.Duration {
	if t := w.tasks[job.Args.Name]; t != nil && t.Timeout > 0 {
		return t.Timeout
	}
	return analyseTimeout
}

func (w upkeepWorker) Work(ctx context.Context, job *river.Job[taskArgs]) error {
	t := w.tasks[job.Args.Name]
	if t == nil {
		return river.JobCancel(fmt.Errorf("this build has no task %q", job.Args.Name))
	}
	if !t.busy.TryLock() { // the one before still works on it
		return nil
	}
	defer t.busy.Unlock()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(w.stop, cancel)() //nolint:contextcheck // stopping the server ends the task too
	if err := t.Run(ctx); err != nil && w.stop.Err() == nil {
		return fmt.Errorf("task %s: %w", t.Name, err)
	}
	return nil
}

// periodic makes River enqueue the tasks.
func periodic(tasks []Task) []*river.PeriodicJob {
	jobs := make([]*river.PeriodicJob, 0, len(tasks))
	for _, t := range tasks {
		var schedule river.PeriodicSchedule = daily(t.DailyAt)
		if t.Every > 0 {
			schedule = river.PeriodicInterval(t.Every)
		}
		jobs = append(jobs, river.NewPeriodicJob(schedule,
			func() (river.JobArgs, *river.InsertOpts) { return taskArgs{Name: t.Name}, nil },
			&river.PeriodicJobOpts{ID: t.Name, RunOnStart: t.Every > 0}))
	}
	return jobs
}

// daily comes once a day, so long after midnight UTC. An interval of a day would begin anew with each start of a server.
type daily time.Duration

// Next is the first time after now.
func (d daily) Next(now time.Time) time.Time {
	next := now.UTC().Truncate(24 * time.Hour).Add(time.Duration(d))
	if !next.After(now) {
		next = next.Add(24 * time.Hour)
	}
	return next
}

// Kick makes a task due now. It may be lost: the task comes by itself.
func (q *Queue) Kick(ctx context.Context, name string) {
	if _, err := q.client.InsertMany(ctx, []river.InsertManyParams{{Args: taskArgs{Name: name}}}); err != nil {
		q.cfg.Log.WarnContext(ctx, "a task could not be made due now; it comes by itself", "task", name, "error", err)
	}
}
