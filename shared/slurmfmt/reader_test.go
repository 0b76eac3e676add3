package slurmfmt

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// agentColumns is the --format of the fixture sacct_agent_fields.p2, which was
// recorded without a header.
var agentColumns = strings.Split("JobID,JobIDRaw,JobName,User,Account,Partition,QOS,State,ExitCode,DerivedExitCode,"+
	"Submit,Eligible,Start,End,ElapsedRaw,TimelimitRaw,CPUTimeRAW,TotalCPU,UserCPU,SystemCPU,AveCPU,MaxRSS,MaxRSSNode,"+
	"MaxRSSTask,AveRSS,MaxDiskRead,MaxDiskWrite,TRESUsageInTot,TRESUsageInMax,TRESUsageOutTot,ConsumedEnergyRaw,ReqMem,"+
	"ReqTRES,AllocTRES,NNodes,NTasks,NodeList,WorkDir,Comment,AdminComment,SystemComment,SubmitLine,Reason,Flags", ",")

var testDelimiter = Delimiter([8]byte{1, 2, 3, 4, 0xfe, 6, 7, 8})

func readFixture(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func readAll(t *testing.T, text string, opt Options) (records []*Record, bad []BadLine) {
	t.Helper()
	opt.Bad = func(b BadLine) { bad = append(bad, b) }
	rd, err := NewReader(strings.NewReader(text), opt)
	if err != nil {
		t.Fatal(err)
	}
	for {
		rec, err := rd.Next()
		if errors.Is(err, io.EOF) {
			return records, bad
		}
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, rec.Clone())
	}
}

func column(records []*Record, name string) []string {
	out := make([]string, len(records))
	for i, r := range records {
		out[i] = r.Get(name)
	}
	return out
}

func TestEveryFixtureWithAHeaderIsReadWhole(t *testing.T) {
	for name, rows := range map[string]int{
		"sacct_12.p2": 1, "sacct_16.p2": 1, "sacct_D_11.p2": 4, "sacct_D_15.p2": 6, "sacct_running.p2": 4,
		"sacct_state.p2": 8, "sacct_steps_20.p2": 5, "sacct_steps_20_noconvert.p2": 5, "sacct_steps_20_unitsG.p2": 5,
		"sstat_20.p2": 0, "sstat_running.p2": 3, "sacctmgr_assoc.p2": 6, "sacctmgr_qos.p2": 1, "sacctmgr_tres.p2": 9, "sshare.p2": 6,
	} {
		records, bad := readAll(t, string(readFixture(t, name)), Options{})
		if len(records) != rows || len(bad) != 0 {
			t.Errorf("%s: %d rows, want %d; bad %v", name, len(records), rows, bad)
		}
	}
}

func TestAllFieldsOfRealSacct(t *testing.T) {
	records, bad := readAll(t, string(readFixture(t, "sacct_all_fields.p2")), Options{})
	for _, b := range bad {
		t.Errorf("line %d: %s: %s", b.Number, b.Reason, b.Text)
	}
	for _, r := range records {
		if _, err := r.ID(); err != nil {
			t.Errorf("line %d: %v", r.Line, err)
		}
		if !r.State().Known() || r.Elapsed().Kind != Known || r.Time("Submit").Kind != Known {
			t.Errorf("line %d: state %q elapsed %v submit %v", r.Line, r.Get("State"), r.Elapsed(), r.Get("Submit"))
		}
	}
	weird := records[slices.Index(column(records, "JobID"), "13")]
	if name := weird.Get("JobName"); name != "we|ird\nname `q` é,x" {
		t.Errorf("the name with delimiter and newline came back as %q", name)
	}
}

