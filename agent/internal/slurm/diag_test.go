package slurm

import (
	"strconv"
	"testing"
	"time"
)

// sdiag is what 22.05.8 printed, shortened.
const sdiag = `*******************************************************
sdiag output at Mon Nov 23 08:24:24 2026 (1795422264)
*******************************************************
Server thread count:  3
Agent queue size:     7
Agent count:          0
DBD Agent queue size: 13

Jobs submitted: 22
`

func TestTheQueueToSlurmdbdIsReadAndNotAnother(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		text string
		want int64
		ok   bool
	}{
		"recorded":  {sdiag, 13, true},
		"empty":     {"", 0, false},
		"no number": {"DBD Agent queue size: many\n", 0, false},
		"negative":  {"DBD Agent queue size: -1\n", 0, false},
		"zero":      {"DBD Agent queue size: 0", 0, true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got, err := queueSize(c.text); got != c.want || (err == nil) != c.ok {
				t.Errorf("got %d, %v", got, err)
			}
		})
	}
}

func FuzzQueueSize(f *testing.F) {
	f.Add(sdiag)
	f.Add("DBD Agent queue size: 99999999999999999999")
	f.Fuzz(func(t *testing.T, text string) {
		if n, err := queueSize(text); err == nil && n < 0 {
			t.Errorf("%q gives %s", text, strconv.FormatInt(n, 10))
		}
	})
}

func TestTheRateHalvesWhileSlurmIsBehindAndRecovers(t *testing.T) {
	t.Parallel()
	const full = 64.0
	steps := []struct {
		name string
		do   func(*throttle)
		want float64 // of a minute
	}{
		{"a fast call at the ceiling changes nothing", func(l *throttle) { l.note(time.Second) }, full},
		{"a slow call halves", func(l *throttle) { l.note(3 * time.Second) }, full / 2},
		{"a fast one doubles again", func(l *throttle) { l.note(time.Second) }, full},
		{"a growing queue halves", func(l *throttle) { l.press(true) }, full / 2},
		{"a fast call raises nothing while it grows", func(l *throttle) { l.note(time.Millisecond) }, full / 2},
		{"it grows on", func(l *throttle) { l.press(true) }, full / 4},
		{"and a call is slow", func(l *throttle) { l.note(time.Minute) }, full / 8},
		{"there is a least rate", func(l *throttle) { l.press(true) }, full / 8},
		{"the queue no longer grows", func(l *throttle) { l.press(false) }, full / 8},
		{"the next fast call doubles", func(l *throttle) { l.note(time.Second) }, full / 4},
	}
	l := newThrottle(full)
	for _, s := range steps {
		s.do(l)
		if got := float64(l.limiter.Limit()) * 60; got < s.want-0.01 || got > s.want+0.01 {
			t.Fatalf("%s: %.2f a minute, want %.2f", s.name, got, s.want)
		}
	}
	var none *throttle // a command without a ceiling
	none.press(true)
	none.note(time.Hour)
}
