package slurmfmt

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Case is one line of JSON input: {"id": …, "rows": [{column: value, …}, …]}.
type Case struct {
	// ID is the input's id as text, "" when it has none.
	ID string
	// Records are the rows; each has the columns that its object has, so that
	// Has tells an absent key from an empty one.
	Records []*Record
	// Line is the line's number, from 1.
	Line int
}

// JSONReader reads JSON lines. It is not safe for concurrent use.
type JSONReader struct {
	lines lineReader
	opt   Options
	cols  map[string]*Columns // by joined names: rows of one shape share them
	bad   int
}

// NewJSONReader reads from r, which may be gzip. Options.Columns and Delimiter
// have no meaning here.
func NewJSONReader(r io.Reader, opt Options) (*JSONReader, error) {
	br, err := openText(r)
	if err != nil {
		return nil, err
	}
	if opt.MaxLine <= 0 {
		opt.MaxLine = 16 * DefaultMaxLine
	}
	return &JSONReader{lines: lineReader{br: br, most: opt.MaxLine}, opt: opt, cols: map[string]*Columns{}}, nil
}

// Bad says how many lines were skipped so far.
func (jr *JSONReader) Bad() int { return jr.bad }

// Next gives the next case, io.EOF at the end, or an error of the input itself.
// Lines that are no such JSON are reported to Options.Bad and skipped.
func (jr *JSONReader) Next() (Case, error) {
	for {
		l, err := jr.lines.take()
		if err != nil {
			return Case{}, err
		}
		if l.fault == "" && strings.TrimSpace(l.text) == "" {
			continue
		}
		reason := l.fault
		if reason == "" {
			c, err := jr.parse(l)
			if err == nil {
				return c, nil
			}
			reason = err.Error()
		}
		jr.bad++
		if jr.opt.Bad != nil {
			jr.opt.Bad(BadLine{Number: l.number, Reason: reason, Text: l.text})
		}
	}
}

func (jr *JSONReader) parse(l line) (Case, error) {
	var in struct {
		ID   json.RawMessage              `json:"id"`
		Rows []map[string]json.RawMessage `json:"rows"`
	}
	if err := json.Unmarshal([]byte(l.text), &in); err != nil {
		return Case{}, fmt.Errorf("the line is no JSON object with rows: %w", err)
	}
	if in.Rows == nil {
		return Case{}, errors.New(`the object has no "rows"`)
	}
	c := Case{ID: jsonText(in.ID), Line: l.number, Records: make([]*Record, 0, len(in.Rows))}
	for _, row := range in.Rows {
		c.Records = append(c.Records, jr.record(row, l.number))
	}
	return c, nil
}

func (jr *JSONReader) record(row map[string]json.RawMessage, number int) *Record {
	names := make([]string, 0, len(row))
	for name := range row {
		names = append(names, name)
	}
	slices.Sort(names)
	fields := make([]string, len(names))
	for i, name := range names {
		fields[i] = jsonText(row[name])
	}
	rec := NewRecord(jr.columns(names), fields, jr.opt.Location)
	rec.Line = number
	return rec
}

// columns shares one Columns between rows of one shape, for a bounded number of
// shapes.
func (jr *JSONReader) columns(names []string) *Columns {
	const mostShapes = 256
	key := strings.Join(names, "\x00")
	if c, ok := jr.cols[key]; ok {
		return c
	}
	c := NewColumns(names...)
	if len(jr.cols) < mostShapes {
		jr.cols[key] = c
	}
	return c
}

// jsonText gives a value as the text that sacct would print: strings unquoted,
// null as "", numbers and booleans as written, anything nested as compact JSON.
func jsonText(raw json.RawMessage) string {
	raw = bytes.TrimSpace(raw)
	switch {
	case len(raw) == 0 || string(raw) == "null":
		return ""
	case raw[0] == '"':
		var s string
		if json.Unmarshal(raw, &s) == nil {
			return s
		}
	case raw[0] == '{' || raw[0] == '[':
		var b bytes.Buffer
		if json.Compact(&b, raw) == nil {
			return b.String()
		}
	}
	return string(raw)
}
