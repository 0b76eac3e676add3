package slurmfmt

import (
	"fmt"
	"math"
	"time"
)

// Duration is a span of time as Slurm prints it. CPU times of large jobs pass
// time.Duration's 292 years, so whole seconds and microseconds are kept apart.
type Duration struct {
	// Kind is Known, Missing, Unlimited, PartitionLimit or Invalid.
	Kind Kind
	// Sec is whole seconds, never negative; valid only when Kind is Known.
	Sec int64
	// Micro is the rest in microseconds, 0–999999.
	Micro int32
}

// ParseDuration reads MM:SS.mmm, MM:SS, HH:MM:SS, D-HH:MM:SS[.mmm], D-HH, D-HH:MM
// and the words UNLIMITED, Partition_Limit and INVALID. A bare number is Invalid
// here: whether it counts seconds or minutes depends on the column (see
// ParseSeconds and ParseMinutes).
func ParseDuration(s string) Duration { return parseDuration(s) }

// ParseSeconds reads a column of raw seconds (ElapsedRaw, CPUTimeRAW).
func ParseSeconds(s string) Duration { return parseScaled(s, 1) }

// ParseMinutes reads a column of raw minutes (TimelimitRaw).
func ParseMinutes(s string) Duration { return parseScaled(s, 60) }

// Seconds gives the span in seconds; ok is false unless Kind is Known.
func (d Duration) Seconds() (seconds float64, ok bool) {
	return float64(d.Sec) + float64(d.Micro)/1e6, d.Kind == Known
}

// Std converts to a time.Duration; ok is false unless Known and in range.
func (d Duration) Std() (std time.Duration, ok bool) {
	if d.Kind != Known || d.Sec > math.MaxInt64/int64(time.Second)-1 {
		return 0, false
	}
	return time.Duration(d.Sec)*time.Second + time.Duration(d.Micro)*time.Microsecond, true
}

// String prints [D-]HH:MM:SS[.mmm] as Slurm does, or the kind's name.
// ParseDuration(d.String()) == d for known durations of whole milliseconds.
func (d Duration) String() string {
	if d.Kind != Known {
		return d.Kind.String()
	}
	s := fmt.Sprintf("%02d:%02d:%02d", d.Sec%86400/3600, d.Sec%3600/60, d.Sec%60)
	if days := d.Sec / 86400; days > 0 {
		s = fmt.Sprintf("%d-%s", days, s)
	}
	if d.Micro != 0 {
		s += fmt.Sprintf(".%03d", d.Micro/1000)
	}
	return s
}
