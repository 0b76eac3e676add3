package slurmfmt

import "time"

// maxUnix is the last second of the year 9999.
const maxUnix = 253402300799

// isoLayout is Slurm's default time format; it carries no offset.
const isoLayout = "2006-01-02T15:04:05"

func parseTime(s string, loc *time.Location) Time {
	if k, ok := wordKind(s); ok {
		if k == Unlimited || k == PartitionLimit {
			k = Invalid
		}
		return Time{Kind: k}
	}
	if allDigits(s) {
		return unixTime(s)
	}
	if loc == nil {
		loc = time.UTC
	}
	t, err := time.ParseInLocation(isoLayout, s, loc)
	if err != nil {
		t, err = time.Parse(time.RFC3339, s)
	}
	if err != nil {
		return Time{Kind: Invalid}
	}
	return Time{Kind: Known, t: t.UTC()}
}

func unixTime(s string) Time {
	n, ok := parsePlain(s)
	switch {
	case ok && (n == 0 || n == noVal32 || n == infinite32 || n == noVal64 || n == infinite64):
		return Time{}
	case !ok || n > maxUnix:
		return Time{Kind: Invalid}
	}
	return Time{Kind: Known, t: time.Unix(int64(n), 0).UTC()}
}
