package slurmfmt

import (
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func readCases(t *testing.T, text string, opt Options) (cases []Case, bad []BadLine) {
	t.Helper()
	opt.Bad = func(b BadLine) { bad = append(bad, b) }
	jr, err := NewJSONReader(strings.NewReader(text), opt)
	if err != nil {
		t.Fatal(err)
	}
	for {
		c, err := jr.Next()
		if errors.Is(err, io.EOF) {
			return cases, bad
		}
		if err != nil {
			t.Fatal(err)
		}
		cases = append(cases, c)
	}
}

func TestTrapsAreReadWhole(t *testing.T) {
	cases, bad := readCases(t, string(readFixture(t, "traps.jsonl")), Options{})
	if len(cases) != 12 || len(bad) != 0 {
		t.Fatalf("%d cases, bad %v", len(cases), bad)
	}
	byID := map[string]Case{}
	for _, c := range cases {
		byID[c.ID] = c
	}
	var gpus []int64
	for _, r := range byID["gpu-typed-only"].Records {
		gpus = append(gpus, r.TRES("AllocTRES").GPUs().N)
	}
	if !slices.Equal(gpus, []int64{2, 4, 4}) {
		t.Errorf("gpus %v", gpus)
	}
	for _, r := range byID["jobid-grammar"].Records {
		if _, err := r.ID(); err != nil {
			t.Error(err)
		}
	}
	leak := byID["reqmem-flag-leak"].Records[0]
	cpus, _ := leak.Count("NCPUS").Value()
	nodes, _ := leak.Count("NNodes").Value()
	if total, _ := leak.ReqMem().Total(cpus, nodes); total != leak.TRES("AllocTRES").AllocMemory() {
		t.Errorf("ReqMem gives %v, AllocTRES %v", total, leak.TRES("AllocTRES").AllocMemory())
	}
	unset := byID["hdf5-sentinel"].Records[0]
	if ParseSizeMB(unset.Get("GPUMemMB")).Kind != Missing || ParseNumber(unset.Get("GPUUtilization")).Kind != Missing {
		t.Error("an unset GPU value passed as a number")
	}
	if d := byID["reportseff-41-mpi-step"].Records[0].Duration("TotalCPU"); d != known(417, 815000) {
		t.Errorf("TotalCPU %v", d)
	}
	if e := byID["reportseff-66-energy"].Records[0].Count("ConsumedEnergyRaw"); e.N != 101630 {
		t.Errorf("energy %v", e)
	}
}

func TestJSONValuesOfEveryType(t *testing.T) {
	cases, bad := readCases(t, `{"id":7,"rows":[{"a":"x\"y","b":1.5e3,"c":null,"d":true,"e":[1, 2],"JobID":12}],"truth":{}}`+"\n\n"+
		`{"rows":[]}`, Options{})
	if len(cases) != 2 || len(bad) != 0 || cases[0].ID != "7" || cases[1].ID != "" || cases[1].Line != 3 {
		t.Fatalf("cases %+v, bad %v", cases, bad)
	}
	r := cases[0].Records[0]
	for name, want := range map[string]string{"a": `x"y`, "b": "1.5e3", "c": "", "d": "true", "e": "[1,2]", "JobID": "12"} {
		if r.Get(name) != want {
			t.Errorf("%s = %q, want %q", name, r.Get(name), want)
		}
	}
	if !r.Has("c") || r.Has("z") {
		t.Error("null and absent are mixed up")
	}
}

func TestBadJSONLinesAreReportedAndSkipped(t *testing.T) {
	text := "{\"id\":1,\"rows\":[{}]}\nnot json\n[1]\n{\"id\":2}\n{\"id\":3,\"rows\":[7]}\n{\"id\":\"" +
		strings.Repeat("x", 300) + "\",\"rows\":[]}\n{\"id\":4,\"rows\":[{}]}\n"
	cases, bad := readCases(t, text, Options{MaxLine: 200})
	if len(cases) != 2 || cases[1].ID != "4" || len(bad) != 5 || bad[4].Number != 6 || !strings.Contains(bad[4].Reason, "longer") {
		t.Errorf("cases %v, bad %+v", cases, bad)
	}
}

func TestHostLists(t *testing.T) {
	for in, want := range map[string][]string{
		"n1":              {"n1"},
		"n[1-3,5],gpu07":  {"n1", "n2", "n3", "n5", "gpu07"},
		"n[008-011]":      {"n008", "n009", "n010", "n011"},
		"n[8-11]-ib":      {"n8-ib", "n9-ib", "n10-ib", "n11-ib"},
		"r[1-2]n[1-2]":    {"r1n1", "r1n2", "r2n1", "r2n2"},
		"":                {},
		"None assigned":   {},
		"(null)":          {},
		"a,b":             {"a", "b"},
		"a[18446744073]b": {"a18446744073b"},
	} {
		got, err := ExpandHosts(in, 10)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("ExpandHosts(%q) = %q, %v; want %q", in, got, err, want)
		}
		if n, err := CountHosts(in); err != nil || n != uint64(len(want)) {
			t.Errorf("CountHosts(%q) = %d, %v", in, n, err)
		}
	}
}

