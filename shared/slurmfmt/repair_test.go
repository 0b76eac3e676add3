package slurmfmt

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

func kindsOf(names ...string) []colKind {
	out := make([]colKind, len(names))
	for i, n := range names {
		out[i] = kindOfColumn(n)
	}
	return out
}

func TestRepairKeepsWhatIsCertain(t *testing.T) {
	for name, tc := range map[string]struct {
		columns []string
		row     string
		want    []string
		damaged []int
		ok      bool
	}{
		"one free column takes the rest": {
			[]string{"JobID", "JobName", "State"},
			"1|a|b|c|FAILED",
			[]string{"1", "a|b|c", "FAILED"},
			nil, true,
		},
		"typed columns between free ones hold the frame": {
			[]string{"JobID", "JobName", "ExitCode", "Comment"},
			"1|a|b|0:0|x|y",
			[]string{"1", "a|b", "0:0", "x|y"},
			nil, true,
		},
		"neighboring free columns cannot be told apart": {
			[]string{"JobID", "JobName", "Comment", "State"},
			"1|a|b|c|FAILED",
			[]string{"1", "", "", "FAILED"},
			[]int{1, 2},
			true,
		},
		"a path shows where the name ends": {
			[]string{"JobID", "JobName", "WorkDir", "State"},
			"1|a|b|/home|FAILED",
			[]string{"1", "a|b", "/home", "FAILED"},
			nil, true,
		},
		"a command line shows where the comment ends": {
			[]string{"JobID", "Comment", "SubmitLine", "Reason"},
			"1|a|b|/usr/bin/sbatch -J x|y|None",
			[]string{"1", "a|b", "/usr/bin/sbatch -J x|y", "None"},
			nil, true,
		},
		"an uncertain typed column gives the row up": {
			[]string{"JobID", "JobName", "State", "Comment"},
			"1|a|FAILED|COMPLETED|x", nil, nil, false,
		},
		"the same text either way is certain": {
			[]string{"JobID", "JobName", "State", "Comment"},
			"1|a|FAILED|FAILED|x",
			[]string{"1", "", "FAILED", ""},
			[]int{1, 3},
			true,
		},
		"no column can take the surplus": {
			[]string{"JobID", "State", "ExitCode"},
			"1|FAILED|0:0|9", nil, nil, false,
		},
		"nothing has its shape": {
			[]string{"JobID", "JobName", "State"},
			"x|a|b|c|d", nil, nil, false,
		},
		"too few fields": {
			[]string{"JobID", "JobName", "State"},
			"1|a", nil, nil, false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			fields, damaged, ok := repairer{kindsOf(tc.columns...)}.solve(strings.Split(tc.row, "|"), "|")
			if ok != tc.ok || !slices.Equal(fields, tc.want) || !slices.Equal(damaged, tc.damaged) {
				t.Errorf("got %q, damaged %v, %v; want %q, %v, %v", fields, damaged, ok, tc.want, tc.damaged, tc.ok)
			}
		})
	}
}

func TestShapesAcceptWhatRealColumnsHold(t *testing.T) {
	for column, texts := range map[string][]string{
		"JobID":      {"1", "14_[1-4]", "123_[1,3,5%2]+1.batch", "9.0+1"},
		"Start":      {"", "Unknown", "None", "1795474275", "2026-11-23T08:19:34", "2026-11-23T08:19:34+01:00", "N/A"},
		"TotalCPU":   {"", "06:57.815", "1-02:03:04", "INVALID"},
		"Timelimit":  {"Partition_Limit", "UNLIMITED", "00:10:00"},
		"ReqMem":     {"", "600M", "2147486648Mn", "16?", "0"},
		"State":      {"COMPLETED", "CANCELLED by 1000", "CANCELLED+", "OUT_OF_MEMORY"},
		"ExitCode":   {"", "0:125"},
		"AllocTRES":  {"", "billing=2,cpu=2,gres/gpu:a100=2,mem=600M,node=2"},
		"NodeList":   {"", "None assigned", "n[1-2],gpu07", "rack-1.example.org"},
		"User":       {"", "alice", "DOMAIN\\bob", "a.b-c_d@example.org"},
		"Reason":     {"None", "ReqNodeNotAvail, UnavailableNodes:n4", "Nodes required for job are DOWN"},
		"WorkDir":    {"", "/home/a b", "(null)"},
		"SubmitLine": {"", "sbatch --parsable x.sh", "/opt/slurm/bin/srun a|b"},
		"Comment":    {"", "anything | at\nall"},
		"NewColumn":  {"", "Anything else 12"},
	} {
		for _, text := range texts {
			if !kindOfColumn(column).fits(text) {
				t.Errorf("%s does not accept %q", column, text)
			}
		}
	}
}

