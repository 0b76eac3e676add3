package slurmfmt

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// DefaultMaxLine bounds one line, and one row that several lines make up.
const DefaultMaxLine = 1 << 20

// Options tell a Reader or JSONReader how to read.
type Options struct {
	// Columns names the columns of a dump without a header; nil: the first line
	// is the header. A first line that repeats these names is skipped.
	Columns []string
	// Delimiter separates the fields; "" detects it from the first lines.
	Delimiter string
	// Location is the zone of times without an offset; nil: UTC.
	Location *time.Location
	// MaxLine bounds a line in bytes; 0: DefaultMaxLine (JSONReader: 16 times that).
	MaxLine int
	// Bad is called for each row that could not be read; nil: they are only counted.
	Bad func(BadLine)
}

// BadLine is a row that was skipped.
type BadLine struct {
	// Number is the number of the row's first line, from 1.
	Number int
	// Reason says why, in words for a human.
	Reason string
	// Text is the row as it was read, whole; of a line beyond Options.MaxLine only
	// the start.
	Text string
}

// ErrNotParsable is returned for input that is no parsable dump.
var ErrNotParsable = errors.New("not parsable Slurm output")

// Reader reads dumps of sacct, sstat or squeue in parsable form, with millions of
// rows if need be. Rows whose free text holds the delimiter or newlines are put
// back together where that is unambiguous. With a delimiter that users know, such
// as "|", a job name with a newline can still pretend to be a row: ask Slurm with
// SacctArgs and a fresh Delimiter. It is not safe for concurrent use.
type Reader struct {
	lines     lineReader
	opt       Options
	cols      *Columns
	kinds     []colKind
	repair    repairer
	firstFree int  // the columns before it are typed
	idFirst   bool // a job id is among them: it shows where rows start
	delimiter string
	trailing  bool // --parsable: each row ends with the delimiter
	header    string
	tokens    []string
	rec       Record
	bad       int
}

// NewReader reads the header and finds out the delimiter. Input may be gzip.
// Empty input is not an error: Next then gives io.EOF and Columns is empty.
func NewReader(r io.Reader, opt Options) (*Reader, error) {
	br, err := openText(r)
	if err != nil {
		return nil, err
	}
	if opt.MaxLine <= 0 {
		opt.MaxLine = DefaultMaxLine
	}
	rd := &Reader{lines: lineReader{br: br, most: opt.MaxLine}, opt: opt, delimiter: opt.Delimiter}
	if err := rd.start(); err != nil {
		return nil, err
	}
	return rd, nil
}

func (rd *Reader) start() error {
	if rd.opt.Columns == nil {
		return rd.readHeader()
	}
	rd.setColumns(rd.opt.Columns)
	sample := rd.sample()
	if rd.delimiter == "" {
		rd.delimiter = guessDelimiter(sample, len(rd.opt.Columns))
	}
	rd.trailing = endsWithDelimiter(sample, rd.delimiter, len(rd.opt.Columns))
	rd.header = strings.Join(rd.opt.Columns, rd.delimiter)
	return nil
}

// sample gives the whole lines within the read buffer, without taking them.
func (rd *Reader) sample() []string {
	buf, _ := rd.lines.br.Peek(readBuffer)
	text := string(buf)
	if i := strings.LastIndexByte(text, '\n'); i >= 0 && len(buf) == readBuffer {
		text = text[:i]
	}
	return strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n")
}

func (rd *Reader) readHeader() error {
	l, err := rd.lines.take()
	for err == nil && l.text == "" && l.fault == "" {
		l, err = rd.lines.take()
	}
	switch {
	case errors.Is(err, io.EOF):
		rd.setColumns(nil)
		return nil
	case err != nil:
		return err
	case l.fault != "":
		return fmt.Errorf("%w: header: %s", ErrNotParsable, l.fault)
	}
	if rd.delimiter == "" {
		if rd.delimiter, err = headerDelimiter(l.text); err != nil {
			return err
		}
	}
	names := splitInto(nil, l.text, rd.delimiter)
	if quoted, ok := splitQuoted(nil, l.text, ','); ok && rd.delimiter == "," {
		names = quoted
	}
	if len(names) > 1 && names[len(names)-1] == "" {
		names, rd.trailing = names[:len(names)-1], true
	}
	if err := checkHeader(names, l.text); err != nil {
		return err
	}
	rd.header = l.text
	rd.setColumns(names)
	return nil
}

func (rd *Reader) setColumns(names []string) {
	rd.cols = NewColumns(names...)
	rd.kinds = make([]colKind, len(names))
	for i, name := range rd.cols.names {
		rd.kinds[i] = kindOfColumn(name)
	}
	rd.repair = repairer{rd.kinds}
	rd.firstFree = slices.IndexFunc(rd.kinds, colKind.free)
	if rd.firstFree < 0 {
		rd.firstFree = len(names)
	}
	rd.idFirst = slices.Contains(rd.kinds[:rd.firstFree], colID)
	rd.rec = Record{cols: rd.cols, loc: rd.opt.Location, fields: make([]string, len(names))}
}

// Columns gives the header; positions found in it hold for every record.
func (rd *Reader) Columns() *Columns { return rd.cols }

// Delimiter gives the delimiter in use.
func (rd *Reader) Delimiter() string { return rd.delimiter }

// Bad says how many rows were skipped so far.
func (rd *Reader) Bad() int { return rd.bad }

// Next gives the next row, io.EOF at the end, or an error of the input itself
// (I/O, corrupt gzip). The record is valid until the following call; Clone keeps
// it. Its strings may be kept.
func (rd *Reader) Next() (*Record, error) {
	for {
		l, err := rd.lines.take()
		if err != nil {
			return nil, err
		}
		switch {
		case l.fault != "":
			rd.report(l, l.fault)
		case l.text == "" || l.text == rd.header:
		case rd.row(l):
			return &rd.rec, nil
		}
	}
}

func (rd *Reader) report(l line, reason string) {
	rd.bad++
	if rd.opt.Bad != nil {
		rd.opt.Bad(BadLine{Number: l.number, Reason: reason, Text: l.text})
	}
}

// split cuts text into rd.tokens and drops the empty field after a trailing
// delimiter.
func (rd *Reader) split(text string) []string {
	rd.tokens = rd.tokens[:0]
	if rd.delimiter == "," && strings.Contains(text, `"`) {
		if t, ok := splitQuoted(rd.tokens, text, ','); ok && len(t) >= len(rd.kinds) {
			rd.tokens = t
			return rd.dropTrailing()
		}
	}
	rd.tokens = splitInto(rd.tokens[:0], text, rd.delimiter)
	return rd.dropTrailing()
}

func (rd *Reader) dropTrailing() []string {
	if n := len(rd.tokens); rd.trailing && n > 1 && rd.tokens[n-1] == "" {
		rd.tokens = rd.tokens[:n-1]
	}
	return rd.tokens
}