func TestBadHostListsAreRefused(t *testing.T) {
	for _, in := range []string{
		"n[", "n]", "n[1", "n[]", "n[3-1]", "n[a]", "n[1-]", ",", "a,", "a,,b", "a b", "a\nb", "n[1-2][", "n[-1]",
		"n[99999999999999999999]", strings.Repeat("a", 5000), strings.Repeat("n[1]", 40),
	} {
		if got, err := ExpandHosts(in, 10); !errors.Is(err, ErrHostList) {
			t.Errorf("ExpandHosts(%q) = %q, %v", clip(in), got, err)
		}
	}
	for _, in := range []string{"n[1-11]", "n[0-999999999]", "a[0-999999]b[0-999999]c[0-999999]", "n[" + strings.Repeat("0-999999999999999999,", 18) + "0-446744073709551615,0]"} {
		if _, err := ExpandHosts(in, 10); !errors.Is(err, ErrTooMany) {
			t.Errorf("ExpandHosts(%q): %v", in, err)
		}
	}
}

func TestScontrolJobsInBothForms(t *testing.T) {
	for name, entities := range map[string]int{"scontrol_show_job.txt": 11, "scontrol_show_job_o.txt": 10, "scontrol_running_o.txt": 1, "scontrol_d_show_job_20.txt": 1} {
		text := string(readFixture(t, name))
		got := ParseEntities(text)
		if want := strings.Count("\n"+text, "\nJobId="); len(got) != want {
			t.Errorf("%s: %d jobs, want %d (about %d)", name, len(got), want, entities)
		}
		for _, kv := range got {
			id, _ := kv.Get("JobId")
			if _, err := ParseJobID(id); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			for _, key := range []string{"StdOut", "StdErr", "WorkDir"} {
				if v, ok := kv.Get(key); !ok || v[0] != '/' {
					t.Errorf("%s: job %s: %s = %q %v", name, id, key, v, ok)
				}
			}
			if st, _ := kv.Get("JobState"); !ParseState(st).Known() {
				t.Errorf("%s: job %s: state %q", name, id, st)
			}
		}
	}
}