func TestAgentFieldsOfRealSacct(t *testing.T) {
	records, bad := readAll(t, string(readFixture(t, "sacct_agent_fields.p2")), Options{Columns: agentColumns})
	for _, b := range bad {
		t.Errorf("line %d: %s: %s", b.Number, b.Reason, b.Text)
	}
	ids := column(records, "JobID")
	for _, id := range []string{"1", "5.0", "6_3.batch", "21+1.0", "13", "13.batch", "20.1"} {
		if !slices.Contains(ids, id) {
			t.Errorf("row %s is lost", id)
		}
	}
	at := func(id string) *Record { return records[slices.Index(ids, id)] }
	if e := at("5").ExitCode("DerivedExitCode"); !e.OOM() {
		t.Errorf("the ignored OOM of job 5 shows as %v", e)
	}
	if at("5.0").State().Word != "OUT_OF_MEMORY" || at("10.batch").ExitCode("ExitCode").Kind != Missing {
		t.Error("states or exit codes of steps are read wrongly")
	}
	if c := at("20.1").TRES("TRESUsageInTot"); c.UsageCPU() != known(4, 0) || c.UsageMemory().Bytes != 248488<<10 {
		t.Errorf("usage %v", c)
	}
	if !records[slices.Index(column(records, "NodeList"), "None assigned")].NeverStarted() || at("10").NeverStarted() {
		t.Error("never started is told wrongly")
	}
	weird := at("13")
	if weird.Get("JobName") != "we|ird\nname `q` é,x" || weird.Get("AllocTRES") != "billing=1,cpu=1,mem=50M,node=1" {
		t.Errorf("job 13: name %q, tres %q", weird.Get("JobName"), weird.Get("AllocTRES"))
	}
	if want := []string{"WorkDir", "Comment", "AdminComment", "SystemComment"}; !slices.Equal(weird.Damaged(), want) {
		t.Errorf("damaged %q, want %q", weird.Damaged(), want)
	}
	if !strings.HasPrefix(weird.Get("SubmitLine"), "sbatch --parsable -J we|ird\n") || weird.Get("Reason") != "None" {
		t.Errorf("submit line %q, reason %q", weird.Get("SubmitLine"), weird.Get("Reason"))
	}
}

func TestReusedIDsWithDelimiterInTheName(t *testing.T) {
	records, bad := readAll(t, string(readFixture(t, "sacct_id_reuse_D.p2")),
		Options{Columns: []string{"JobID", "DBIndex", "JobName", "State", "Submit"}})
	if len(bad) != 0 || !slices.Equal(column(records, "JobName"), []string{"wrap", "timeout", "single", "wrap 4|x", "wrap 5|x", "wrap 6|x"}) {
		t.Errorf("names %q, bad %v", column(records, "JobName"), bad)
	}
}

func TestRealTimesAndNeverStartedJobs(t *testing.T) {
	records, _ := readAll(t, string(readFixture(t, "sacct_12.p2")), Options{Location: time.FixedZone("CET", 3600)})
	r := records[0]
	if r.Time("Eligible").Kind != NotYet || r.Time("Start").Kind != Never || !r.NeverStarted() {
		t.Errorf("eligible %v, start %v", r.Time("Eligible").Kind, r.Time("Start").Kind)
	}
	if s, _ := r.Time("Submit").Value(); s.Format(time.RFC3339) != "2026-11-23T07:16:49Z" {
		t.Errorf("submit %v", s)
	}
}

func TestDelimitersAreFoundOut(t *testing.T) {
	for _, d := range []string{"|", "@@", ",", "\t", ";", "^", testDelimiter, "\x1f", "||"} {
		for _, end := range []string{"", d} {
			row := func(f ...string) string { return strings.Join(f, d) + end + "\n" }
			body := row("1", "COMPLETED", "0:0", "") + row("2", "FAILED", "1:0", "x")
			records, bad := readAll(t, row("JobID", "State", "ExitCode", "Comment")+body, Options{})
			if len(records) != 2 || len(bad) != 0 || records[1].Get("Comment") != "x" || records[0].Get("ExitCode") != "0:0" {
				t.Errorf("delimiter %q, trailing %v: %d rows, bad %v", d, end != "", len(records), bad)
			}
			if d == "||" || d == testDelimiter {
				continue // found only in a header
			}
			records, bad = readAll(t, body, Options{Columns: []string{"JobID", "State", "ExitCode", "Comment"}})
			if len(records) != 2 || len(bad) != 0 || records[1].Get("Comment") != "x" {
				t.Errorf("headerless, delimiter %q, trailing %v: %d rows, bad %v", d, end != "", len(records), bad)
			}
		}
	}
}

func TestQuotedCSV(t *testing.T) {
	records, bad := readAll(t, "\"JobID\",\"JobName\",\"AllocTRES\",\"State\"\r\n\"7\",\"a \"\"b\"\", c\",\"cpu=4,mem=2G\",COMPLETED\r\n", Options{})
	if len(bad) != 0 || len(records) != 1 || records[0].Get("JobName") != `a "b", c` || records[0].TRES("AllocTRES").CPUs().N != 4 {
		t.Fatalf("got %v, bad %v", records, bad)
	}
}

