package slurmfmt

import (
	"math"
	"math/bits"
	"strconv"
	"strings"
)

func parseSize(s string, unit uint64) Size {
	if k, ok := wordKind(s); ok {
		return Size{Kind: sizeWord(k)}
	}
	body, uncertain := strings.CutSuffix(s, "?")
	n, ok := parseScientific(body)
	if !ok {
		n, ok = parseUnits(body, unit)
	}
	switch {
	case !ok:
		return Size{Kind: Invalid}
	case isUnset(n):
		return Size{}
	case n.hi != 0 || n.lo > math.MaxInt64:
		return Size{Kind: Invalid}
	}
	return Size{Kind: Known, Bytes: int64(n.lo), Uncertain: uncertain}
}

// sizeWord narrows the words: a size has no "not yet" or "never".
func sizeWord(k Kind) Kind {
	if k == NotYet || k == Never {
		return Missing
	}
	if k == PartitionLimit {
		return Invalid
	}
	return k
}

// amount is a 128-bit count, so that a value beyond int64 is recognized as an
// unset mark or as an overflow instead of wrapping.
type amount struct {
	hi, lo     uint64
	fractional bool // it had a fraction that is not zero
}

// isUnset recognizes 2^64−1 and 2^64−2 in all the shapes that unit conversion
// gives them: 18446744073709551614, 1.84467e+19, 17592186044415M, 16777216.00T,
// 16E. Anything within 0.1 % of 2^64 counts: no such memory exists.
func isUnset(n amount) bool {
	const tolerance = uint64(1) << 54
	return (n.hi == 0 && n.lo >= math.MaxUint64-tolerance) || (n.hi == 1 && n.lo <= tolerance)
}

// parseUnits reads digits[.digits][suffix] as a count of bytes; unit applies
// when there is no suffix.
func parseUnits(s string, unit uint64) (amount, bool) {
	if s == "" {
		return amount{}, false
	}
	if m, ok := suffixUnit(s[len(s)-1]); ok {
		s, unit = s[:len(s)-1], m
	}
	whole, frac, hasFrac := strings.Cut(s, ".")
	n, ok := parsePlain(whole)
	if !ok || (hasFrac && !allDigits(frac)) {
		return amount{}, false
	}
	if unit == 1<<20 && (n == noVal32 || n == infinite32) && strings.Trim(frac, "0") == "" {
		return amount{lo: noVal64}, true
	}
	a := amount{fractional: strings.Trim(frac, "0") != ""}
	a.hi, a.lo = bits.Mul64(n, unit)
	var carry uint64
	a.lo, carry = bits.Add64(a.lo, fractionOf(frac, unit), 0)
	a.hi += carry
	return a, true
}

// fractionOf gives unit × 0.frac, rounded to the nearest whole. 18 digits are
// more than any unit can show.
func fractionOf(frac string, unit uint64) uint64 {
	if len(frac) > 18 {
		frac = frac[:18]
	}
	n, ok := parsePlain(frac)
	if !ok || n == 0 {
		return 0
	}
	scale := uint64(1)
	for range len(frac) {
		scale *= 10
	}
	hi, lo := bits.Mul64(n, unit)
	q, rem := bits.Div64(hi, lo, scale)
	if rem >= scale-rem {
		q++
	}
	return q
}

func suffixUnit(c byte) (uint64, bool) {
	switch c {
	case 'K', 'k':
		return 1 << 10, true
	case 'M', 'm':
		return 1 << 20, true
	case 'G', 'g':
		return 1 << 30, true
	case 'T', 't':
		return 1 << 40, true
	case 'P', 'p':
		return 1 << 50, true
	case 'E', 'e':
		return 1 << 60, true
	}
	return 0, false
}

// parseScientific reads 1.84467e+19, which printf's %g makes of unset marks.
func parseScientific(s string) (amount, bool) {
	i := strings.IndexAny(s, "eE")
	if i <= 0 || i == len(s)-1 || len(s) > 40 || s[0] < '0' || s[0] > '9' {
		return amount{}, false
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || f < 0 || f >= 1<<65 {
		return amount{}, false
	}
	if f >= 1<<64 {
		return amount{hi: 1, lo: uint64(f - 1<<64)}, true
	}
	return amount{lo: uint64(f), fractional: f != math.Trunc(f)}, true
}

func parseCount(s string) Count {
	if k, ok := wordKind(s); ok {
		return Count{Kind: sizeWord(k)}
	}
	n, ok := parseScientific(s)
	if !ok {
		n, ok = parseUnits(s, 1)
	}
	switch {
	case !ok || (n.fractional && !hasSuffix(s)):
		return Count{Kind: Invalid}
	case n.hi == 0 && n.lo == infinite32:
		return Count{Kind: Unlimited}
	case isUnset(n) || (n.hi == 0 && n.lo == noVal32):
		return Count{}
	case n.hi != 0 || n.lo > math.MaxInt64:
		return Count{Kind: Invalid}
	}
	return Count{Kind: Known, N: int64(n.lo), Rounded: n.fractional}
}

func hasSuffix(s string) bool {
	_, ok := suffixUnit(s[len(s)-1])
	return ok
}

func parseNumber(s string) Number {
	if k, ok := wordKind(s); ok {
		return Number{Kind: sizeWord(k)}
	}
	if len(s) > 40 || s[0] < '0' || s[0] > '9' || strings.ContainsAny(s, "xXpP_") {
		return Number{Kind: Invalid}
	}
	f, err := strconv.ParseFloat(s, 64)
	switch {
	case err != nil || f > 2e19:
		return Number{Kind: Invalid}
	case f >= 1.8e19 || f == noVal32:
		return Number{}
	}
	return Number{Kind: Known, V: f}
}
