package slurm

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/ergon-hpc/ergon/shared/slurmfmt"
)

// Table is what squeue or sacct printed, by named columns.
type Table struct {
	Columns []string
	Rows    []*slurmfmt.Record
	// Bad counts rows that could not be read; they are unknown, not absent.
	Bad int
	// BadText holds the start of the first few of them.
	BadText []string
}

// MaxIDs is how many ids one sacct call may ask for.
const MaxIDs = 100

// MaxWindow is the longest window of one sacct call.
const MaxWindow = time.Hour

// Queue lists what slurmctld knows: everybody's jobs, or those of one user when user is not "".
func (r *Runner) Queue(ctx context.Context, user string) (Table, error) {
	var rows []*slurmfmt.Record
	t, err := r.EachQueued(ctx, user, func(rec *slurmfmt.Record) { rows = append(rows, compact(rec)) })
	if err != nil {
		return Table{}, err
	}
	t.Rows = rows
	return t, nil
}

// EachQueued is Queue for answers of any length: row is called with one row after the other while squeue prints them, and
// the table that comes back has none. A record is row's until it returns. After an error all that row was shown must be
// forgotten: it is a part of the answer, and what is not in a part is not gone.
func (r *Runner) EachQueued(ctx context.Context, user string, row func(*slurmfmt.Record)) (Table, error) {
	var selection []string
	if user != "" {
		selection = append(selection, "--user="+user)
	}
	delimiter, err := r.delimiter()
	if err != nil {
		return Table{}, err
	}
	opt := slurmfmt.Options{Columns: slurmfmt.SqueueColumns(), Delimiter: delimiter}
	return r.each(ctx, opt, row, "squeue", slurmfmt.SqueueArgs(delimiter, selection...)...)
}

// ByID gives the accounting of jobs with their steps and all their incarnations; at most MaxIDs ids.
func (r *Runner) ByID(ctx context.Context, ids []string) (Table, error) {
	if len(ids) == 0 || len(ids) > MaxIDs {
		return Table{}, fmt.Errorf("asking sacct for %d ids; 1 to %d are allowed", len(ids), MaxIDs)
	}
	return r.sacct(ctx, "--jobs="+strings.Join(ids, ","))
}

// Window gives the accounting of the jobs in [from, to], at most MaxWindow long; user "" is everybody.
func (r *Runner) Window(ctx context.Context, from, to time.Time, user string) (Table, error) {
	if to.Sub(from) > MaxWindow {
		return Table{}, fmt.Errorf("a window of %s; at most %s is allowed", to.Sub(from), MaxWindow)
	}
	who := "--allusers"
	if user != "" {
		who = "--user=" + user
	}
	return r.sacct(ctx, who, "--starttime="+stamp(from), "--endtime="+stamp(to))
}

// stamp prints a time for --starttime; sacct reads it in TZ, which CommandEnv sets to UTC.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05") }

func (r *Runner) sacct(ctx context.Context, selection ...string) (Table, error) {
	delimiter, err := r.delimiter()
	if err != nil {
		return Table{}, err
	}
	var rows []*slurmfmt.Record
	opt := slurmfmt.Options{Columns: slurmfmt.SacctColumns(), Delimiter: delimiter}
	t, err := r.each(ctx, opt, func(rec *slurmfmt.Record) { rows = append(rows, compact(rec)) }, "sacct", slurmfmt.SacctArgs(delimiter, selection...)...)
	if err != nil {
		return Table{}, err
	}
	t.Rows = rows
	return t, nil
}

// delimiter is fresh for each call, so that no job name can forge a row.
func (r *Runner) delimiter() (string, error) {
	var nonce [8]byte
	if _, err := io.ReadFull(r.opt.Rand, nonce[:]); err != nil {
		return "", fmt.Errorf("drawing a delimiter: %w", err)
	}
	return slurmfmt.Delimiter(nonce), nil
}

