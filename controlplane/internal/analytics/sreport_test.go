package analytics_test

import (
	"context"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ergon-hpc/ergon/controlplane/internal/analytics"
)

const printed = `--------------------------------------------------------------------------------
Cluster/Account/User Utilization 2026-11-01T00:00:00 - 2026-11-01T23:59:59 (86400 secs)
Usage reported in CPU Minutes
--------------------------------------------------------------------------------
Cluster|Account|Login|Proper Name|Used|Energy
fire|root|||300|0
fire|phys|||300|0
fire|phys|alice|Alice A.|240|0
fire|phys|bob||60|0
`

func TestTheUsersOfAReportAreReadInItsUnit(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	r, err := analytics.ReadSReport(strings.NewReader(printed), berlin, "")
	if err != nil {
		t.Fatal(err)
	}
	day := time.Date(2026, 11, 1, 0, 0, 0, 0, berlin)
	if r.Cluster != "fire" || len(r.CPUS) != 2 || r.CPUS[analytics.Charge{Account: "phys", User: "alice"}] != 240*60 || !r.From.Equal(day) || !r.To.Equal(day.AddDate(0, 0, 1)) {
		t.Errorf("%+v", r)
	}
}

func TestOutputThatCannotBeComparedIsRefused(t *testing.T) {
	for name, text := range map[string]string{
		"nothing":              "",
		"no header":            "fire|phys|alice||240|0\n",
		"no unit":              "Cluster|Account|Login|Used\nfire|phys|alice|240\n",
		"percent":              strings.Replace(printed, "CPU Minutes", "Percentage of Total", 1),
		"two clusters":         printed + "ice|phys|carol||1|0\n",
		"a use of no number":   printed + "fire|phys|carol||12%|0\n",
		"another report":       "Cluster|Allocate|Down|PLND Dow|Idle\nfire|1|2|3|4\n",
		"not parsable (no -P)": "  Cluster         Account     Login     Used\n",
	} {
		t.Run(name, func(t *testing.T) {
			if r, err := analytics.ReadSReport(strings.NewReader(text), time.UTC, ""); err == nil {
				t.Errorf("%+v", r)
			}
		})
	}
}

func TestOutputThatIsTooLargeIsNotCutShort(t *testing.T) {
	lines := strings.Repeat(strings.Repeat("-", 4095)+"\n", 256)
	parts := []io.Reader{strings.NewReader(printed)}
	for range 256 {
		parts = append(parts, strings.NewReader(lines))
	}
	if r, err := analytics.ReadSReport(io.MultiReader(parts...), time.UTC, ""); err == nil || !strings.Contains(err.Error(), "larger") {
		t.Errorf("%+v, %v", r, err)
	}
}

func FuzzReadSReport(f *testing.F) {
	f.Add(printed)
	f.Add("Usage reported in \nUsage reported in CPU Seconds\na|b\n")
	f.Add("Cluster|Accounts|Login|Used|TRES Name\n|||-1|cpu\n")
	f.Fuzz(func(t *testing.T, text string) {
		r, err := analytics.ReadSReport(strings.NewReader(text), time.UTC, "seconds")
		for who, v := range r.CPUS {
			if err == nil && (v < 0 || math.IsNaN(v)) {
				t.Fatalf("%v used %v", who, v)
			}
		}
	})
}

// ran is a source of spans.
type ran []analytics.Span

func (ran) SummedSince(context.Context, string, time.Time) (map[string]float64, time.Time, error) {
	return nil, time.Time{}, nil
}

func (r ran) Spans(_ context.Context, _ string, from, to time.Time, fn func(analytics.Span) error) error {
	for _, s := range r {
		if s.Start.Before(to) && (s.End.IsZero() || s.End.After(from)) {
			if err := fn(s); err != nil {
				return err
			}
		}
	}
	return nil
}

func at(hour float64) time.Time {
	return time.Unix(1_700_006_400, 0).UTC().Add(time.Duration(hour * float64(time.Hour)))
}

func span(user string, from, to float64, cpus int64) analytics.Span {
	s := analytics.Span{Charge: analytics.Charge{Account: "phys", User: user}, Start: at(from), CPUs: &cpus}
	if to > 0 {
		s.End = at(to)
	}
	return s
}

