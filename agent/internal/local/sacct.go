package local

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/ergon-hpc/ergon/agent/internal/slurm"
	"github.com/ergon-hpc/ergon/shared/efficiency"
	"github.com/ergon-hpc/ergon/shared/slurmfmt"
)

// Slurm is what local reports ask the cluster. *slurm.Runner is one.
type Slurm interface {
	ByID(ctx context.Context, ids []string) (slurm.Table, error)
	History(ctx context.Context, from, to time.Time, user string) (slurm.Table, error)
	Sstat(ctx context.Context, id slurmfmt.JobID) (slurm.Table, error)
	Config(ctx context.Context) (slurmfmt.Config, error)
	Nodes(ctx context.Context) ([]slurmfmt.KeyValues, error)
	Partitions(ctx context.Context) ([]slurmfmt.KeyValues, error)
}

// Reporter makes reports from the local Slurm.
type Reporter struct {
	Slurm Slurm
	// User is who asks, as sacct --user takes it: a name or a uid.
	User string
	// ProfileDir replaces Slurm's ProfileHDF5Dir; the profiles are in a directory below it for each user.
	ProfileDir string
	// Warn is told, in words, of what is left out of the reports.
	Warn func(string)
}

// Bounds of what one call looks at, so that an array of thousands of tasks is reported within two seconds.
const (
	maxProfiled = 64 // jobs with profiles read
	maxSstat    = 8  // running jobs asked with sstat
)

// Jobs reports the jobs with the given ids, with their profiles where this user can read them. The id of a step asks
// for its job, the base id of an array or het job for all of it. An id that sacct does not know is no error of the
// others: it is returned in missing, as it was given.
func (r Reporter) Jobs(ctx context.Context, ids []string) (reports []efficiency.Report, missing []string, err error) {
	asked, err := parseIDs(ids)
	if err != nil {
		return nil, nil, err
	}
	cluster := r.siteLater(ctx)
	var rows []*slurmfmt.Record
	for chunk := range chunks(texts(asked), slurm.MaxIDs) {
		table, err := r.Slurm.ByID(ctx, chunk)
		if err != nil {
			return nil, nil, fmt.Errorf("asking sacct: %w", err)
		}
		r.warnBad(table)
		rows = append(rows, table.Rows...)
	}
	reports = r.report(ctx, rows, <-cluster)
	for i, text := range ids {
		if !answered(asked[i], reports) {
			missing = append(missing, text)
		}
	}
	return reports, missing, nil
}

// ErrID says that an argument is no Slurm job id.
type ErrID struct{ Text string }

// Error shows what ids look like.
func (e *ErrID) Error() string {
	return fmt.Sprintf("%q is no Slurm job id; ids look like 123, 123_4 (array task), 123+0 (het component) or 123.0 (step)", e.Text)
}

func parseIDs(ids []string) ([]slurmfmt.JobID, error) {
	out := make([]slurmfmt.JobID, 0, len(ids))
	for _, text := range ids {
		id, err := slurmfmt.ParseJobID(strings.TrimSpace(text))
		if _, set := id.TaskSet(); err != nil || set {
			return nil, &ErrID{text}
		}
		out = append(out, id.Job())
	}
	return out, nil
}

func texts(ids []slurmfmt.JobID) []string {
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = id.String()
	}
	return out
}

// answered: a base id is answered by any of its tasks or components, and a plain number by its raw id.
func answered(id slurmfmt.JobID, reports []efficiency.Report) bool {
	text := id.String()
	for i := range reports {
		if j := &reports[i].Job; j.JobID == text || j.ParentID == text || j.JobIDRaw == text {
			return true
		}
	}
	return false
}

func (r Reporter) warnBad(table slurm.Table) {
	if table.Bad > 0 {
		r.Warn(fmt.Sprintf("%d rows of sacct could not be read and are left out", table.Bad))
	}
}

