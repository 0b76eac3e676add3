package slurm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/ergon-hpc/ergon/shared/slurmfmt"
)

// each runs a command that prints a table and calls row for one row after the other while they come, so that no more than
// a line of the answer is held. The rows are a whole answer only when it gives no error. row is called from another
// goroutine, which has ended when each returns.
func (r *Runner) each(ctx context.Context, opt slurmfmt.Options, row func(*slurmfmt.Record), command string, args ...string) (t Table, err error) {
	err = r.Count(ctx, command, func(ctx context.Context) error {
		from, to := io.Pipe()
		read := make(chan error, 1)
		go func() {
			var err error
			t, err = parse(from, opt, row)
			_ = from.CloseWithError(io.ErrClosedPipe) // or a command that goes on printing would wait until its deadline
			read <- err
		}()
		_, err := r.exec(ctx, to, command, args)
		_ = to.CloseWithError(err) // nil is the end of the answer, anything else keeps a part from being taken for it
		if unread := <-read; unread != nil && !errors.Is(unread, err) {
			return unread
		}
		return err
	})
	if err != nil {
		return Table{}, err
	}
	return t, nil
}

// keepBad is how many unreadable rows are kept for the log, and keepText how many bytes of each: a row may be a MiB long and
// holds what users wrote.
const (
	keepBad  = 3
	keepText = 80
)

// parse reads to the end of in and gives a table without rows; row gets them.
func parse(in io.Reader, opt slurmfmt.Options, row func(*slurmfmt.Record)) (Table, error) {
	t := Table{Columns: opt.Columns}
	opt.Bad = func(b slurmfmt.BadLine) {
		if len(t.BadText) < keepBad {
			t.BadText = append(t.BadText, fmt.Sprintf("line %d: %s: %q", b.Number, b.Reason, b.Text[:min(len(b.Text), keepText)]))
		}
	}
	reader, err := slurmfmt.NewReader(in, opt)
	if err != nil {
		return Table{}, fmt.Errorf("reading Slurm's output: %w", err)
	}
	for {
		rec, err := reader.Next()
		if errors.Is(err, io.EOF) {
			t.Bad = reader.Bad()
			return t, nil
		}
		if err != nil {
			return Table{}, fmt.Errorf("reading Slurm's output: %w", err)
		}
		row(rec)
	}
}

// compact gives a row that may be kept. It holds the text of its fields alone, not the line that they were cut from, of which
// the delimiters of our own calls are the larger part.
func compact(rec *slurmfmt.Record) *slurmfmt.Record {
	fields := Fields(rec)
	text := strings.Join(fields, "")
	for i, f := range fields {
		fields[i], text = text[:len(f)], text[len(f):]
	}
	return slurmfmt.NewRecord(rec.Columns(), fields, nil)
}
