package slurmfmt

import (
	"math"
	"strings"
)

// Slurm's unset and endless marks (slurm.h): NO_VAL and INFINITE in 32 bits, and
// their 64-bit forms. They leak into columns as plain numbers.
const (
	noVal32    = 0xfffffffe
	infinite32 = 0xffffffff
	noVal64    = 0xfffffffffffffffe
	infinite64 = 0xffffffffffffffff
)

// wordKind recognizes the words that stand in place of a value.
func wordKind(s string) (Kind, bool) {
	switch s {
	case "", "N/A", "n/a", "(null)", "NOT_SET", "NONE", "n/s", "INVALID_TIME":
		return Missing, true
	case "UNLIMITED", "INFINITE", "Unlimited", "unlimited", "infinite":
		return Unlimited, true
	case "Partition_Limit":
		return PartitionLimit, true
	case "Unknown":
		return NotYet, true
	case "None":
		return Never, true
	case "INVALID":
		return Invalid, true
	}
	return Missing, false
}

func parseDuration(s string) Duration {
	if k, ok := wordKind(s); ok {
		return Duration{Kind: k}
	}
	days, clock, hasDays := strings.Cut(s, "-")
	if !hasDays {
		days, clock = "0", s
	}
	whole, micro, ok := cutFraction(clock)
	d, ok2 := parseClock(whole, hasDays)
	n, ok3 := parsePlain(days)
	if !ok || !ok2 || !ok3 || n > math.MaxInt64/86400-1 {
		return Duration{Kind: Invalid}
	}
	return knownDuration(n*86400, d, micro)
}

func knownDuration(days, clock uint64, micro int32) Duration {
	sec := days + clock
	if sec < days || sec > math.MaxInt64 {
		return Duration{Kind: Invalid}
	}
	if micro == 0 && (sec == noVal32 || sec == infinite32) || isUnsetMillis(sec) {
		return Duration{}
	}
	return Duration{Kind: Known, Sec: int64(sec), Micro: micro}
}

// isUnsetMillis recognizes 2^64−2 milliseconds, 213503982334-14:25:51: what sstat 22.05 prints as the CPU time of a
// step that was not sampled yet (seen). The marks of several tasks add up to a little less; no job comes within 0.1 %.
func isUnsetMillis(sec uint64) bool {
	const mark = infinite64 / 1000
	return sec >= mark-mark/1000 && sec <= mark+mark/1000
}

// parseClock reads MM:SS and HH:MM:SS, with days also HH and HH:MM. Only the
// leading part of a clock without days may pass its natural bound.
func parseClock(s string, hasDays bool) (seconds uint64, ok bool) {
	var part [3]uint64
	n := 0
	for field := range strings.SplitSeq(s, ":") {
		v, ok := parsePlain(field)
		if !ok || n == len(part) || (n > 0 && v > 59) || (hasDays && n == 0 && v > 23) {
			return 0, false
		}
		part[n] = v
		n++
	}
	if part[0] > math.MaxInt64/3600-60 {
		return 0, false
	}
	switch {
	case hasDays || n == 3:
		return part[0]*3600 + part[1]*60 + part[2], true
	case n == 2:
		return part[0]*60 + part[1], true
	}
	return 0, false
}

// parseScaled reads a raw number that counts units of unitSeconds.
func parseScaled(s string, unitSeconds uint64) Duration {
	if k, ok := wordKind(s); ok {
		return Duration{Kind: k}
	}
	whole, micro, ok := cutFraction(s)
	n, ok2 := parsePlain(whole)
	switch {
	case !ok || !ok2 || (unitSeconds != 1 && micro != 0):
		return Duration{Kind: Invalid}
	case n == noVal32 || n == noVal64:
		return Duration{}
	case n == infinite32 || n == infinite64:
		return Duration{Kind: Unlimited}
	case n > math.MaxInt64/unitSeconds:
		return Duration{Kind: Invalid}
	}
	return Duration{Kind: Known, Sec: int64(n * unitSeconds), Micro: micro}
}

// cutFraction splits off .mmm as microseconds; digits beyond them are dropped.
func cutFraction(s string) (whole string, micro int32, ok bool) {
	i := strings.IndexByte(s, '.')
	if i < 0 {
		return s, 0, true
	}
	frac := s[i+1:]
	if frac == "" || !allDigits(frac) {
		return s, 0, false
	}
	scale := int32(100000)
	for j := 0; j < len(frac) && scale > 0; j++ {
		micro += int32(frac[j]-'0') * scale
		scale /= 10
	}
	return s[:i], micro, true
}

// parsePlain reads decimal digits, leading zeros allowed, without overflow.
func parsePlain(s string) (n uint64, ok bool) {
	if s == "" {
		return 0, false
	}
	for i := range len(s) {
		c := uint64(s[i] - '0')
		if c > 9 || n > (math.MaxUint64-c)/10 {
			return 0, false
		}
		n = n*10 + c
	}
	return n, true
}

func allDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}