// Since reports the user's jobs that were active since a time. Profiles are not read: this is an overview.
func (r Reporter) Since(ctx context.Context, from, to time.Time) ([]efficiency.Report, error) {
	cluster := r.siteLater(ctx)
	table, err := r.Slurm.History(ctx, from, to, r.User)
	if err != nil {
		return nil, fmt.Errorf("asking sacct: %w", err)
	}
	r.warnBad(table)
	var reports []efficiency.Report
	s := <-cluster
	for _, job := range efficiency.Group(table.Rows) {
		reports = append(reports, efficiency.Analyse(efficiency.Input{Rows: job.Rows, Cluster: s.cluster}))
	}
	return reports, nil
}

func (r Reporter) report(ctx context.Context, rows []*slurmfmt.Record, s site) []efficiency.Report {
	jobs := efficiency.Group(rows)
	profiles := r.profiles(s, jobs)
	live := r.sstats(ctx, jobs)
	reports := make([]efficiency.Report, 0, len(jobs))
	for i, job := range jobs {
		in := efficiency.Input{Rows: job.Rows, Cluster: s.cluster, Sstat: live[i]}
		if raw := rawID(job); raw != "" {
			in.Profiles = profiles[ownerOf(job)].of(raw, r.Warn)
		}
		reports = append(reports, efficiency.Analyse(in))
	}
	return reports
}

// profiles lists the profile directories of the jobs' owners, each once.
func (r Reporter) profiles(s site, jobs []efficiency.JobRows) map[string]profileIndex {
	out := map[string]profileIndex{}
	if s.profileDir == "" {
		return out
	}
	if len(jobs) > maxProfiled {
		r.Warn(fmt.Sprintf("profiles are not read for %d jobs at once; ask for single jobs to see them", len(jobs)))
		return out
	}
	for _, job := range jobs {
		owner := ownerOf(job)
		if _, done := out[owner]; done || owner == "" {
			continue
		}
		// A directory that is absent or belongs to somebody else holds nothing that this user could read.
		out[owner], _ = indexProfiles(filepath.Join(s.profileDir, owner))
	}
	return out
}

// ownerOf is the job's user, as a name that is safe in a path.
func ownerOf(job efficiency.JobRows) string {
	for _, row := range job.Rows {
		if name := row.Get("User"); name != "" && name == filepath.Base(name) && name[0] != '.' {
			return name
		}
	}
	return ""
}

// sstats asks once for what running jobs have used; Slurm answers their owner and root only.
func (r Reporter) sstats(ctx context.Context, jobs []efficiency.JobRows) map[int][]*slurmfmt.Record {
	out := map[int][]*slurmfmt.Record{}
	for i, job := range jobs {
		id, running := runningID(job)
		if !running || len(out) >= maxSstat {
			continue
		}
		table, err := r.Slurm.Sstat(ctx, id)
		switch fault := slurm.FaultOf(err); {
		case err == nil:
			out[i] = table.Rows
		case fault == slurmfmt.FaultDenied:
			r.Warn(fmt.Sprintf("job %s runs; Slurm shows its use so far to its owner only", id))
		case fault != slurmfmt.FaultNotRunning && fault != slurmfmt.FaultInvalidJob:
			r.Warn(fmt.Sprintf("job %s runs, but sstat does not say what it has used so far: %v", id, err))
		}
	}
	return out
}

func runningID(job efficiency.JobRows) (id slurmfmt.JobID, running bool) {
	for _, row := range job.Rows {
		if parsed, err := row.ID(); err == nil && !parsed.IsStep() {
			id, running = parsed, row.State().API == slurmfmt.StateRunning
		}
	}
	return id, running
}

// rawID is Slurm's plain number of a job, which names its profiles.
func rawID(job efficiency.JobRows) string {
	for _, row := range job.Rows {
		id, err := row.RawID()
		if err != nil {
			id, err = row.ID()
		}
		_, task := id.Task()
		_, set := id.TaskSet()
		_, component := id.Component()
		if err == nil && !task && !set && !component {
			return strconv.FormatUint(id.Base(), 10)
		}
	}
	return ""
}

// chunks cuts a list into pieces of at most n.
func chunks(all []string, n int) func(func([]string) bool) {
	return func(yield func([]string) bool) {
		for len(all) > 0 {
			piece := all[:min(n, len(all))]
			if !yield(piece) {
				return
			}
			all = all[len(piece):]
		}
	}
}
