package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/agent/internal/local"
	"github.com/ergon-hpc/ergon/shared/api"
	"github.com/ergon-hpc/ergon/shared/slurmfmt"
)

// jobName is what a user may call a job: an id of Slurm's, or the server's uuid.
type jobName struct {
	text  string
	uuid  uuid.UUID // uuid.Nil for Slurm's ids
	slurm slurmfmt.JobID
}

func parseJobName(text string) (jobName, error) {
	text = strings.TrimSpace(text)
	if id, err := uuid.Parse(text); err == nil && len(text) == len(uuid.Nil.String()) {
		return jobName{text: text, uuid: id}, nil
	}
	id, err := slurmfmt.ParseJobID(text)
	if _, set := id.TaskSet(); err != nil || set {
		return jobName{}, usageError{fmt.Errorf("%w, or Ergon's own like 0190c3a8-…", &local.ErrID{Text: text})}
	}
	return jobName{text: id.Job().String(), slurm: id.Job()}, nil
}

// resolve gives the server's jobs of that name: one, or all tasks of an array.
func (r *remote) resolve(ctx context.Context, name jobName, cluster string) ([]api.Job, error) {
	if name.uuid != uuid.Nil {
		job, err := r.job(ctx, name.uuid)
		if err != nil {
			return nil, err
		}
		return []api.Job{*job}, nil
	}
	params := api.ListJobsParams{SlurmJobId: &name.text}
	if cluster != "" {
		params.Cluster = &cluster
	}
	jobs, err := r.jobs(ctx, params, maxTasks)
	if err != nil {
		return nil, err
	}
	if clusters := clustersOf(jobs); len(clusters) > 1 {
		return nil, usageError{ambiguous(name.text, jobs, clusters)}
	}
	return sameJob(name.text, jobs), nil
}

// maxTasks is the largest array that Slurm allows by default, tenfold.
const maxTasks = 10_000

func clustersOf(jobs []api.Job) (names []string) {
	for _, j := range jobs {
		if !slices.Contains(names, j.Cluster) {
			names = append(names, j.Cluster)
		}
	}
	slices.Sort(names)
	return names
}

func ambiguous(text string, jobs []api.Job, clusters []string) error {
	var b strings.Builder
	fmt.Fprintf(&b, "job %s is on %d clusters; say which with --cluster:", text, len(clusters))
	for _, c := range clusters {
		i := slices.IndexFunc(jobs, func(j api.Job) bool { return j.Cluster == c })
		fmt.Fprintf(&b, " %s (%s, %s, submitted %s)", c, deref(jobs[i].Name), jobs[i].State, jobs[i].SubmitAt.Local().Format("2006-01-02 15:04"))
	}
	return fmt.Errorf("%s", b.String())
}

// sameJob keeps, of jobs that got the same number one after the other, the newest with its fellow tasks.
func sameJob(text string, jobs []api.Job) []api.Job {
	seen := map[string]bool{}
	var out []api.Job
	for _, j := range jobs { // newest first
		if !seen[j.SlurmJobId] {
			seen[j.SlurmJobId] = true
			out = append(out, j)
		}
	}
	exact := slices.IndexFunc(out, func(j api.Job) bool { return j.SlurmJobId == text })
	if exact >= 0 && deref(out[exact].ArrayJobId) == "" {
		return out[exact : exact+1]
	}
	return out
}
