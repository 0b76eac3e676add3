package main

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ergon-hpc/ergon/shared/api"
	"github.com/ergon-hpc/ergon/shared/efficiency"
)

// onScreen runs a command whose output is a terminal of 100 columns, and gives what a human sees.
func (d *desk) onScreen(args ...string) string {
	d.t.Helper()
	d.err.Reset()
	master, slave := pty(d.t)
	if err := unix.IoctlSetWinsize(int(slave.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 40, Col: 100}); err != nil {
		d.t.Fatal(err)
	}
	shown := make(chan string)
	go func() {
		var b bytes.Buffer
		_, _ = io.Copy(&b, master) // EIO is how a terminal without a writer ends
		shown <- b.String()
	}()
	a := &app{In: strings.NewReader(""), Out: slave, Err: &d.err, Env: func(n string) string { return d.env[n] }, Now: func() time.Time { return now }}
	code := a.execute(d.t.Context(), args)
	if err := slave.Close(); err != nil {
		d.t.Fatal(err)
	}
	text := <-shown
	if code != exitOK {
		d.t.Errorf("ergon %s: exit code %d: %s%s", strings.Join(args, " "), code, text, d.err.String())
	}
	return text
}

func TestAJobOnATerminalHasItsSeriesAndColours(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	s := d.login()
	j := apiJob("11", "c1", api.DONE, "COMPLETED")
	s.jobs, s.reports[j.Id] = []api.Job{j}, analysed("11")
	s.series = &api.SeriesSet{Points: 4, Step: 60, Lines: []efficiency.Line{{Name: "cpu_cores", Values: []*float64{ptr(0.0), ptr(1.0), nil, ptr(4.0)}}}}
	if text := d.onScreen("job", "11"); !strings.Contains(text, "Over time (4 min 00 s)") || !strings.Contains(text, "▁▃ █") || !strings.Contains(text, "\x1b[1m") {
		t.Errorf("no series with its gap, or nothing bold:\n%s", text)
	}
	d.env["NO_COLOR"] = "1"
	if text := d.onScreen("job", "11"); !strings.Contains(text, "▁▃ █") || strings.Contains(text, "\x1b") {
		t.Errorf("NO_COLOR takes the colours, and nothing else:\n%q", text)
	}
	if d.want(exitOK, []string{"job", "11"}, "COMPLETED"); strings.Contains(d.out.String(), "▁") {
		t.Errorf("a pipe got the series:\n%s", d.out.String())
	}
}

func TestErgonAloneIsTheServersSummary(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	s := d.login()
	j := apiJob("11", "c1", api.DONE, "COMPLETED")
	s.summary = api.JobsSummary{
		From: now, To: now, Jobs: 7, Started: 6, Failed: ptr(int64(2)),
		Aggregate: map[string]api.Metric{"cpu_efficiency": {Value: ptr(12.5), Unit: efficiency.Percent, Bound: efficiency.Exact}},
	}
	d.want(exitOK, nil, "Your last 30 days: 7 jobs, 2 failed", "from "+s.URL, "12.5 %")
	s.summary.Worst = append(s.summary.Worst, struct {
		Actions     *[]string `json:"actions,omitempty"`
		Job         api.Job   `json:"job"`
		Verdict     string    `json:"verdict"`
		WastedCoreS float64   `json:"wasted_core_s"`
	}{&[]string{"#SBATCH --cpus-per-task=1"}, j, "Used one core of four.", 7200})
	d.want(exitOK, nil, "Most wasteful: job 11", "Used one core of four.", "#SBATCH --cpus-per-task=1", "ergon job "+j.Id.String())
	s.summary = api.JobsSummary{From: now, To: now}
	d.want(exitOK, nil, "No jobs in the last 30 days (from "+s.URL+")", "ergon sbatch job.sh")
}
