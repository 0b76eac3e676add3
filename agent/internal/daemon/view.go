package daemon

import (
	"cmp"
	"context"
	"errors"
	"io"
	"slices"
	"time"

	"github.com/ergon-hpc/ergon/agent/internal/helper"
	"github.com/ergon-hpc/ergon/agent/internal/outputs"
	"github.com/ergon-hpc/ergon/agent/internal/slurm"
	"github.com/ergon-hpc/ergon/agent/internal/track"
	"github.com/ergon-hpc/ergon/shared/slurmfmt"
)

// Helpers starts processes with a user's identity; spawn.Remote implements it.
type Helpers interface {
	Spawn(ctx context.Context, job outputs.JobFiles) (conn io.ReadWriteCloser, kill func(), err error)
}

// usersPerCycle is how many users are asked for in one cycle. Each costs as many calls as everybody together, and the
// ceilings hold for all of them, so more would only make the cycle longer. A site that wants better gives the agent's
// account the right to see all jobs.
const usersPerCycle = 2

// views says whom Slurm is asked as in the next cycle.
func (d *Daemon) views(ctx context.Context) []track.View {
	if !d.opt.System {
		return []track.View{{User: d.opt.Self.Name, UID: d.opt.Self.UID, All: true}} // it tracks its own jobs only
	}
	f := d.facts.Load()
	switch {
	case f != nil && f.limited == "":
		return []track.View{{All: true}}
	case f != nil && f.doubtful:
		return []track.View{{All: true, Doubtful: true}}
	case f == nil || !f.hidden || d.opt.Helpers == nil:
		return []track.View{{}} // what is shown is taken; what is not shown proves nothing
	}
	return d.userViews(ctx)
}

// userViews takes users in turn: one of those of whom something is awaited, then one of all who are linked.
func (d *Daemon) userViews(ctx context.Context) []track.View {
	awaited, err := d.journal.AwaitedUsers(ctx)
	if err != nil {
		d.opt.Log.Warn("whose jobs are awaited could not be read", "error", err)
	}
	var all, busy []track.View
	if links := d.links.Load(); links != nil {
		for uid, link := range *links {
			if !active(*links, uid) {
				continue
			}
			v := track.View{User: link.UnixName, UID: uid}
			all = append(all, v)
			if slices.Contains(awaited, uid) {
				busy = append(busy, v)
			}
		}
	}
	d.turn++
	return pick(d.turn, busy, all)
}

// pick gives at most usersPerCycle different users, each list in turn.
func pick(turn uint64, lists ...[]track.View) (out []track.View) {
	for _, list := range lists {
		slices.SortFunc(list, func(a, b track.View) int { return cmp.Compare(a.UID, b.UID) })
		for i := range list {
			v := list[(turn+uint64(i))%uint64(len(list))]
			if len(out) < usersPerCycle && !slices.Contains(out, v) {
				out = append(out, v)
				break
			}
		}
	}
	return out
}

// asker is Slurm as the tracker asks it: as the agent, or, where that would hide jobs, as their user.
type asker struct{ d *Daemon }

// direct says that the agent asks by itself.
func (a *asker) direct(user string) bool { return user == "" || !a.d.opt.System }

// EachQueued implements track.Slurm. A helper sends one user's rows at once.
func (a *asker) EachQueued(ctx context.Context, user string, row func(*slurmfmt.Record)) (slurm.Table, error) {
	if a.direct(user) {
		return a.d.slurm.EachQueued(ctx, user, row)
	}
	table, err := a.as(ctx, "squeue", helper.Question{Kind: helper.AskQueue, User: user})
	if err != nil {
		return slurm.Table{}, err
	}
	for _, rec := range table.Rows {
		row(rec)
	}
	table.Rows = nil
	return table, nil
}

// ByID implements track.Slurm.
func (a *asker) ByID(ctx context.Context, user string, ids []string) (slurm.Table, error) {
	if a.direct(user) {
		return a.d.slurm.ByID(ctx, ids)
	}
	return a.as(ctx, "sacct", helper.Question{Kind: helper.AskByID, User: user, IDs: ids})
}

// Window implements track.Slurm.
func (a *asker) Window(ctx context.Context, from, to time.Time, user string) (slurm.Table, error) {
	if a.direct(user) {
		return a.d.slurm.Window(ctx, from, to, user)
	}
	return a.as(ctx, "sacct", helper.Question{Kind: helper.AskWindow, User: user, From: from, To: to})
}

// Samples implements track.Meter.
func (a *asker) Samples(ctx context.Context, user string, ids []string) (slurm.Table, error) {
	if a.direct(user) {
		return a.d.slurm.SstatAll(ctx, ids)
	}
	return a.as(ctx, "sstat", helper.Question{Kind: helper.AskSstat, User: user, IDs: ids})
}

// JobPaths implements track.Slurm.
func (a *asker) JobPaths(ctx context.Context, id slurmfmt.JobID) (slurm.Paths, error) {
	return a.d.slurm.JobPaths(ctx, id)
}

var errNoUser = errors.New("the user is not linked here")

// as asks through a helper of the user; the call counts against the command's ceiling like any other.
func (a *asker) as(ctx context.Context, command string, q helper.Question) (slurm.Table, error) {
	uid, known := a.uidOf(q.User)
	if !known || a.d.opt.Helpers == nil {
		return slurm.Table{}, errNoUser
	}
	q.BinDir, q.Conf, q.Timeout = a.d.opt.Config.Slurm.BinDir, a.d.opt.Config.Slurm.Conf, a.d.opt.Config.Slurm.Timeout
	var out slurm.Table
	err := a.d.slurm.Count(ctx, command, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, q.Timeout+helperPatience)
		defer cancel()
		conn, kill, err := a.d.opt.Helpers.Spawn(ctx, outputs.JobFiles{UID: uid, User: q.User})
		if err != nil {
			return err
		}
		defer kill()
		out, err = helper.AskSlurm(ctx, conn, q)
		return err
	})
	return out, err
}

// helperPatience is how much longer than Slurm a helper may take.
const helperPatience = 5 * time.Second

func (a *asker) uidOf(user string) (uint32, bool) {
	links := a.d.links.Load()
	if links == nil {
		return 0, false
	}
	for uid, link := range *links {
		if link.UnixName == user && active(*links, uid) {
			return uid, true
		}
	}
	return 0, false
}