func TestScontrolValuesWithBlanks(t *testing.T) {
	for _, name := range []string{"scontrol_show_job.txt", "scontrol_show_job_o.txt", "scontrol_d_show_job_20.txt"} {
		for _, kv := range ParseEntities(string(readFixture(t, name))) {
			if id, _ := kv.Get("JobId"); id != "20" {
				continue
			}
			for key, want := range map[string]string{
				"JobName": "two steps", "Comment": "hello comment", "StdErr": "/home/lab/two steps-20.err", "UserId": "alice(1002)",
				"StdOut": "/home/lab/two steps-20-20-4294967294-%N-alice.out", "Command": "../jobs/steps.sh", "Socks/Node": "*",
			} {
				if got, ok := kv.Get(key); got != want || !ok {
					t.Errorf("%s: %s = %q %v, want %q", name, key, got, ok, want)
				}
			}
			if kv.TRES("TRES").GPUs().N != 2 || kv.Duration("TimeLimit") != known(300, 0) {
				t.Errorf("%s: TRES %v, limit %v", name, kv.TRES("TRES"), kv.Duration("TimeLimit"))
			}
		}
	}
}

func TestSpoofedKeysAreAmbiguousNotBelieved(t *testing.T) {
	long := "JobId=1 JobName=x StdOut=/etc/shadow\n   UserId=bob(1)\n   Comment=a\n   StdOut=/etc/passwd\n   StdOut=/home/bob/o\n"
	kv := ParseEntities(long)[0]
	if v, ok := kv.Get("StdOut"); ok || !kv.Ambiguous("StdOut") {
		t.Errorf("a spoofed path was believed: %q", v)
	}
	if name, _ := kv.Get("JobName"); name != "x StdOut=/etc/shadow" {
		t.Errorf("name %q", name)
	}
	one := ParseEntities("JobId=1 JobName=x StdOut=/etc/shadow UserId=bob(1) StdOut=/home/bob/o Power=\n")[0]
	if v, ok := one.Get("StdOut"); ok {
		t.Errorf("a spoofed path was believed: %q", v)
	}
	broken := ParseEntities("JobId=1 JobName=two\nlines\n   UserId=bob(1)\n")[0]
	if name, _ := broken.Get("JobName"); name != "two\nlines" {
		t.Errorf("name %q", name)
	}
}

func TestScontrolNodesAndPartitions(t *testing.T) {
	nodes := ParseEntities(string(readFixture(t, "scontrol_show_node.txt")))
	if len(nodes) != 4 {
		t.Fatalf("%d nodes", len(nodes))
	}
	for _, n := range nodes {
		gres, _ := n.Get("Gres")
		os, _ := n.Get("OS")
		if n.Count("CPUTot").N != 4 || n.SizeMB("RealMemory").Bytes != 4<<30 || n.Count("ThreadsPerCore").N != 1 || gres != "gpu:a100:2" {
			t.Errorf("node %v", n)
		}
		if os != "Linux 6.18.44-fc-v669 #1 SMP PREEMPT_DYNAMIC @0" || n.TRES("CfgTRES").GPUs().N != 2 {
			t.Errorf("OS %q", os)
		}
	}
	parts := ParseEntities(string(readFixture(t, "scontrol_show_part.txt")))
	if len(parts) != 2 || parts[0].Duration("MaxTime") != known(86400, 0) || parts[1].Duration("MaxTime").Kind != Unlimited ||
		parts[0].SizeMB("DefMemPerCPU").Bytes != 256<<20 {
		t.Errorf("partitions %v", parts)
	}
}

func TestScontrolConfig(t *testing.T) {
	c := ParseConfig(string(readFixture(t, "scontrol_show_config.txt")))
	v, ok := c.Version()
	if !ok || v != (Version{22, 5, 8}) || v.String() != "22.05.8" || !v.AtLeast(22, 5) || v.AtLeast(23, 2) {
		t.Errorf("version %v %v", v, ok)
	}
	if hidden, known := c.PrivateData(); len(hidden) != 0 || !known {
		t.Errorf("private data %q %v", hidden, known)
	}
	if g, _ := c.Get("JobAcctGatherType"); g != "jobacct_gather/linux" {
		t.Errorf("gather type %q", g)
	}
	if s := c.Sampling(); s.Task != known(1, 0) || s.Filesystem != known(1, 0) {
		t.Errorf("sampling %+v", s)
	}
	if _, ok := c.Get("AcctGatherNodeFreq"); !ok {
		t.Error("a setting with a unit is lost")
	}
	if _, ok := c.Get("TaskProlog"); ok {
		t.Error("(null) counts as a value")
	}
	if _, known := ParseConfig("").PrivateData(); known {
		t.Error("no output at all says that nothing is private")
	}
	if s := ParseSampling("30"); s.Task != known(30, 0) || s.Energy.Kind != Missing {
		t.Errorf("sampling %+v", s)
	}
}

