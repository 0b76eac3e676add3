package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/ergon-hpc/ergon/shared/efficiency"
	"github.com/ergon-hpc/ergon/shared/hdf5/profile"
	"github.com/ergon-hpc/ergon/shared/slurmfmt"
)

// Options of reading input that somebody else made.
type Options struct {
	// Location is the zone of times without an offset in a dump; nil is UTC.
	Location *time.Location
	// Columns names the columns of a dump without a header line.
	Columns []string
	// Cluster is what the site knows of itself; nil: nothing is assumed.
	Cluster *efficiency.Cluster
	// Stdin is what the name "-" reads.
	Stdin io.Reader
	// Warn is told, in words, of rows and files that are left out.
	Warn func(string)
}

// Explain reads files: dumps of sacct with a header line, JSON lines of the shape {"id", "rows"}, HDF5 profiles, told
// apart by their first bytes. It hands each report to each: those of accounting in the order of the input, then those
// of profiles alone. All profiles of one job together make one report, and refine the job's accounting where that is
// given too. A file that cannot be read does not stop the others; the errors of all come back joined. An error of each
// stops at once.
func Explain(ctx context.Context, names []string, opt Options, each func(efficiency.Report) error) error {
	e := &explainer{Options: opt, each: each, profiles: map[string]*profileGroup{}}
	var texts []*input
	var faults []error
	defer func() {
		for _, in := range texts {
			_ = in.done() // opened for reading only
		}
	}()
	for _, name := range names {
		in, err := open(name, opt.Stdin)
		switch {
		case err != nil:
			faults = append(faults, err)
		case in.kind == kindProfile:
			faults = append(faults, e.addProfile(in))
		default:
			texts = append(texts, in)
		}
	}
	for _, in := range texts {
		err := e.text(ctx, in)
		if e.stopped != nil {
			return e.stopped
		}
		faults = append(faults, err)
	}
	if err := e.leftProfiles(ctx); err != nil {
		return err
	}
	return errors.Join(faults...)
}

type explainer struct {
	Options
	each     func(efficiency.Report) error
	profiles map[string]*profileGroup
	order    []*profileGroup
	stopped  error // the consumer's error, which ends everything
}

// profileGroup holds the profiles of one job.
type profileGroup struct {
	id    string
	files []efficiency.ProfileFile
	used  bool
}

func (e *explainer) addProfile(in *input) (err error) {
	defer func() { err = errors.Join(err, in.done()) }()
	if in.size > maxInput {
		return fmt.Errorf("%s is larger than %d GiB", in.name, maxInput>>30)
	}
	p, err := readProfile(in.name, in.file, in.size, e.Warn)
	if err != nil {
		return err
	}
	if p.State == profile.Empty {
		e.Warn(in.name + " holds no samples (yet)")
	}
	file, job := named(in.name, p)
	if job == "" {
		e.order = append(e.order, &profileGroup{id: filepath.Base(in.name), files: []efficiency.ProfileFile{file}})
		return nil
	}
	group := e.profiles[job]
	if group == nil {
		group = &profileGroup{id: job}
		e.profiles[job] = group
		e.order = append(e.order, group)
	}
	group.files = append(group.files, file)
	return nil
}

func (e *explainer) text(ctx context.Context, in *input) error {
	before := slurmfmt.Options{Columns: e.Columns, Location: e.Location, Bad: func(b slurmfmt.BadLine) {
		e.Warn(fmt.Sprintf("%s: line %d is left out: %s", in.name, b.Number, b.Reason))
	}}
	read := e.dump
	if in.kind == kindJSON {
		read = e.jsonLines
	}
	count, err := read(ctx, in, before)
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", in.name, err)
	case count == 0 && in.kind == kindJSON:
		return fmt.Errorf("%s is %w: no line could be read%s; %s", in.name, ErrInput, jsonHint, Accepted)
	case count == 0:
		return fmt.Errorf("%s: no row could be read; did sacct find a job? %s", in.name, Accepted)
	}
	return nil
}

// jsonHint answers the most likely mistake.
const jsonHint = ` (is it "sacct --json"? That form has wrong exit codes in Slurm 22.05 and is not read; use --parsable2)`

func (e *explainer) jsonLines(ctx context.Context, in *input, opt slurmfmt.Options) (count int, err error) {
	r, err := slurmfmt.NewJSONReader(in.text, opt)
	if err != nil {
		return 0, err
	}
	for {
		c, err := r.Next()
		if errors.Is(err, io.EOF) {
			return count, nil
		}
		if err != nil {
			return count, err
		}
		count++
		if len(c.Records) == 0 {
			e.Warn(fmt.Sprintf("%s: line %d has no rows: nothing to explain", in.name, c.Line))
		}
		if err := e.analyse(ctx, c.ID, c.Records); err != nil {
			return count, err
		}
	}
}

// dump reads the whole dump before it reports: rows of one job need not stand together.
func (e *explainer) dump(ctx context.Context, in *input, opt slurmfmt.Options) (int, error) {
	r, err := slurmfmt.NewReader(in.text, opt)
	if err != nil {
		return 0, fmt.Errorf("%w; %s", err, Accepted)
	}
	if err := checkColumns(r.Columns()); err != nil {
		return 0, err
	}
	var rows []*slurmfmt.Record
	for {
		row, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return len(rows), fmt.Errorf("after %d rows: %w", len(rows), err)
		}
		rows = append(rows, row.Clone())
	}
	return len(rows), e.analyse(ctx, "", rows)
}

// oldNames are columns that reports read beside those that Ergon asks for.
var oldNames = []string{"Elapsed", "Timelimit", "NCPUS", "ReqCPUS", "ReqCPUs", "ConsumedEnergy"}

// checkColumns refuses a table that has nothing to do with Slurm.
func checkColumns(c *slurmfmt.Columns) error {
	for _, name := range append(slurmfmt.SacctColumns(), oldNames...) {
		if c.Index(name) >= 0 {
			return nil
		}
	}
	first := strings.Join(c.Names()[:min(3, len(c.Names()))], ", ")
	return fmt.Errorf("%w: no column of sacct among its names (%q…); %s", ErrInput, first, Accepted)
}

// analyse reports each job of the rows. Every report carries the input's id, where the input has one.
func (e *explainer) analyse(ctx context.Context, id string, rows []*slurmfmt.Record) error {
	for _, job := range efficiency.Group(rows) {
		in := efficiency.Input{ID: id, Rows: job.Rows, Cluster: e.Cluster}
		if group := e.profiles[rawID(job)]; group != nil {
			in.Profiles, group.used = group.files, true
		}
		if err := e.hand(ctx, in); err != nil {
			return err
		}
	}
	return nil
}

func (e *explainer) hand(ctx context.Context, in efficiency.Input) error {
	err := ctx.Err()
	if err == nil {
		err = e.each(efficiency.Analyse(in))
	}
	e.stopped = err
	return err
}

// leftProfiles reports the jobs whose accounting was not given.
func (e *explainer) leftProfiles(ctx context.Context) error {
	for _, group := range slices.DeleteFunc(e.order, func(g *profileGroup) bool { return g.used }) {
		if err := e.hand(ctx, efficiency.Input{ID: group.id, Profiles: group.files, Cluster: e.Cluster}); err != nil {
			return err
		}
	}
	return nil
}
