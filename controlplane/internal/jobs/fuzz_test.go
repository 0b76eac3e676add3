package jobs

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/shared/jobkey"
	"github.com/ergon-hpc/ergon/shared/slurmfmt"
)

const fuzzColumns = "JobID|JobIDRaw|JobName|UID|User|State|Submit|Start|End|NodeList|ExitCode|ElapsedRaw|AllocCPUS|NNodes|AllocTRES|ReqGRES|ReqMem|Comment|SubmitLine"

// FuzzPrepare feeds rows of anything: each row is used or named as bad, what is stored is valid JSON that reads back to the
// same facts, and nothing overflows the columns of the databases.
func FuzzPrepare(f *testing.F) {
	for _, seed := range []string{
		"11|11|x|1|a|NODE_FAIL|1795000000|1795000010|1795000100|n4|0:0|90|4|1|cpu=4,mem=8G,node=1||||",
		"14_[1-4%2]|14|x|1|a|PENDING|1795000000|Unknown|Unknown|None assigned|0:0||||||||sbatch --comment=ergon1:0190b0d0-0000-7000-8000-00000000000a x.sh",
		"21+1.0|22.0|we|ird\nname|||CANCELLED by 4294967295|1795000000|None|9999999999999|n[1-3]|0:125|-1|99999999999999999999|2K|gres/gpu=18446744073709551614|gpu:a100:-2(S:0)|2147486648Mn|ergon1:|",
		"7.batch|7.batch|batch|||COMPLETED||1795000000|1795000001|n1||1|1|1||||\x00\xff|",
	} {
		f.Add(seed)
	}
	cols := slurmfmt.NewColumns(strings.Split(fuzzColumns, "|")...)
	f.Fuzz(func(t *testing.T, text string) {
		var rows []*slurmfmt.Record
		for line := range strings.SplitSeq(text, "\x1e") {
			rows = append(rows, slurmfmt.NewRecord(cols, strings.SplitN(line, "|", len(cols.Names())), nil))
		}
		p := Prepare(Batch{Cluster: Cluster{ID: uuid.NewString(), Name: "lab"}, Rows: rows})
		used := len(p.bad)
		for _, u := range p.bundles {
			used += len(u.rows)
			checkBundle(t, u)
		}
		if used != len(rows) {
			t.Fatalf("%d rows, %d used or named", len(rows), used)
		}
	})
}

func checkBundle(t *testing.T, u *bundle) {
	t.Helper()
	for _, r := range u.rows {
		if !json.Valid(r.Fields) || !utf8.Valid(r.Fields) || r.Weight < 0 {
			t.Fatalf("stored as %q, weight %d", r.Fields, r.Weight)
		}
		run := NewRun(uuid.New(), 0)
		if r.Step != "" {
			continue
		}
		if err := run.read(r.Fields); err != nil {
			t.Fatal(err)
		}
		if run.Facts.Submit != u.facts.Submit || run.Facts.before(u.facts) != 0 || run.Facts.stage != u.facts.stage {
			t.Fatalf("%+v reads back as %+v", u.facts, run.Facts)
		}
	}
	for _, n := range []*int64{u.facts.CPUs, u.facts.Nodes, u.facts.GPUs} {
		if n != nil && (*n < 0 || *n > 1<<31-1) {
			t.Fatalf("%d does not fit", *n)
		}
	}
	if strings.ContainsRune(u.facts.Name+u.facts.NodeList, 0) || !utf8.ValidString(u.facts.Name) {
		t.Fatalf("name %q", u.facts.Name)
	}
	if w := u.facts.WallS; w != nil && *w < 0 {
		t.Fatalf("wall time %d", *w)
	}
}

func TestIdentityOfEveryKindOfID(t *testing.T) {
	cols := slurmfmt.NewColumns("JobID", "JobIDRaw")
	for in, want := range map[string]ident{
		"123|123":               {job: "123", raw: "123"},
		"123_4|130":             {job: "123_4", raw: "130", suffix: "_4", parent: "123"},
		"123_4.batch|130.batch": {job: "123_4", raw: "130", step: "batch", suffix: "_4", parent: "123"},
		"123_[1-10%5]|123":      {job: "123_[1-10%5]", raw: "123", parent: "123", set: true},
		"123+1.0|124.0":         {job: "123+1", raw: "124", step: "0", suffix: "+1", parent: "123"},
		"123_2+1|":              {job: "123_2+1", raw: "123_2+1", suffix: "_2+1", parent: "123"},
	} {
		got, err := identOf(slurmfmt.NewRecord(cols, strings.Split(in, "|"), nil))
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v", in, got, err)
		}
	}
}