// Fields gives a record's values in the order of its columns, as they were printed.
func Fields(rec *slurmfmt.Record) []string {
	out := make([]string, len(rec.Columns().Names()))
	for i := range out {
		out[i] = rec.At(i)
	}
	return out
}

// Paths are where a job writes, as scontrol shows them.
type Paths struct{ WorkDir, Stdout, Stderr string }

// JobPaths asks slurmctld for a job's files; it knows them until MinJobAge after the end. An invalid id is a
// CommandError with FaultInvalidJob.
func (r *Runner) JobPaths(ctx context.Context, id slurmfmt.JobID) (Paths, error) {
	out, err := r.run(ctx, "scontrol", slurmfmt.ScontrolJobArgs(id)...)
	if err != nil {
		return Paths{}, err
	}
	for _, e := range slurmfmt.ParseEntities(string(out)) {
		if p, ok := pathsOf(e, id); ok {
			return p, nil
		}
	}
	return Paths{}, &CommandError{"scontrol", slurmfmt.FaultInvalidJob, 0, "no such job in the answer"}
}

func pathsOf(e slurmfmt.KeyValues, id slurmfmt.JobID) (Paths, bool) {
	if task, isTask := id.Task(); isTask {
		if v, _ := e.Get("ArrayTaskId"); v != strconv.FormatUint(uint64(task), 10) {
			return Paths{}, false
		}
	}
	if component, isHet := id.Component(); isHet {
		if v, _ := e.Get("HetJobOffset"); v != strconv.FormatUint(uint64(component), 10) {
			return Paths{}, false
		}
	}
	var p Paths
	p.WorkDir, _ = e.Get("WorkDir")
	p.Stdout, _ = e.Get("StdOut")
	p.Stderr, _ = e.Get("StdErr")
	return p, true
}

// Config gives scontrol show config.
func (r *Runner) Config(ctx context.Context) (slurmfmt.Config, error) {
	out, err := r.run(ctx, "scontrol", "show", "config")
	if err != nil {
		return slurmfmt.Config{}, err
	}
	return slurmfmt.ParseConfig(string(out)), nil
}

// DatabaseConfig gives slurmdbd's own configuration, the second part of sacctmgr show configuration.
func (r *Runner) DatabaseConfig(ctx context.Context) (slurmfmt.Config, error) {
	out, err := r.run(ctx, "sacctmgr", "--readonly", "show", "configuration")
	if err != nil {
		return slurmfmt.Config{}, err
	}
	_, own, found := strings.Cut(string(out), databaseSection)
	if !found {
		return slurmfmt.Config{}, fmt.Errorf("sacctmgr show configuration has no part %q", databaseSection)
	}
	return slurmfmt.ParseConfig(own), nil
}

const databaseSection = "SlurmDBD configuration:"

// Nodes gives scontrol show node.
func (r *Runner) Nodes(ctx context.Context) ([]slurmfmt.KeyValues, error) {
	out, err := r.run(ctx, "scontrol", "show", "node")
	if err != nil {
		return nil, err
	}
	return slurmfmt.ParseEntities(string(out)), nil
}

// Partitions gives scontrol show partition.
func (r *Runner) Partitions(ctx context.Context) ([]slurmfmt.KeyValues, error) {
	out, err := r.run(ctx, "scontrol", "show", "partition")
	if err != nil {
		return nil, err
	}
	return slurmfmt.ParseEntities(string(out)), nil
}

// AdminLevel gives a user's level in slurmdbd: "None", "Operator", "Administrator", or "" when slurmdbd has no such user.
func (r *Runner) AdminLevel(ctx context.Context, user string) (string, error) {
	out, err := r.run(ctx, "sacctmgr", "--noheader", "--parsable2", "--readonly", "show", "user", "name="+user, "format=User,AdminLevel")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(out)) {
		if name, level, ok := strings.Cut(strings.TrimSpace(line), "|"); ok && name == user {
			return level, nil
		}
	}
	return "", nil
}
