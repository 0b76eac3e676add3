package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ergon-hpc/ergon/agent/internal/local"
	"github.com/ergon-hpc/ergon/agent/internal/report"
	"github.com/ergon-hpc/ergon/shared/efficiency"
)

func (a *app) seffCommand() *cobra.Command {
	var output outputFlags
	c := &cobra.Command{
		Use:   "seff JOBID…",
		Short: "Report jobs from the local sacct and profiles, without any server",
		Long: `Report jobs straight from the local Slurm: sacct, sstat for jobs that still run, and the HDF5 profiles that you may
read. Ids are as Slurm prints them: 123, 123_4 (array task), 123+0 (het component), 123.0 (a step: its job is
reported). The base id of an array gives one page for all its tasks; with -o json, csv or yaml one report for each. The
base id of a het job gives each component and the whole; with -o json and yaml the whole is a last object with that id,
its components in attempts.

Exit code 5 says that sacct knows none of the ids or not all of them, 4 that Slurm did not answer.`,
		Example: examples("ergon seff 4711", "ergon seff 4711_3 4712 -o json", "ergon seff 4711 -o csv > tasks.csv"),
		Args:    atLeastOne("a job id, for instance: ergon seff 4711"),
		RunE:    func(c *cobra.Command, args []string) error { return a.seff(c.Context(), args, output) },
	}
	output.register(c)
	return c
}

func (a *app) seff(ctx context.Context, ids []string, output outputFlags) error {
	format, err := output.format()
	if err != nil {
		return err
	}
	warn := a.newWarnings()
	defer warn.close()
	all, missing, err := a.localJobs(ctx, ids, warn)
	if err != nil {
		return err
	}
	if err := a.printJobs(all, format); err != nil {
		return err
	}
	return unknownJobs(missing)
}

// localJobs asks the local Slurm.
func (a *app) localJobs(ctx context.Context, ids []string, warn *warnings) ([]efficiency.Report, []string, error) {
	r, err := a.reporter(warn)
	if err != nil {
		return nil, nil, err
	}
	all, missing, err := r.Jobs(ctx, ids)
	var bad *local.ErrID
	if errors.As(err, &bad) {
		return nil, nil, usageError{err}
	}
	return all, missing, plainFault(err)
}

func unknownJobs(ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	noun := "job"
	if len(ids) > 1 {
		noun = "jobs"
	}
	return statusError{fmt.Errorf("sacct knows no %s %s: check the id and the cluster; a job submitted just now shows up within seconds, "+
		"and very old jobs are purged", noun, strings.Join(ids, ", ")), exitNotFound}
}

// printJobs prints reports; for people the tasks of an array together are one page, and a het job ends with its sum.
func (a *app) printJobs(all []efficiency.Report, format format) error {
	out := a.newReports(format)
	for _, group := range families(all) {
		if format == formatTable && isArray(group) {
			if err := a.printArray(out, group); err != nil {
				return err
			}
			continue
		}
		for _, r := range group {
			if err := out.add(r); err != nil {
				return err
			}
		}
		if isHet(group) {
			if err := a.addTotal(out, group, format); err != nil {
				return err
			}
		}
	}
	return out.close()
}

// addTotal ends a het job with the whole of it: a last part for people, an object of its own for programs. A table of
// CSV has a row for each component only, so that its columns can be added up.
func (a *app) addTotal(out *reports, components []efficiency.Report, format format) error {
	total := efficiency.HetTotal(components)
	switch format {
	case formatCSV:
		return nil
	case formatTable:
		if err := out.close(); err != nil {
			return err
		}
		return report.Whole(a.Out, total, a.style())
	}
	return out.add(total)
}

func (a *app) printArray(out *reports, tasks []efficiency.Report) error {
	if err := out.close(); err != nil {
		return err
	}
	if out.count > 0 {
		fmt.Fprintln(a.Out)
	}
	out.count += len(tasks)
	return report.Array(a.Out, tasks, a.style())
}

// families puts reports of one array or het job that stand together into one group.
func families(all []efficiency.Report) (groups [][]efficiency.Report) {
	for _, r := range all {
		if n := len(groups); n > 0 && r.Job.ParentID != "" && groups[n-1][0].Job.ParentID == r.Job.ParentID {
			groups[n-1] = append(groups[n-1], r)
			continue
		}
		groups = append(groups, []efficiency.Report{r})
	}
	return groups
}

func isHet(group []efficiency.Report) bool { return len(group) > 1 && group[0].Job.HetComponent != nil }

func isArray(group []efficiency.Report) bool { return len(group) > 1 && group[0].Job.ArrayTask != "" }