func TestUnknownWordsGoOn(t *testing.T) {
	cols := slurmfmt.NewColumns("JobID", "State", "Submit", "Start", "End", "ExitCode")
	for in, want := range map[string]slurmfmt.APIState{
		"1|TELEPORTING|100|Unknown|Unknown|": slurmfmt.StatePending,
		"1|TELEPORTING|100|110|Unknown|0:0":  slurmfmt.StateRunning,
		"1|TELEPORTING|100|110|200|0:0":      slurmfmt.StateRunning,
		"1|REQUEUED|100|110|200|0:0":         slurmfmt.StatePending,
		"1||100|110|200|0:0":                 slurmfmt.StateDone,
		"1||100|110|200|2:0":                 slurmfmt.StateFailed,
	} {
		r := slurmfmt.NewRecord(cols, strings.Split(in, "|"), nil)
		id, err := identOf(r)
		if err != nil {
			t.Fatal(err)
		}
		f, err := factsOf(r, id)
		e := &Entry{}
		e.take(f, []Row{newRow("", r)})
		e.fold()
		if err != nil || e.Job.State != want || (strings.Contains(in, "TELE") && e.Job.SlurmState != "TELEPORTING") {
			t.Errorf("%s: %s %s, %v", in, e.Job.State, e.Job.SlurmState, err)
		}
	}
}

func TestLateRowsChangeNothing(t *testing.T) {
	cols := slurmfmt.NewColumns("JobID", "State", "Submit", "Start", "End", "ExitCode", "ElapsedRaw", "TotalCPU")
	row := func(text string) Row { return newRow("", slurmfmt.NewRecord(cols, strings.Split(text, "|"), nil)) }
	order := []Row{
		row("1|PENDING|100|Unknown|Unknown|0:0|0|"), row("1|RUNNING|100|110|Unknown|0:0|5|"), row("1|RUNNING|100|110|Unknown|0:0|9|"),
		row("1|COMPLETED|100|110|130|0:0|20|"), row("1|COMPLETED|100|110|130|0:0|20|00:19.100"),
	}
	for i := range order {
		for k := range order {
			if got := order[k].replaces(Stamp{order[i].Digest, order[i].Weight}); got != (k > i) {
				t.Errorf("row %d over row %d: %v", k, i, got)
			}
		}
	}
}

func TestGPUsOfEveryList(t *testing.T) {
	cols := slurmfmt.NewColumns("AllocTRES", "AllocGRES", "ReqGRES")
	for in, want := range map[string]string{
		"cpu=4,gres/gpu=2,gres/gpu:a100=2||": "2", "cpu=4,gres/gpu:a100=2,gres/gpu:v100=1||": "3", "cpu=4||": "0", "||": "?",
		"|gpu:4|": "4", "||gpu:a100:2(S:0-1)": "6", "||gres:gpu:1,craynetwork:1": "3", "||gpu": "3", "||bandwidth:3": "0",
	} {
		r := slurmfmt.NewRecord(cols, strings.Split(in, "|"), nil)
		got := "?"
		if n := gpus(r, r.TRES("AllocTRES"), ptr(int64(3))); n != nil {
			got = string('0' + rune(*n))
		}
		if got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}

func TestTagIsTheSubmission(t *testing.T) {
	sub := uuid.MustParse("0190b0d0-0000-7000-8000-00000000000a")
	cols := slurmfmt.NewColumns("Comment", "SubmitLine")
	for in, want := range map[string]bool{
		jobkey.Tag(sub, "mine") + "|": true, "|sbatch --comment=" + jobkey.Tag(sub, "") + " x.sh": true, "|": false, "hello|sbatch x.sh": false,
	} {
		r := slurmfmt.NewRecord(cols, strings.Split(strings.Replace(in, "|mine|", " |", 1), "|"), nil)
		if in == jobkey.Tag(sub, "mine")+"|" {
			r = slurmfmt.NewRecord(cols, []string{jobkey.Tag(sub, "mine"), ""}, nil)
		}
		if got := tagOf(r); (got != nil) != want || got != nil && *got != sub {
			t.Errorf("%s: %v", in, got)
		}
	}
}
