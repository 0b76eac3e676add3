package dump

import (
	"context"
	"errors"
	"io"
	"strings"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
	"github.com/ergon-hpc/ergon/controlplane/internal/jobs"
	"github.com/ergon-hpc/ergon/shared/slurmfmt"
)

// file is one dump on its way.
type file struct {
	im      *Importer
	name    string
	cols    *slurmfmt.Columns
	chunks  chan *chunk
	bad     []Rejected
	counted int64
}

// chunk is some rows of one cluster, or bad rows only.
type chunk struct {
	rows     []*slurmfmt.Record
	prepared *jobs.Prepared
	cluster  jobs.Cluster
	bad      []Rejected
	read     int64 // rows of the dump up to here, since the chunk before
	last     bool  // orphans have no other chance
}

func (f *file) read(ctx context.Context, r io.Reader) error {
	opt := slurmfmt.Options{Columns: f.im.opt.Columns, Delimiter: f.im.opt.Delimiter, Location: f.im.opt.Location, Bad: func(b slurmfmt.BadLine) {
		f.counted++
		f.bad = append(f.bad, Rejected{File: f.name, Line: b.Number, Reason: b.Reason, Text: b.Text})
	}}
	rd, err := slurmfmt.NewReader(r, opt)
	if err != nil {
		return apperr.Wrap(apperr.InvalidRequest, "this is no parsable dump of sacct: "+err.Error(), err).
			WithHint("make one with `sacct -a -D -P -o ALL -S …`, or name the columns with --columns")
	}
	f.cols = slurmfmt.NewColumns(jobs.CanonicalColumns(rd.Columns().Names())...)
	if len(f.cols.Names()) > 0 && f.cols.Index("JobID") < 0 && f.cols.Index("JobIDRaw") < 0 {
		return apperr.Newf(apperr.InvalidRequest, "the dump has no column JobID; its columns are %s", strings.Join(f.cols.Names(), ", ")).
			WithHint("a dump without a header line needs --columns")
	}
	return f.rows(ctx, rd)
}

func (f *file) rows(ctx context.Context, rd *slurmfmt.Reader) error {
	parts := map[string]*chunk{}
	pending := 0
	for {
		r, err := rd.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		f.counted++
		own := slurmfmt.NewRecord(f.cols, f.fields(r), f.im.opt.Location)
		own.Line = r.Line
		if pending >= f.im.opt.ChunkRows && (!isStep(own) || pending >= 4*f.im.opt.ChunkRows) {
			if err := f.flush(ctx, parts); err != nil {
				return err
			}
			pending = 0
		}
		c, err := f.im.cluster(ctx, own)
		if apperr.Is(err, apperr.InvalidRequest) {
			f.bad = append(f.bad, f.rejected(own, err.(*apperr.Error).Message)) //nolint:errorlint,forcetypeassert // apperr.Is
			continue
		}
		if err != nil {
			return err
		}
		if parts[c.ID] == nil {
			parts[c.ID] = &chunk{cluster: c}
		}
		parts[c.ID].rows = append(parts[c.ID].rows, own)
		pending++
	}
	return f.flush(ctx, parts)
}

func (f *file) fields(r *slurmfmt.Record) []string {
	out := make([]string, len(f.cols.Names()))
	for i := range out {
		out[i] = r.At(i)
	}
	return out
}

// isStep spares the parsing: only a step's id has a dot.
func isStep(r *slurmfmt.Record) bool { return strings.IndexByte(r.Get("JobID"), '.') >= 0 }

// flush hands what was read to the other side. Preparing happens here, beside the storing of the chunk before.
func (f *file) flush(ctx context.Context, parts map[string]*chunk) error {
	if len(parts) == 0 && (len(f.bad) > 0 || f.counted > 0) {
		parts[""] = &chunk{}
	}
	for id, c := range parts {
		delete(parts, id)
		if len(c.rows) > 0 {
			c.prepared = jobs.Prepare(jobs.Batch{Cluster: c.cluster, Rows: c.rows, OnlyMeasured: true, Intake: f.im.opt.Intake})
		}
		c.bad, c.read = f.bad, f.counted
		f.bad, f.counted = nil, 0
		select {
		case f.chunks <- c:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (f *file) rejected(r *slurmfmt.Record, reason string) Rejected {
	var text []string
	for i := range f.cols.Names() {
		text = append(text, r.At(i))
	}
	return Rejected{File: f.name, Line: r.Line, Reason: reason, Text: strings.Join(text, "|")}
}
