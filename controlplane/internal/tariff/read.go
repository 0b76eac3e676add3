package tariff

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/ergon-hpc/ergon/shared/efficiency"
)

// Options say how a file is read.
type Options struct {
	Kind     Kind
	Location *time.Location // of times without an offset; nil is UTC
}

// Fault is a line (of SMARD: an entry) that cannot be used.
type Fault struct {
	Line   int    `json:"line"`
	Reason string `json:"reason"`
}

// File is what was read. Intervals are in order and do not overlap.
type File struct {
	Intervals []efficiency.Interval
	Lines     int // with a value, good or bad
	Empty     int // without a value: that time has none
	Faults    []Fault
	SMARD     bool
}

// maxFile is far above a century of quarters of an hour.
const maxFile = 256 << 20

var errTooLarge = fmt.Errorf("more than %d MiB: this is no file of prices", maxFile>>20)

// Read reads a CSV file with a header (start,price or start,end,price) or SMARD's chart_data JSON. An error means that
// nothing of it can be used; single bad lines are in Faults.
func Read(in io.Reader, opt Options) (File, error) {
	if opt.Location == nil {
		opt.Location = time.UTC
	}
	text, err := io.ReadAll(io.LimitReader(in, maxFile+1))
	if err != nil {
		return File{}, fmt.Errorf("reading: %w", err)
	}
	if len(text) > maxFile {
		return File{}, errTooLarge
	}
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	head, err := bufio.NewReader(bytes.NewReader(bytes.TrimLeft(text, " \t\r\n"))).Peek(1)
	if err != nil {
		return File{}, errors.New("the file is empty")
	}
	var r reading
	if head[0] == '{' {
		r, err = readSMARD(text)
	} else {
		r, err = readCSV(text, opt)
	}
	if err != nil {
		return File{}, err
	}
	return r.file(opt.Kind)
}

// point is a line: a value from a time on, to an end where the file says one.
type point struct {
	line     int
	from, to int64 // to is 0 where the file does not say
	value    float64
	none     bool // an explicit hole
}

type reading struct {
	points []point
	faults []Fault
	smard  bool
}

func (r *reading) fault(line int, err error) {
	r.faults = append(r.faults, Fault{line, err.Error()})
}

// file checks, orders and closes the points.
func (r *reading) file(kind Kind) (File, error) {
	f := File{SMARD: r.smard}
	r.points = slices.DeleteFunc(r.points, func(p point) bool {
		if p.none {
			return false
		}
		err := CheckValue(kind, p.value)
		if err != nil {
			r.fault(p.line, err)
		}
		return err != nil
	})
	slices.SortStableFunc(r.points, func(a, b point) int { return int(max(-1, min(1, a.from-b.from))) })
	if err := r.close(); err != nil {
		return f, err
	}
	for _, p := range r.points {
		if p.none {
			f.Empty++
			continue
		}
		f.Lines++
		iv := efficiency.Interval{From: p.from, To: p.to, Value: p.value}
		if n := len(f.Intervals); n > 0 && f.Intervals[n-1].To > iv.From {
			if f.Intervals[n-1] != iv {
				r.fault(p.line, fmt.Errorf("overlaps the value from %s", stamp(f.Intervals[n-1].From)))
			}
			continue
		}
		f.Intervals = append(f.Intervals, iv)
	}
	f.Lines += len(r.faults)
	f.Faults = r.faults
	slices.SortStableFunc(f.Faults, func(a, b Fault) int { return a.Line - b.Line })
	return f, nil
}

// close gives points without an end one: the next start, unless that is a hole. A hole is a step more than half longer
// than both its neighbors; the value before it lasts as long as the longer of these.
func (r *reading) close() error {
	starts := make([]int64, 0, len(r.points))
	for _, p := range r.points {
		if len(starts) == 0 || starts[len(starts)-1] != p.from {
			starts = append(starts, p.from)
		}
	}
	for i := range r.points {
		p := &r.points[i]
		if p.to != 0 || p.none {
			continue
		}
		at, _ := slices.BinarySearch(starts, p.from)
		length := lasts(starts, at)
		if length <= 0 {
			return errors.New("a single value without an end lasts for no known time; add a column end, or use --constant")
		}
		p.to = p.from + length
	}
	return nil
}

func lasts(starts []int64, i int) int64 {
	step := func(i int) int64 {
		if i < 0 || i+1 >= len(starts) {
			return 0
		}
		return starts[i+1] - starts[i]
	}
	own, near := step(i), max(step(i-1), step(i+1))
	if own == 0 || near > 0 && own > near+near/2 {
		return near
	}
	return own
}

func stamp(unix int64) string { return time.Unix(unix, 0).UTC().Format(time.RFC3339) }