func TestVersions(t *testing.T) {
	for in, want := range map[string]Version{"slurm 24.11.5": {24, 11, 5}, "slurm-wlm 22.05.8\n": {22, 5, 8}, "25.05.0-0rc1": {25, 5, 0}, "26.05": {26, 5, 0}} {
		if got, ok := ParseVersion(in); got != want || !ok {
			t.Errorf("ParseVersion(%q) = %v %v", in, got, ok)
		}
	}
	for _, in := range []string{"", "slurm", "22", "a.b.c", "-1.2"} {
		if got, ok := ParseVersion(in); ok {
			t.Errorf("ParseVersion(%q) = %v", in, got)
		}
	}
}

// transcript splits a recorded session into the text of each command by its
// "[rc=…] command" line.
func transcript(text string) map[string]string {
	out, body := map[string]string{}, ""
	for l := range strings.Lines(text) {
		head, command, isEnd := strings.Cut(l, "] ")
		if isEnd && strings.Contains(head, "[rc=") {
			out[strings.TrimSpace(command)] = body + head[:strings.Index(head, "[rc=")]
			body = ""
			continue
		}
		body += l
	}
	return out
}

func TestRecordedOutagesAreClassified(t *testing.T) {
	ctld := transcript(string(readFixture(t, "slurmctld_down.txt")))
	for command, want := range map[string]Fault{
		"squeue -h": FaultControllerDown, "scontrol show job 20": FaultControllerDown, "scancel 5": FaultControllerDown,
		"sbatch --parsable --wrap true": FaultControllerDown, "sacct -j 20 -n -P -X --format=JobID,State": FaultDatabaseDown,
	} {
		if got := ClassifyFault(ctld[command]); got != want || !got.Outage() {
			t.Errorf("%s: %q is %q, want %q", command, ctld[command], got, want)
		}
	}
	dbd := transcript(string(readFixture(t, "slurmdbd_down.txt")))
	for command, want := range map[string]Fault{"sacct -j 20 --json": FaultDatabaseDown, "sacctmgr -n -P show assoc": FaultDatabaseDown} {
		if got := ClassifyFault(dbd[command]); got != want {
			t.Errorf("%s: %q is %q, want %q", command, dbd[command], got, want)
		}
	}
}

