package slurmfmt

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"strings"
)

const readBuffer = 1 << 16

// openText unpacks gzip by its magic number and drops a byte order mark.
func openText(r io.Reader) (*bufio.Reader, error) {
	br := bufio.NewReaderSize(r, readBuffer)
	if magic, _ := br.Peek(2); bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		zr, err := gzip.NewReader(br)
		if err != nil {
			return nil, fmt.Errorf("opening gzip input: %w", err)
		}
		br = bufio.NewReaderSize(zr, readBuffer)
	}
	if bom, _ := br.Peek(3); string(bom) == "\ufeff" {
		if _, err := br.Discard(3); err != nil {
			return nil, fmt.Errorf("reading input: %w", err)
		}
	}
	return br, nil
}

// line is one physical line without its end.
type line struct {
	text   string
	number int
	fault  string // why the line cannot be used; text then holds only its start
}

// lineReader reads bounded lines and hands out one line of lookahead.
type lineReader struct {
	br     *bufio.Reader
	most   int
	number int
	long   []byte // collects a line that passes the buffer
	ahead  line
	peeked bool
	err    error // sticky
}

// peek shows the next line without taking it; ok is false at the end.
func (lr *lineReader) peek() (l line, ok bool) {
	if !lr.peeked && lr.err == nil {
		lr.ahead, lr.err = lr.read()
		lr.peeked = lr.err == nil
	}
	return lr.ahead, lr.peeked
}

// take gives the next line, or the sticky error, io.EOF at the end.
func (lr *lineReader) take() (line, error) {
	if _, ok := lr.peek(); !ok {
		return line{}, lr.err
	}
	lr.peeked = false
	return lr.ahead, nil
}

func (lr *lineReader) read() (line, error) {
	raw, tooLong, err := lr.readRaw()
	if err != nil && !(errors.Is(err, io.EOF) && len(raw) > 0) {
		if errors.Is(err, io.EOF) {
			return line{}, io.EOF
		}
		return line{}, fmt.Errorf("reading line %d: %w", lr.number+1, err)
	}
	lr.number++
	l := line{number: lr.number}
	if tooLong {
		l.text = clip(string(raw[:min(len(raw), 128)]))
		l.fault = fmt.Sprintf("the line is longer than %d bytes", lr.most)
		return l, nil
	}
	// A run of NULs at a line's start is a hole that log rotation left.
	raw = bytes.TrimLeft(raw, "\x00")
	l.text = string(raw)
	if strings.IndexByte(l.text, 0) >= 0 {
		l.fault = "the line holds NUL bytes: the file is damaged here"
	}
	return l, nil
}

// readRaw gives the next line without its end. The bytes are valid until the
// next call. A line over the bound is consumed whole and only its start kept.
func (lr *lineReader) readRaw() (raw []byte, tooLong bool, err error) {
	raw, err = lr.br.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		lr.long = append(lr.long[:0], raw...)
		for errors.Is(err, bufio.ErrBufferFull) {
			raw, err = lr.br.ReadSlice('\n')
			if len(lr.long) <= lr.most {
				lr.long = append(lr.long, raw...)
			}
		}
		raw = lr.long
	}
	return trimEnd(raw), len(trimEnd(raw)) > lr.most, err
}

// trimEnd drops \n or \r\n. An empty last line must still count as read, so the
// caller looks at err first.
func trimEnd(b []byte) []byte {
	if n := len(b); n > 0 && b[n-1] == '\n' {
		b = b[:n-1]
	}
	if n := len(b); n > 0 && b[n-1] == '\r' {
		b = b[:n-1]
	}
	return b
}
