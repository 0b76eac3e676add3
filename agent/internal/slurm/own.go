package slurm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ergon-hpc/ergon/shared/slurmfmt"
)

// MaxHistory is the longest time that one user's accounting may be asked for in one call.
const MaxHistory = 400 * 24 * time.Hour

// History gives the accounting of one user's own jobs in [from, to]. Window's bound protects slurmdbd from questions
// about everybody; one user's jobs are few.
func (r *Runner) History(ctx context.Context, from, to time.Time, user string) (Table, error) {
	if user == "" || strings.Contains(user, ",") {
		return Table{}, errors.New("asking for a history: one user must be named")
	}
	if to.Sub(from) > MaxHistory {
		return Table{}, fmt.Errorf("a time of %s; at most %d days are allowed", to.Sub(from), MaxHistory/(24*time.Hour))
	}
	return r.sacct(ctx, "--user="+user, "--starttime="+stamp(from), "--endtime="+stamp(to))
}

// sstatColumns exist in every version from 22.05 on. None of them holds free text, so a plain delimiter is safe.
var sstatColumns = []string{
	"JobID", "NTasks", "AveCPU", "MaxRSS", "MaxRSSNode", "AveRSS",
	"TRESUsageInTot", "TRESUsageInMax", "TRESUsageInAve", "TRESUsageOutTot", "ConsumedEnergyRaw",
}

// Sstat gives what the steps of a running job have used so far. Slurm answers the job's owner and root only: for
// others it says so on stderr with exit code 0, which comes back as FaultDenied here.
func (r *Runner) Sstat(ctx context.Context, id slurmfmt.JobID) (Table, error) {
	return r.SstatAll(ctx, []string{id.Job().String()})
}

// SstatAll is Sstat for several jobs, at most MaxIDs. What does not run (any more) is left out; an error means that nothing
// was answered.
func (r *Runner) SstatAll(ctx context.Context, ids []string) (Table, error) {
	if len(ids) == 0 || len(ids) > MaxIDs {
		return Table{}, fmt.Errorf("asking sstat for %d ids; 1 to %d are allowed", len(ids), MaxIDs)
	}
	out, stderr, err := r.runAll(ctx, "sstat", "--allsteps", "--noheader", "--parsable2", "--noconvert",
		"--format="+strings.Join(sstatColumns, ","), "--jobs="+strings.Join(ids, ","))
	if err != nil {
		return Table{}, err
	}
	var rows []*slurmfmt.Record
	t, err := parse(bytes.NewReader(out), slurmfmt.Options{Columns: sstatColumns, Delimiter: "|"}, func(rec *slurmfmt.Record) { rows = append(rows, compact(rec)) })
	if err != nil {
		return Table{}, err
	}
	if fault := slurmfmt.ClassifyFault(stderr); len(rows) == 0 && fault != slurmfmt.FaultNone {
		return Table{}, &CommandError{"sstat", fault, 0, stderr}
	}
	t.Rows = rows
	return t, nil
}

// StartEstimate gives when slurmctld thinks that a pending job starts; known is false when it does not know.
func (r *Runner) StartEstimate(ctx context.Context, id slurmfmt.JobID) (at time.Time, known bool, err error) {
	out, err := r.run(ctx, "squeue", "--noheader", "--start", "--format=%S", "--jobs="+id.Job().String())
	if err != nil {
		return time.Time{}, false, err
	}
	first, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	at, known = slurmfmt.ParseTime(first, nil).Value()
	return at, known, nil
}