func TestOddInputIsReadAllTheSame(t *testing.T) {
	plain := "JobID|State\n1|COMPLETED\n2|FAILED\n"
	var zipped bytes.Buffer
	zw := gzip.NewWriter(&zipped)
	if _, err := zw.Write([]byte(plain)); err != nil {
		t.Fatal(err)
	}
	if err := zw.Close(); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"plain":                  plain,
		"gzip":                   zipped.String(),
		"windows line ends":      strings.ReplaceAll(plain, "\n", "\r\n"),
		"byte order mark":        "\ufeff" + plain,
		"no newline at the end":  strings.TrimSuffix(plain, "\n"),
		"empty lines":            "\n\n" + strings.ReplaceAll(plain, "\n", "\n\n"),
		"NULs before a line":     strings.Replace(plain, "2|", "\x00\x00\x002|", 1),
		"two dumps in one file":  plain[:24] + plain[:12] + plain[24:],
		"invalid UTF-8 is bytes": plain,
	} {
		records, bad := readAll(t, text, Options{})
		if !slices.Equal(column(records, "JobID"), []string{"1", "2"}) || len(bad) != 0 {
			t.Errorf("%s: ids %q, bad %v", name, column(records, "JobID"), bad)
		}
	}
}

func TestEmptyInputHasNoRows(t *testing.T) {
	for _, opt := range []Options{{}, {Columns: []string{"JobID"}}} {
		if records, bad := readAll(t, "", opt); len(records)+len(bad) != 0 {
			t.Errorf("rows %v, bad %v", records, bad)
		}
	}
}

func TestInputThatIsNoDumpIsRefusedWithAdvice(t *testing.T) {
	for text, advice := range map[string]string{
		"JobID    JobName\n-----  ------\n": "--parsable2",
		"1|wrap|COMPLETED\n":                "--noheader",
		strings.Repeat("x", 2<<20) + "\n":   "longer",
	} {
		_, err := NewReader(strings.NewReader(text), Options{})
		if !errors.Is(err, ErrNotParsable) || !strings.Contains(err.Error(), advice) {
			t.Errorf("%q: error %v does not say %q", clip(text), err, advice)
		}
	}
}

func TestDamagedRowsAreReportedAndSkipped(t *testing.T) {
	head := "JobID|JobName|State|End\n"
	for name, tc := range map[string]struct {
		text   string
		line   int
		reason string
	}{
		"short row":        {"1|a|COMPLETED|5\n2|b\n3|c|FAILED|6\n", 3, "2 fields"},
		"overlong line":    {"1|a|COMPLETED|5\n2|" + strings.Repeat("x", 2<<20) + "|FAILED|6\n3|c|FAILED|6\n", 3, "longer than"},
		"NUL inside":       {"1|a|COMPLETED|5\n2|b\x00b|FAILED|6\n3|c|FAILED|6\n", 3, "NUL"},
		"nonsense shape":   {"1|a|COMPLETED|5\n2|b|not a state|6\n3|c|FAILED|6\n", 3, "shapes"},
		"far too many":     {"1|a|COMPLETED|5\n2" + strings.Repeat("|x", 500) + "\n3|c|FAILED|6\n", 3, "rare --delimiter"},
		"error text first": {"sacct: error: slow\n1|a|COMPLETED|5\n3|c|FAILED|6\n", 2, "1 fields"},
	} {
		records, bad := readAll(t, head+tc.text, Options{})
		if !slices.Equal(column(records, "JobID"), []string{"1", "3"}) {
			t.Errorf("%s: ids %q", name, column(records, "JobID"))
		}
		if len(bad) != 1 || bad[0].Number != tc.line || !strings.Contains(bad[0].Reason, tc.reason) || len(bad[0].Text) > 2000 {
			t.Errorf("%s: bad %+v", name, bad)
		}
	}
}

func TestABadRowIsHandedOutWhole(t *testing.T) {
	long := "2|" + strings.Repeat("x", 4000) + "|not a state|6"
	_, bad := readAll(t, "JobID|JobName|State|End\n"+long+"\n", Options{})
	if len(bad) != 1 || bad[0].Text != long {
		t.Errorf("%d bad rows, text of %d bytes, want %d", len(bad), len(bad[0].Text), len(long))
	}
}