func TestShapesRefuseFreeText(t *testing.T) {
	for column, texts := range map[string][]string{
		"JobID":      {"", "abc", "line2", "2 items", "0x"},
		"Start":      {"two words", "a\nb"},
		"MaxRSS":     {"5 K", "ä"},
		"State":      {"completed", "9", "not A state", "A\nB"},
		"ExitCode":   {"0", "a b:c"},
		"AllocTRES":  {"cpu", "=4", "cpu=4 mem=2"},
		"NodeList":   {"None  assigned", "two nodes"},
		"WorkDir":    {"home/a"},
		"SubmitLine": {"sbatchx", "rm -rf /"},
		"Reason":     {"a\nb"},
	} {
		for _, text := range texts {
			if kindOfColumn(column).fits(text) {
				t.Errorf("%s accepts %q", column, text)
			}
		}
	}
}

func TestHostileRowsCostLittle(t *testing.T) {
	cols := []string{"JobID", "JobName", "Comment", "AdminComment", "SystemComment", "WorkDir", "SubmitLine", "Extra", "Command", "Start"}
	row := "1" + strings.Repeat("|/", len(cols)+maxExtraFields-2) + "|bad time\n"
	text := strings.Repeat(row, 2000)
	begin := time.Now()
	records, bad := readAll(t, text, Options{Columns: cols, Delimiter: "|"})
	if len(records) != 0 || len(bad) != 2000 {
		t.Errorf("%d rows, %d bad", len(records), len(bad))
	}
	if spent := time.Since(begin); spent > 20*time.Second {
		t.Errorf("2000 hostile rows took %v", spent)
	}
}

func TestLinesUpToTheBoundAreRead(t *testing.T) {
	for name, tc := range map[string]struct {
		length int
		rows   int
	}{"just fits": {1000, 1}, "one byte too long": {1001, 0}} {
		t.Run(name, func(t *testing.T) {
			row := "1|FAILED|"
			row += strings.Repeat("x", tc.length-len(row))
			records, bad := readAll(t, "JobID|State|Comment\n"+row+"\r\n", Options{MaxLine: 1000})
			if len(records) != tc.rows || len(bad) != 1-tc.rows {
				t.Errorf("%d rows, bad %v", len(records), bad)
			}
		})
	}
}

func TestARowOfManyLinesIsBounded(t *testing.T) {
	text := "JobID|State|Comment\n1|FAILED|a\n" + strings.Repeat("more text\n", 500) + "2|COMPLETED|b\n"
	records, bad := readAll(t, text, Options{MaxLine: 1000})
	if !slices.Equal(column(records, "JobID"), []string{"1", "2"}) || len(records[0].Get("Comment")) > 1000 || len(bad) == 0 {
		t.Errorf("ids %q, comment of %d bytes, %d bad", column(records, "JobID"), len(records[0].Get("Comment")), len(bad))
	}
}

func TestLinesLongerThanTheBufferAreWhole(t *testing.T) {
	comment := strings.Repeat("0123456789", readBuffer/4)
	records, bad := readAll(t, "JobID|State|Comment\n1|FAILED|"+comment+"\n2|FAILED|b\n", Options{})
	if len(records) != 2 || len(bad) != 0 || records[0].Get("Comment") != comment {
		t.Errorf("%d rows, bad %v", len(records), bad)
	}
}

func TestSlowAndFailingInput(t *testing.T) {
	text := "JobID|State\n1|FAILED\n2|COMPLETED\n"
	rd, err := NewReader(iotest.OneByteReader(strings.NewReader(text)), Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"1", "2"} {
		if rec, err := rd.Next(); err != nil || rec.Get("JobID") != want {
			t.Errorf("got %v, %v", rec, err)
		}
	}
	broken := errors.New("cable cut")
	rd, err = NewReader(io.MultiReader(strings.NewReader(text), iotest.ErrReader(broken)), Options{})
	for err == nil {
		_, err = rd.Next()
	}
	if !errors.Is(err, broken) || !strings.Contains(err.Error(), "line 4") {
		t.Errorf("a read error came back as %v", err)
	}
}

func TestBadRowsAreCountedWithoutACallback(t *testing.T) {
	rd, err := NewReader(strings.NewReader("JobID|State|ExitCode\n1|FAILED|0:0\n2\n"), Options{})
	for err == nil {
		_, err = rd.Next()
	}
	if rd.Bad() != 1 || rd.Delimiter() != "|" {
		t.Errorf("%d bad, delimiter %q", rd.Bad(), rd.Delimiter())
	}
	jr, err := NewJSONReader(bytes.NewReader([]byte("nonsense\n")), Options{})
	for err == nil {
		_, err = jr.Next()
	}
	if jr.Bad() != 1 {
		t.Errorf("%d bad", jr.Bad())
	}
}

func TestSplitQuoted(t *testing.T) {
	for in, want := range map[string][]string{
		`a,b`:           {"a", "b"},
		`"a,b",c`:       {"a,b", "c"},
		`"a ""q""",`:    {`a "q"`, ""},
		`,,`:            {"", "", ""},
		`"","x"`:        {"", "x"},
		`a "b" c,"d" e`: nil,
		`"open`:         nil,
	} {
		got, ok := splitQuoted(nil, in, ',')
		if ok != (want != nil) || ok && !slices.Equal(got, want) {
			t.Errorf("%s splits into %q, %v; want %q", in, got, ok, want)
		}
	}
}
