package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/ergon-hpc/ergon/controlplane/internal/jobs/dump"
)

// rejects adds rows that cannot be used to a file, made with the first of them, and names the first few on standard error.
// It adds: the rows of an earlier import may not have been looked at yet, and stand nowhere else.
type rejects struct {
	path   string
	stderr io.Writer
	file   *os.File
	count  int
}

// namedRejects is how many rejected rows are named on standard error.
const namedRejects = 10

func newRejects(path string, stderr io.Writer) *rejects { return &rejects{path: path, stderr: stderr} }

func (r *rejects) add(row dump.Rejected) error {
	if r.file == nil {
		f, err := os.OpenFile(r.path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
		if err != nil {
			return fmt.Errorf("opening the reject file: %w", err)
		}
		r.file = f
	}
	r.count++
	if r.count <= namedRejects {
		fmt.Fprintf(r.stderr, "%s:%d: %s\n", row.File, row.Line, printable(row.Reason))
	}
	if r.count == namedRejects+1 {
		fmt.Fprintf(r.stderr, "more rejected rows are in %s\n", r.path)
	}
	_, err := fmt.Fprintf(r.file, "%s:%d\t%s\t%s\n", row.File, row.Line, oneLine(row.Reason), oneLine(row.Text))
	return err
}

func (r *rejects) close() error {
	if r.file == nil {
		return nil
	}
	return errors.Join(r.file.Sync(), r.file.Close())
}

// oneLine keeps a row on its line of the reject file.
func oneLine(s string) string {
	return strings.NewReplacer("\n", `\n`, "\r", `\r`, "\t", `\t`).Replace(s)
}

// printable takes control characters out of text that came from a dump, so that it cannot write on the terminal.
func printable(s string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f || c >= 0x80 && c < 0xa0 {
			return '?'
		}
		return c
	}, s)
}
