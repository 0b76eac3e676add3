package tariff

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// columns says where start, end (−1: none) and value are.
type columns struct{ start, end, value int }

var columnWords = map[string][]string{
	"start": {"start", "from", "begin", "time", "timestamp", "date", "datetime", "datum von", "datum"},
	"end":   {"end", "to", "until", "stop", "datum bis"},
}

// readCSV reads lines of start,price or start,end,price behind a header, parted by commas, semicolons or tabs. With
// semicolons the decimal mark may be a comma.
func readCSV(text []byte, opt Options) (reading, error) {
	c := csv.NewReader(bytes.NewReader(text))
	c.Comma = delimiter(text)
	c.FieldsPerRecord, c.ReuseRecord, c.LazyQuotes = -1, true, true
	head, err := c.Read()
	if err != nil {
		return reading{}, fmt.Errorf("reading the header: %w", err)
	}
	cols, err := findColumns(head)
	if err != nil {
		return reading{}, err
	}
	var r reading
	l := line{cols: cols, clock: clock{loc: opt.Location}, comma: c.Comma == ';'}
	for {
		fields, err := c.Read()
		if errors.Is(err, io.EOF) {
			return r, nil
		}
		if err != nil {
			return reading{}, fmt.Errorf("this is no CSV: %w", err)
		}
		number, _ := c.FieldPos(0)
		p, err := l.point(fields)
		if err != nil {
			r.fault(number, err)
			continue
		}
		p.line = number
		r.points = append(r.points, p)
	}
}

func delimiter(text []byte) rune {
	head, _, _ := bytes.Cut(text, []byte("\n"))
	for _, d := range ";\t" {
		if bytes.ContainsRune(head, d) {
			return d
		}
	}
	return ','
}

func findColumns(head []string) (columns, error) {
	c := columns{-1, -1, -1}
	for i, name := range head {
		name = strings.ToLower(strings.TrimSpace(name))
		switch {
		case c.start < 0 && isOneOf(name, columnWords["start"]):
			c.start = i
		case c.end < 0 && isOneOf(name, columnWords["end"]):
			c.end = i
		case c.value < 0:
			c.value = i
		}
	}
	if c.start < 0 || c.value < 0 {
		return c, fmt.Errorf("the header %q names no column start and value; write start,price or start,end,price", strings.Join(head, ","))
	}
	return c, nil
}

func isOneOf(name string, words []string) bool {
	for _, w := range words {
		if name == w {
			return true
		}
	}
	return false
}

type line struct {
	cols  columns
	clock clock
	comma bool
}

func (l *line) point(fields []string) (p point, err error) {
	if len(fields) <= max(l.cols.start, l.cols.end, l.cols.value) {
		return p, fmt.Errorf("%d fields", len(fields))
	}
	start, err := l.clock.read(fields[l.cols.start])
	if err != nil {
		return p, err
	}
	p.from = start
	if l.cols.end >= 0 {
		end := clock{loc: l.clock.loc, last: start}
		if p.to, err = end.read(fields[l.cols.end]); err != nil {
			return p, err
		}
		if p.to <= p.from {
			return p, fmt.Errorf("the end is not after the start")
		}
	}
	p.value, p.none, err = l.number(fields[l.cols.value])
	return p, err
}

// number reads a value; nothing, "-" and "null" are a hole.
func (l *line) number(text string) (v float64, none bool, err error) {
	text = strings.TrimSpace(text)
	if text == "" || text == "-" || strings.EqualFold(text, "null") {
		return 0, true, nil
	}
	plain := text
	if l.comma && strings.Contains(text, ",") {
		plain = strings.Replace(strings.ReplaceAll(text, ".", ""), ",", ".", 1)
	}
	v, err = strconv.ParseFloat(plain, 64)
	if err != nil {
		return 0, false, fmt.Errorf("%.40q is no number", text)
	}
	return v, false, nil
}

// clock reads times. In the hour that a zone has twice in autumn, the same wall time as before, or an earlier one, is the
// second: files of a market are in order.
type clock struct {
	loc  *time.Location
	last int64
}

var layouts = []string{
	time.RFC3339, "2006-01-02T15:04Z07:00", "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02 15:04:05", "2006-01-02 15:04",
	"2006-01-02", "02.01.2006 15:04", "02.01.2006 15:04:05", "02.01.2006",
}

func (c *clock) read(text string) (int64, error) {
	text = strings.TrimSpace(text)
	t, err := c.parse(text)
	if err != nil {
		return 0, err
	}
	if t.Nanosecond() != 0 {
		return 0, fmt.Errorf("%.40q is not a whole second", text)
	}
	if !plausible(t.Unix()) {
		return 0, fmt.Errorf("%.40q is not between 1970 and 2200", text)
	}
	c.last = t.Unix()
	return c.last, nil
}

func (c *clock) parse(text string) (time.Time, error) {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && n >= 1e8 {
		if n >= 1e11 {
			return time.UnixMilli(n), nil
		}
		return time.Unix(n, 0), nil
	}
	for i, layout := range layouts {
		t, err := time.ParseInLocation(layout, text, c.loc)
		if err != nil {
			continue
		}
		if i >= 2 {
			t = c.second(t)
		}
		return t, nil
	}
	return time.Time{}, fmt.Errorf("%.40q is no time such as 2026-01-31T13:00:00Z", text)
}

// second gives the later of two instants with the same wall time when the earlier one is past already. Which of them
// time.ParseInLocation takes is not promised.
func (c *clock) second(t time.Time) time.Time {
	same := func(o time.Time) bool { return o.Format(time.DateTime) == t.Format(time.DateTime) }
	first, later := t, t.Add(time.Hour)
	if earlier := t.Add(-time.Hour); same(earlier) {
		first, later = earlier, t
	}
	if first.Unix() <= c.last && same(later) {
		return later
	}
	return first
}
