package slurm_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/ergon-hpc/ergon/agent/internal/slurm"
	"github.com/ergon-hpc/ergon/agent/internal/slurm/slurmtest"
	"github.com/ergon-hpc/ergon/shared/slurmfmt"
)

// queued are n rows, some hundred bytes each.
func queued(n int) string {
	rows := make([]slurmtest.Row, n)
	for i := range rows {
		id := strconv.Itoa(i + 1)
		rows[i] = slurmtest.Row{
			"JobID": id, "JobIDRaw": id, "UID": "1000", "User": "alice", "State": "RUNNING", "Submit": "1700000000",
			"JobName": "x", "WorkDir": "/home/alice/" + strings.Repeat("d", 200),
		}
	}
	return slurmtest.Squeue(rows...)
}

// printing makes squeue print its answer and then do what the shell text says.
func printing(f *slurmtest.Fake, answer, then string) {
	f.Answer("squeue", answer)
	f.Replace("squeue", `#!/bin/sh
d=$(dirname "$0")
delim=$(printf '%s\n' "$@" | sed -n 's/^--format=%i\([^%]*\)%A.*$/\1/p')
sed "s/@D@/$delim/g" "$d/squeue.out"
`+then+"\n")
}

func TestRowsAreSeenWhileSqueueStillPrints(t *testing.T) {
	t.Parallel()
	f := slurmtest.New(t)
	seen := filepath.Join(f.Dir, "seen")
	printing(f, queued(1000), `until [ -e "$d/seen" ]; do sleep 0.02; done`)
	rows := 0
	table, err := runner(t, f, nil).EachQueued(t.Context(), "", func(rec *slurmfmt.Record) {
		if rows++; rows == 1 {
			if err := os.WriteFile(seen, nil, 0o600); err != nil {
				t.Error(err)
			}
		}
		if rec.Get("JobID") != strconv.Itoa(rows) {
			t.Errorf("row %d is of job %q", rows, rec.Get("JobID"))
		}
	})
	if err != nil || rows != 1000 || table.Bad != 0 || len(table.Rows) != 0 {
		t.Fatalf("%d rows, %+v, %v", rows, table, err)
	}
}

// What has come before a failure is a part of the queue, and looks like a whole one.
func TestAPartOfTheQueueIsAnErrorHoweverItEnds(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		then   string
		change func(*slurm.Options)
		limit  int
		want   slurmfmt.Fault
		text   string
	}{
		"an error after rows":   {then: "echo 'slurm_load_jobs error: Unable to contact slurm controller (connect failure)' >&2; exit 1", want: slurmfmt.FaultControllerDown},
		"killed after rows":     {then: "kill -9 $$", want: slurmfmt.FaultOther},
		"no end within time":    {then: "sleep 30", change: func(o *slurm.Options) { o.Timeout = 3 * time.Second }, want: slurmfmt.FaultTimeout},
		"more than is accepted": {then: "exit 0", limit: 100_000, want: slurmfmt.FaultOther, text: "too large"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := slurmtest.New(t)
			printing(f, queued(1000), c.then)
			r := runner(t, f, c.change)
			if c.limit > 0 {
				r.Limit(c.limit)
			}
			rows, started := 0, time.Now()
			table, err := r.EachQueued(t.Context(), "", func(*slurmfmt.Record) { rows++ })
			if slurm.FaultOf(err) != c.want || !strings.Contains(err.Error(), c.text) || table.Columns != nil {
				t.Fatalf("got %+v, %v", table, err)
			}
			if rows == 0 || time.Since(started) > 10*time.Second {
				t.Errorf("%d rows before it, %s", rows, time.Since(started))
			}
			if whole, err := r.Queue(t.Context(), ""); err == nil || len(whole.Rows) != 0 {
				t.Errorf("as a table: %d rows, %v", len(whole.Rows), err)
			}
		})
	}
}

func TestAKeptRowHoldsItsFieldsAlone(t *testing.T) {
	t.Parallel()
	f := slurmtest.New(t)
	f.Answer("squeue", slurmtest.Squeue(slurmtest.Row{"JobID": "77", "JobIDRaw": "7", "UID": "1000", "User": "alice", "JobName": "tränen|x"}))
	table, err := runner(t, f, nil).Queue(t.Context(), "")
	if err != nil || len(table.Rows) != 1 {
		t.Fatalf("got %+v, %v", table, err)
	}
	row := table.Rows[0]
	if row.Get("JobID") != "77" || row.Get("User") != "alice" || row.Get("JobName") != "tränen|x" || row.Get("Comment") != "" {
		t.Errorf("the row is %q", slurm.Fields(row))
	}
	first, second := unsafe.StringData(row.Get("JobID")), unsafe.StringData(row.Get("JobIDRaw"))
	if unsafe.Add(unsafe.Pointer(first), 2) != unsafe.Pointer(second) {
		t.Error("its fields do not lie side by side: it holds the line with its delimiters")
	}
}

func TestALineThatIsTooLongIsUnknownAndTheOthersAreRead(t *testing.T) {
	t.Parallel()
	f := slurmtest.New(t)
	long := slurmtest.Squeue(slurmtest.Row{"JobID": "9", "JobName": strings.Repeat("x", slurmfmt.DefaultMaxLine)})
	f.Answer("squeue", queued(2)+long+queued(3))
	table, err := runner(t, f, nil).Queue(t.Context(), "")
	if err != nil || len(table.Rows) != 5 || table.Bad != 1 || len(table.BadText) != 1 {
		t.Fatalf("%d rows, %d bad, %v", len(table.Rows), table.Bad, err)
	}
}
