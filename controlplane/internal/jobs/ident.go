package jobs

import (
	"strings"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/shared/jobkey"
	"github.com/ergon-hpc/ergon/shared/slurmfmt"
)

// ident is what a row says about whose it is.
type ident struct {
	job    string // JobID without the step: 123, 123_4, 123_[1-4], 123+0
	raw    string // JobIDRaw without the step; the job's own id where the dump has no such column
	step   string // "" for the job's own row
	suffix string // what follows the base number in job; "" for a set of pending tasks
	parent string // the base id of an array task, a set or a component
	set    bool   // job stands for array tasks that have not started
}

// identOf reads JobID and JobIDRaw.
func identOf(r *slurmfmt.Record) (ident, error) {
	text := r.Get("JobID")
	if text == "" {
		text = r.Get("JobIDRaw")
	}
	id, err := slurmfmt.ParseJobID(text)
	if err != nil {
		return ident{}, fault("JobID: " + err.Error())
	}
	out := identOfID(id)
	out.step = id.Step().String()
	if out.raw, err = rawOf(r.Get("JobIDRaw"), out.job); err != nil {
		return ident{}, err
	}
	return out, nil
}

func identOfID(id slurmfmt.JobID) ident {
	job := id.Job().String()
	out := ident{job: job, raw: job}
	_, out.set = id.TaskSet()
	_, isTask := id.Task()
	_, isComponent := id.Component()
	if !out.set && !isTask && !isComponent {
		return out
	}
	at := strings.IndexAny(job, "_+")
	out.parent = job[:at]
	if !out.set {
		out.suffix = job[at:]
	}
	return out
}

func rawOf(text, job string) (string, error) {
	if text == "" {
		return job, nil
	}
	id, err := slurmfmt.ParseJobID(text)
	if err != nil {
		return "", fault("JobIDRaw: " + err.Error())
	}
	return id.Job().String(), nil
}

// tagOf finds the submission that a row's comment or submit line names.
func tagOf(r *slurmfmt.Record) *uuid.UUID {
	comment, line := r.Get("Comment"), r.Get("SubmitLine")
	if comment == "" && line == "" {
		return nil
	}
	id, err := jobkey.FindTag(comment, line)
	if err != nil {
		return nil
	}
	return &id
}
