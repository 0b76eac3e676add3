package slurmfmt

import "time"

// Time is a moment as Slurm prints it.
type Time struct {
	// Kind is Known, Missing, NotYet ("Unknown"), Never ("None") or Invalid.
	Kind Kind
	t    time.Time
}

// ParseTime reads unix seconds (SLURM_TIME_FORMAT=%s), 2026-11-23T08:19:34 in
// the zone loc (Slurm prints no offset; nil means UTC), and RFC 3339 with an
// offset. 0 is Missing: Slurm's JSON writes it for "no time".
func ParseTime(s string, loc *time.Location) Time { return parseTime(s, loc) }

// Value gives the moment in UTC; ok is false unless Kind is Known.
func (t Time) Value() (moment time.Time, ok bool) { return t.t, t.Kind == Known }
