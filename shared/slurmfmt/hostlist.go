package slurmfmt

import (
	"errors"
	"fmt"
	"math/bits"
	"strconv"
	"strings"
)

// ErrHostList is wrapped by every syntax error of a host list.
var ErrHostList = errors.New("not a host list")

// maxHostListBytes and maxHostParts bound hostile text.
const (
	maxHostListBytes = 1 << 20
	maxHostParts     = 1 << 16
	mostHosts        = 1 << 40 // per part, for counting
)

// hostGroup is one comma-separated part: literal text and number ranges in turn.
type hostGroup struct{ parts []hostPart }

// hostPart is literal text, or ranges when ranges is not nil.
type hostPart struct {
	text   string
	ranges []hostRange
}

// hostRange is 001-010; width keeps the zeros.
type hostRange struct {
	first, last uint64
	width       int
}

// CountHosts counts the hosts of a list such as n[1-3,5],gpu07 without expanding
// it. Empty text and "None assigned" are 0 hosts. Hosts listed twice count twice.
func CountHosts(s string) (uint64, error) {
	groups, err := parseHostList(s)
	if err != nil {
		return 0, err
	}
	return countGroups(s, groups)
}

// ExpandHosts lists the hosts in order, ErrTooMany beyond limit.
func ExpandHosts(s string, limit int) ([]string, error) {
	groups, err := parseHostList(s)
	if err != nil {
		return nil, err
	}
	n, err := countGroups(s, groups)
	if err != nil {
		return nil, err
	}
	if limit < 0 || n > uint64(limit) {
		return nil, fmt.Errorf("%w: %d hosts, limit %d", ErrTooMany, n, limit)
	}
	out := make([]string, 0, n)
	for _, g := range groups {
		out = g.expand(out, nil, 0)
	}
	return out, nil
}

func countGroups(s string, groups []hostGroup) (total uint64, err error) {
	for _, g := range groups {
		n := uint64(1)
		for _, p := range g.parts {
			hi, lo := bits.Mul64(n, p.count())
			if hi != 0 || lo > mostHosts {
				return 0, fmt.Errorf("%w: %s", ErrTooMany, strconv.Quote(clip(s)))
			}
			n = lo
		}
		total += n
	}
	return total, nil
}

func (p hostPart) count() uint64 {
	if p.ranges == nil {
		return 1
	}
	n := uint64(0)
	for _, r := range p.ranges {
		n = min(n+r.last-r.first+1, mostHosts+1) // cannot wrap: a range is below 10^18
	}
	return n
}

func (g hostGroup) expand(out []string, prefix []byte, i int) []string {
	if i == len(g.parts) {
		return append(out, string(prefix))
	}
	p := g.parts[i]
	if p.ranges == nil {
		return g.expand(out, append(prefix, p.text...), i+1)
	}
	for _, r := range p.ranges {
		for n := r.first; ; n++ {
			out = g.expand(out, appendPadded(prefix, n, r.width), i+1)
			if n == r.last {
				break
			}
		}
	}
	return out
}

func appendPadded(b []byte, n uint64, width int) []byte {
	digits := strconv.FormatUint(n, 10)
	for range width - len(digits) {
		b = append(b, '0')
	}
	return append(b, digits...)
}

func parseHostList(s string) ([]hostGroup, error) {
	switch {
	case s == "" || s == "None assigned" || s == "(null)":
		return nil, nil
	case len(s) > maxHostListBytes:
		return nil, badHosts(s, "is too long")
	}
	var groups []hostGroup
	for rest, more := s, true; more; {
		var g hostGroup
		var err error
		if g, rest, more, err = parseHostGroup(rest); err != nil {
			return nil, badHosts(s, err.Error())
		}
		groups = append(groups, g)
	}
	return groups, nil
}

func badHosts(s, why string) error {
	return fmt.Errorf("%w: %q %s", ErrHostList, clip(s), why)
}

// parseHostGroup reads up to the next comma outside brackets.
func parseHostGroup(s string) (g hostGroup, rest string, more bool, err error) {
	for {
		i := strings.IndexAny(s, "[],")
		if i < 0 {
			return g.text(s), "", false, g.text(s).check()
		}
		g = g.text(s[:i])
		switch s[i] {
		case ',':
			return g, s[i+1:], true, g.check()
		case ']':
			return g, "", false, errors.New("has a bracket that was never opened")
		}
		body, tail, ok := strings.Cut(s[i+1:], "]")
		if !ok {
			return g, "", false, errors.New("has a bracket that never closes")
		}
		ranges, err := parseHostRanges(body)
		if err != nil {
			return g, "", false, err
		}
		g.parts = append(g.parts, hostPart{ranges: ranges})
		s = tail
	}
}

func (g hostGroup) text(s string) hostGroup {
	if s != "" {
		g.parts = append(g.parts, hostPart{text: s})
	}
	return g
}

// check refuses empty names and names with blanks or control bytes.
func (g hostGroup) check() error {
	const mostParts = 32 // Slurm itself stops at a few dimensions
	if len(g.parts) == 0 || len(g.parts) > mostParts {
		return errors.New("has an empty or overlong name")
	}
	const longestName = 1024
	length := 0
	for _, p := range g.parts {
		if length += len(p.text); length > longestName {
			return errors.New("has an overlong name")
		}
		if strings.ContainsFunc(p.text, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
			return errors.New("has a name with blanks or control characters")
		}
	}
	return nil
}

func parseHostRanges(body string) ([]hostRange, error) {
	if strings.Count(body, ",") >= maxHostParts {
		return nil, errors.New("has too many ranges")
	}
	var ranges []hostRange
	for part := range strings.SplitSeq(body, ",") {
		first, last, isRange := strings.Cut(part, "-")
		if !isRange {
			last = first
		}
		lo, ok1 := parsePlain(first)
		hi, ok2 := parsePlain(last)
		const widest = 18
		if !ok1 || !ok2 || hi < lo || len(first) > widest || len(last) > widest {
			return nil, fmt.Errorf("has a bad range %q", clip(part))
		}
		ranges = append(ranges, hostRange{lo, hi, rangeWidth(first)})
	}
	return ranges, nil
}

// rangeWidth: only a leading zero asks for padding; n[8-10] has none.
func rangeWidth(first string) int {
	if len(first) > 1 && first[0] == '0' {
		return len(first)
	}
	return 0
}