func said(hours map[string]float64) analytics.SReport {
	r := analytics.SReport{Cluster: "fire", From: at(0), To: at(24), CPUS: map[analytics.Charge]float64{}}
	for user, h := range hours {
		r.CPUS[analytics.Charge{Account: "phys", User: user}] = h * 3600
	}
	return r
}

func TestDifferencesAreExplained(t *testing.T) {
	suspended := span("eve", -2, 2, 1)
	suspended.Suspended = time.Hour
	unsized := span("fay", 1, 2, 1)
	unsized.CPUs = nil
	for name, c := range map[string]struct {
		sreport   float64
		now       float64
		spans     ran
		agrees    bool
		explained bool
		reason    string
	}{
		"the same":                             {4, 48, ran{span("a", 1, 3, 2)}, true, true, ""},
		"less than 0.1 % apart":                {4.003, 48, ran{span("a", 1, 3, 2)}, true, true, ""},
		"a job over the edge counts inside":    {6, 48, ran{span("a", -5, 2, 1), span("a", 20, 30, 1)}, true, true, ""},
		"a job that runs still":                {23, 48, ran{span("a", 1, 0, 1)}, true, true, ""},
		"not rolled up yet":                    {9, 10.5, ran{span("a", 1, 0, 1)}, false, true, "not rolled up"},
		"suspended before or after the edge":   {2, 48, ran{suspended}, false, true, "suspended"},
		"a job that Ergon does not know":       {9, 48, ran{span("a", 1, 3, 2)}, false, false, "only in sreport"},
		"a user that Ergon does not know":      {9, 48, ran{}, false, false, "no job of this user"},
		"a job that Slurm has forgotten":       {1, 48, ran{span("a", 1, 3, 2)}, false, false, "only in Ergon"},
		"a run without a size":                 {9, 48, ran{span("a", 1, 3, 2), unsized}, false, false, "no number of CPUs"},
		"an association that was removed":      {0, 48, ran{span("a", 1, 3, 2)}, false, false, "association"},
		"nobody ran anything and nobody asked": {0, 48, ran{}, true, true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			for i := range c.spans {
				c.spans[i].User = "a"
			}
			check, err := analytics.CheckSReport(context.Background(), c.spans, "fire", said(map[string]float64{"a": c.sreport}), at(c.now))
			if err != nil || len(check.Lines) != 1 {
				t.Fatalf("%+v, %v", check, err)
			}
			l := check.Lines[0]
			reasons, explained := l.Why()
			if l.Agrees() != c.agrees || !c.agrees && (explained != c.explained || !strings.Contains(fmt.Sprint(reasons), c.reason)) {
				t.Errorf("%+v agrees %v, explained %v: %q", l, l.Agrees(), explained, reasons)
			}
		})
	}
}

func TestJobsByTheirEndAndByTheWindowDifferByTheirEdges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var spans ran
		ended := 0.0
		for range rapid.IntRange(0, 20).Draw(t, "runs") {
			from := rapid.Float64Range(-50, 40).Draw(t, "start")
			to := from + rapid.Float64Range(0, 60).Draw(t, "length")
			s := span("a", from, 0, rapid.Int64Range(1, 64).Draw(t, "cpus"))
			s.End = at(to)
			s.Suspended = time.Duration(rapid.Float64Range(0, to-from).Draw(t, "suspended") * float64(time.Hour))
			spans = append(spans, s)
			if to > 0 && to < 24 {
				ended += (to - from) * float64(*s.CPUs) * 3600
			}
		}
		c, err := analytics.CheckSReport(context.Background(), spans, "fire", said(nil), at(100))
		if err != nil {
			t.Fatal(err)
		}
		sum := c.Total.Ergon + c.Before - c.After + c.Suspended
		if math.Abs(c.Ended-ended) > 1e-6*(1+ended) || math.Abs(c.Ended-sum) > 1e-6*(1+ended) {
			t.Fatalf("ended %v, counted %v, sum of the parts %v", c.Ended, ended, sum)
		}
	})
}