func TestFaults(t *testing.T) {
	for text, want := range map[string]Fault{
		"":    FaultNone,
		" \n": FaultNone,
		"slurm_load_jobs error: Invalid job id specified": FaultInvalidJob,
		"sstat: error: No steps running for job 20":       FaultNotRunning,
		"Invalid user id":          FaultDenied,
		"Access/permission denied": FaultDenied,
		"slurm_load_jobs error: Socket timed out on send/recv operation":                                         FaultTimeout,
		"sbatch: error: Batch job submission failed: Invalid account or account/partition combination specified": FaultOther,
	} {
		if got := ClassifyFault(text); got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
}

func TestOutputPathsExpandAsOnDisk(t *testing.T) {
	job := PathValues{JobID: "4", JobName: "from script", User: "alice", Host: "vm"}
	task := PathValues{JobID: "17", ArrayJobID: "6", ArrayTaskID: "12", JobName: "arr", User: "bob", Host: "vm"}
	for _, tc := range []struct {
		pattern string
		v       PathValues
		want    string
	}{
		{"/h/pat-%x-%j-%A-%a-%u-%N-%n-%t-%s-%4j-%%.out", job, "/h/pat-from script-4-4-4294967294-alice-vm-0-0-batch-0004-%.out"},
		{"pat2-%x_%J.err", job, "pat2-from script_4.err"},
		{"arr-%A_%a.out", task, "arr-6_12.out"},
		{"%3a-%99j", task, "012-0000000017"},
		{"/tmp/p-%J-%s-%b-%5N-%q-%%j.out", PathValues{JobID: "3", Host: "vm"}, "/tmp/p-3-batch-%b-vm-%q-%j.out"}, // seen on disk
		{"%b", PathValues{ArrayTaskID: "12", Modulo: true}, "2"},
		{DefaultOutput(true), task, "slurm-6_12.out"},
		{DefaultOutput(false), job, "slurm-4.out"},
		{`lit\%j`, job, "lit%j"},
		{"a%", job, "a%"},
		{"a%q%5", job, "a%q%5"},
		{"%%j", job, "%j"},
		{"", job, ""},
	} {
		if got, err := ExpandPath(tc.pattern, tc.v); err != nil || got != tc.want {
			t.Errorf("ExpandPath(%q) = %q, %v; want %q", tc.pattern, got, err, tc.want)
		}
	}
	for _, pattern := range []string{"%N", "%u", "%x", strings.Repeat("a", 5000), "a\x00"} {
		if got, err := ExpandPath(pattern, PathValues{JobID: "4"}); !errors.Is(err, ErrPathPattern) {
			t.Errorf("ExpandPath(%q) = %q, %v", clip(pattern), clip(got), err)
		}
	}
}

func TestWhatSqueueIsAskedForIsWhatIsParsed(t *testing.T) {
	args := SqueueArgs(testDelimiter, "--me")
	format, ok := strings.CutPrefix(args[3], "--format=")
	if !ok || strings.Count(format, "%") != len(SqueueColumns()) || args[len(args)-1] != "--me" {
		t.Fatalf("args %q", args)
	}
	row := make([]string, len(SqueueColumns()))
	copy(row, []string{"7_[1-4%2]", "7", "7", "1002", "alice", "physics", "debug", "normal", "PENDING", "1795422000", "N/A", "N/A", "0:00", "5:00", "1-1", "1"})
	row[len(row)-1] = "ergon1:x|own"
	row[len(row)-2] = "we|ird\nname"
	records, bad := readAll(t, strings.Join(row, testDelimiter)+"\n", Options{Columns: SqueueColumns(), Delimiter: testDelimiter})
	if len(records) != 1 || len(bad) != 0 {
		t.Fatalf("records %v, bad %v", records, bad)
	}
	r := records[0]
	if id, err := r.ID(); err != nil || id.String() != "7_[1-4%2]" || r.State().API != StatePending || r.TimeLimit() != known(300, 0) {
		t.Errorf("record %v", r)
	}
}

func TestAUserCannotForgeARowThroughTheJobName(t *testing.T) {
	cols := []string{"JobID", "User", "State", "JobName"}
	for _, forged := range []string{"2|victim|FAILED|x", strings.Join([]string{"2", "victim", "FAILED", "x"}, Delimiter([8]byte{}))} {
		text := strings.Join([]string{"1", "mallory", "COMPLETED", "a\n" + forged}, testDelimiter) + "\n"
		records, bad := readAll(t, text, Options{Columns: cols, Delimiter: testDelimiter})
		if len(records) != 1 || len(bad) != 0 || records[0].Get("JobName") != "a\n"+forged {
			t.Errorf("%d rows, users %q", len(records), column(records, "User"))
		}
	}
}

func TestRecordedAnswersToOurOwnCallsAreReadWhole(t *testing.T) {
	const name = "we|ird\n77|x ~|@|~ name"
	squeue, bad := readAll(t, string(readFixture(t, "own_squeue.txt")), Options{Columns: SqueueColumns(), Delimiter: testDelimiter})
	if len(squeue) != 3 || len(bad) != 0 || squeue[0].Get("JobName") != name || squeue[0].Get("Comment") != "com|ment\nline2" {
		t.Errorf("squeue: %q, bad %v", column(squeue, "JobName"), bad)
	}
	pending := mustID(t, squeue[2].Get("JobID"))
	if n, cut := pending.TaskCount(); n != 45 || cut || !squeue[2].NeverStarted() {
		t.Errorf("the array %v counts %d tasks, cut %v", pending, n, cut)
	}
	if c, ok := squeue[1].Text("Comment"); ok {
		t.Errorf("no comment shows as %q", c)
	}
	sacct, bad := readAll(t, string(readFixture(t, "own_sacct.txt")), Options{})
	if !slices.Equal(column(sacct, "JobID"), []string{"1", "1.batch", "3", "3.batch"}) || len(bad) != 0 {
		t.Fatalf("sacct: ids %q, bad %v", column(sacct, "JobID"), bad)
	}
	job, batch := sacct[0], sacct[1]
	if n, ok := job.Text("JobName"); n != name || !ok || job.Damaged() != nil {
		t.Errorf("name %q, damaged %q", n, job.Damaged())
	}
	if m, ok := job.Time("Start").Value(); !ok || m.Unix() != 1795474275 || job.Elapsed() != known(1, 0) || job.TimeLimit() != known(600, 0) {
		t.Errorf("start %v, elapsed %v, limit %v", m, job.Elapsed(), job.TimeLimit())
	}
	if batch.Size("MaxRSS").Bytes != 3301376 || batch.TRES("TRESUsageInTot").UsageMemory().Bytes != 3301376 {
		t.Errorf("memory %v %v", batch.Get("MaxRSS"), batch.Get("TRESUsageInTot"))
	}
}

func TestWhatSacctIsAskedForExistsIn2205(t *testing.T) {
	all, err := NewReader(strings.NewReader(string(readFixture(t, "sacct_all_fields.p2"))), Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range SacctColumns() {
		if all.Columns().Index(name) < 0 {
			t.Errorf("sacct 22.05 has no field %s: the whole call would fail", name)
		}
	}
	args := SacctArgs(testDelimiter, "--jobs=1")
	if args[len(args)-1] != "--jobs=1" || !slices.Contains(args, "--delimiter="+testDelimiter) {
		t.Errorf("args %q", args)
	}
}

func TestCommandEnvRemovesWhatChangesOutput(t *testing.T) {
	in := []string{"PATH=/bin", "SQUEUE_FORMAT=%i", "SACCT_FORMAT=x", "SLURM_TIME_FORMAT=relative", "TZ=Asia/Tokyo", "SLURM_CONF=/etc/slurm.conf", "SLURM_CLUSTERS=other"}
	want := []string{"PATH=/bin", "SLURM_CONF=/etc/slurm.conf", "SLURM_TIME_FORMAT=%s", "TZ=UTC", "SLURM_BITSTR_LEN=0"}
	before := slices.Clone(in)
	if got := CommandEnv(in); !slices.Equal(got, want) || !slices.Equal(in, before) {
		t.Errorf("got %q, want %q", got, want)
	}
	if args := ScontrolJobArgs(mustID(t, "7_2.batch")); args[2] != "7_2" {
		t.Errorf("args %q", args)
	}
}

func TestKindsHaveNames(t *testing.T) {
	seen := map[string]bool{}
	for k := Missing; k <= Invalid; k++ {
		if seen[k.String()] {
			t.Errorf("two kinds are named %s", k)
		}
		seen[k.String()] = true
	}
	if Kind(200).String() != "invalid" {
		t.Error(strconv.Itoa(int(Kind(200))) + " has a name of its own")
	}
}
