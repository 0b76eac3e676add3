package slurmfmt

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"
)

func record(t *testing.T, pairs ...string) *Record {
	t.Helper()
	var names, fields []string
	for i := 0; i < len(pairs); i += 2 {
		names, fields = append(names, pairs[i]), append(fields, pairs[i+1])
	}
	return NewRecord(NewColumns(names...), fields, nil)
}

func TestElapsedPrefersRawSecondsAndFallsBack(t *testing.T) {
	for name, tc := range map[string]struct {
		rec  *Record
		want Duration
	}{
		"both columns":         {record(t, "ElapsedRaw", "53", "Elapsed", "00:00:54"), known(53, 0)},
		"clock only":           {record(t, "Elapsed", "00:02:02"), known(122, 0)},
		"raw column is broken": {record(t, "ElapsedRaw", "x", "Elapsed", "00:00:09"), known(9, 0)},
		"raw column is unset":  {record(t, "ElapsedRaw", "4294967294", "Elapsed", ""), Duration{}},
		"neither column":       {record(t, "JobID", "1"), Duration{}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := tc.rec.Elapsed(); got != tc.want {
				t.Errorf("got %+v, want %+v", got, tc.want)
			}
		})
	}
}

func TestTimeLimitIsMinutesOrAClockOrAWord(t *testing.T) {
	for name, tc := range map[string]struct {
		rec  *Record
		want Duration
	}{
		"raw minutes":              {record(t, "TimelimitRaw", "10", "Timelimit", "00:11:00"), known(600, 0)},
		"clock only":               {record(t, "Timelimit", "1-00:00:00"), known(86400, 0)},
		"unlimited in both":        {record(t, "TimelimitRaw", "UNLIMITED", "Timelimit", "UNLIMITED"), Duration{Kind: Unlimited}},
		"the partition's":          {record(t, "TimelimitRaw", "Partition_Limit"), Duration{Kind: PartitionLimit}},
		"raw empty, clock present": {record(t, "TimelimitRaw", "", "Timelimit", "00:05:00"), known(300, 0)},
		"a step has none":          {record(t, "TimelimitRaw", ""), Duration{}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := tc.rec.TimeLimit(); got != tc.want {
				t.Errorf("got %+v, want %+v", got, tc.want)
			}
		})
	}
}

func TestNeverStarted(t *testing.T) {
	for name, tc := range map[string]struct {
		rec  *Record
		want bool
	}{
		"canceled while pending, Start = End": {record(t, "State", "CANCELLED by 0", "Start", "2026-11-23T08:19:34", "End", "2026-11-23T08:19:34", "NodeList", "None assigned"), true},
		"Start None":                          {record(t, "State", "CANCELLED", "Start", "None", "NodeList", ""), true},
		"Start Unknown":                       {record(t, "State", "PENDING", "Start", "Unknown"), true},
		"pending with an estimated start":     {record(t, "State", "PENDING", "Start", "1795474275"), true},
		"running":                             {record(t, "State", "RUNNING", "Start", "1795474275", "NodeList", "n1"), false},
		"a requeued attempt that did run":     {record(t, "State", "REQUEUED", "Start", "1795474275", "NodeList", "n3"), false},
		"no such columns":                     {record(t, "JobID", "5", "State", "COMPLETED"), false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := tc.rec.NeverStarted(); got != tc.want {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
}

func TestAbsentColumnsAreMissingNotZero(t *testing.T) {
	r := record(t, "JobID", "1")
	for name, kind := range map[string]Kind{
		"duration": r.Duration("TotalCPU").Kind, "size": r.Size("MaxRSS").Kind, "count": r.Count("NTasks").Kind,
		"ReqMem": r.ReqMem().Kind, "exit code": r.ExitCode("ExitCode").Kind, "time": r.Time("Start").Kind,
		"tres cpu": r.TRES("AllocTRES").CPUs().Kind, "tres memory": r.TRES("AllocTRES").AllocMemory().Kind,
		"tres usage": r.TRES("TRESUsageInTot").UsageCPU().Kind, "gpus": r.TRES("AllocTRES").GPUs().Kind,
	} {
		if kind != Missing {
			t.Errorf("%s is %v", name, kind)
		}
	}
	if r.State().Known() || r.State().Terminal() {
		t.Error("an absent state counts as one")
	}
	if _, err := r.RawID(); !errors.Is(err, ErrJobID) {
		t.Errorf("an absent JobIDRaw gives %v", err)
	}
}

func TestNewRecordPadsAndCutsToItsColumns(t *testing.T) {
	cols := NewColumns("JobID", " State ", "State", "jobid")
	short, long := NewRecord(cols, []string{"7"}, nil), NewRecord(cols, []string{"7", "FAILED", "RUNNING", "8", "x"}, nil)
	if short.Get("State") != "" || long.Get("State") != "FAILED" || long.Get("JobID") != "7" || len(long.fields) != 4 {
		t.Errorf("got %q and %q", short.fields, long.fields)
	}
	if names := cols.Names(); !slices.Equal(names, []string{"JobID", "State", "State", "jobid"}) {
		t.Errorf("names %q", names)
	}
}

func TestTimesAreReadInTheRecordsZone(t *testing.T) {
	berlin := time.FixedZone("CET", 3600)
	r := NewRecord(NewColumns("Start"), []string{"2026-11-23T08:20:00"}, berlin)
	if m, ok := r.Time("Start").Value(); !ok || m.Unix() != 1795422000-3600 || m.Location() != time.UTC {
		t.Errorf("got %v", m)
	}
}

func TestCloneOutlivesTheNextRow(t *testing.T) {
	rd, err := NewReader(strings.NewReader("JobID|State\n1|FAILED\n2|COMPLETED\n"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	first, err := rd.Next()
	if err != nil {
		t.Fatal(err)
	}
	kept, text := first.Clone(), first.Get("State")
	if _, err := rd.Next(); err != nil {
		t.Fatal(err)
	}
	if kept.Get("State") != "FAILED" || text != "FAILED" || kept.Line != 2 {
		t.Errorf("the clone changed to %q (line %d), the string to %q", kept.Get("State"), kept.Line, text)
	}
	for range 2 {
		if _, err := rd.Next(); !errors.Is(err, io.EOF) {
			t.Errorf("the end is %v", err)
		}
	}
}