func TestALineThatIsNoRowIsNotJoinedToTheRowBefore(t *testing.T) {
	for name, tc := range map[string]struct{ head, row, stray, last string }{
		"the rest of another row":     {"JobID|State|Comment", "1|COMPLETED|hello", "FAILED|x", "hello"},
		"a message of sacct's":        {"JobID|State|Comment", "1|COMPLETED|hello", "sacct: error: slow", "hello"},
		"after an empty last column":  {"JobID|State|Comment", "1|COMPLETED|", "garbage", ""},
		"after a path":                {"JobID|State|WorkDir", "1|COMPLETED|/home/a", "garbage", "/home/a"},
		"a truncated row with a path": {"JobID|State|WorkDir", "1|COMPLETED|/home/a", "x9|COMP", "/home/a"},
	} {
		records, bad := readAll(t, tc.head+"\n"+tc.row+"\n"+tc.stray+"\n2|FAILED|\n", Options{})
		last := tc.head[strings.LastIndexByte(tc.head, '|')+1:]
		if len(records) != 2 || records[0].Get(last) != tc.last || len(bad) != 1 || bad[0].Number != 3 || bad[0].Text != tc.stray {
			t.Errorf("%s: %d rows, %q, bad %+v", name, len(records), column(records, last), bad)
		}
	}
}

func TestFreeTextIsPutBackTogether(t *testing.T) {
	head := "JobID|JobName|State|Comment\n"
	for name, tc := range map[string]struct{ text, jobName, comment string }{
		"delimiter in the name":        {"7|a|b|COMPLETED|hi\n", "a|b", "hi"},
		"delimiter in the comment":     {"7|a|COMPLETED|x|y\n", "a", "x|y"},
		"newline in the name":          {"7|a\nb|COMPLETED|hi\n", "a\nb", "hi"},
		"newline in the last column":   {"7|a|COMPLETED|x\ny z\n", "a", "x\ny z"},
		"both":                         {"7|a|1\nz|b|COMPLETED|x|\ny\n", "a|1\nz|b", "x|\ny"},
		"empty line in the name":       {"7|a\n\nb|COMPLETED|hi\n", "a\n\nb", "hi"},
		"name that looks like a state": {"7|a|FAILED|COMPLETED|\n", "a", "COMPLETED|"},
	} {
		records, bad := readAll(t, head+tc.text+"8|z|FAILED|end\n", Options{})
		if name == "name that looks like a state" {
			// Two readings fit: the state itself is uncertain, so the row is given up.
			if len(records) != 1 || len(bad) != 1 {
				t.Errorf("%s: an ambiguous state was guessed: %q", name, column(records, "State"))
			}
			continue
		}
		if len(records) != 2 || len(bad) != 0 {
			t.Errorf("%s: %d rows, bad %v", name, len(records), bad)
			continue
		}
		if r := records[0]; r.Get("JobName") != tc.jobName || r.Get("Comment") != tc.comment || r.Get("State") != "COMPLETED" {
			t.Errorf("%s: name %q, state %q, comment %q", name, r.Get("JobName"), r.Get("State"), r.Get("Comment"))
		}
	}
}

func TestAnOddJobIDCostsNoRow(t *testing.T) {
	records, bad := readAll(t, "JobID|State|ExitCode|Comment\n1|COMPLETED|0:0|x\njob-77|FAILED|1:0|y\n", Options{})
	if !slices.Equal(column(records, "JobID"), []string{"1", "job-77"}) || len(bad) != 0 {
		t.Errorf("ids %q, bad %v", column(records, "JobID"), bad)
	}
}

func TestNewerWordsCostNoRow(t *testing.T) {
	records, bad := readAll(t, "JobID|State|Reason|Flags|Account\n1|HIBERNATING|Some new: reason, with blanks|New Flag|ä b\n", Options{})
	if len(records) != 1 || len(bad) != 0 || records[0].State().Known() {
		t.Errorf("rows %v, bad %v", records, bad)
	}
}

func TestCorruptGzipIsAnError(t *testing.T) {
	var zipped bytes.Buffer
	zw := gzip.NewWriter(&zipped)
	if _, err := zw.Write([]byte("JobID|State\n" + strings.Repeat("1|COMPLETED\n", 1000))); err != nil {
		t.Fatal(err)
	}
	if err := zw.Close(); err != nil {
		t.Fatal(err)
	}
	rd, err := NewReader(bytes.NewReader(zipped.Bytes()[:zipped.Len()-9]), Options{})
	for err == nil {
		_, err = rd.Next()
	}
	if errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error("a cut gzip stream ended as if it were whole")
	}
}

func TestColumnsAreFoundWithoutCase(t *testing.T) {
	records, _ := readAll(t, "jobid|STATE\n1|FAILED\n", Options{})
	r := records[0]
	if r.Get("JobID") != "1" || r.State().Word != "FAILED" || r.Has("Comment") || r.Get("Comment") != "" || !r.Has("state") {
		t.Errorf("got %v", r)
	}
	if i := r.Columns().Index("State"); r.At(i) != "FAILED" || r.At(-1) != "" {
		t.Errorf("index %d", i)
	}
}
