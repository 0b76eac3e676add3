package slurmfmt

import (
	"slices"
	"strings"
	"testing"
)

func TestEveryStateWordHasItsAPIState(t *testing.T) {
	groups := map[APIState][]string{
		StatePending: {
			"PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "RESV_DEL_HOLD", "SPECIAL_EXIT",
			"POWER_UP_NODE", "INTENT", "SUBMITTING", "SUBMIT_UNKNOWN", "AMBIGUOUS",
		},
		StateRunning: {"RUNNING", "SUSPENDED", "COMPLETING", "STOPPED", "SIGNALING", "STAGE_OUT", "RESIZING", "EXPEDITING"},
		StateDone:    {"COMPLETED"},
		StateFailed: {
			"CANCELLED", "FAILED", "TIMEOUT", "NODE_FAIL", "PREEMPTED", "BOOT_FAIL", "DEADLINE", "OUT_OF_MEMORY",
			"LAUNCH_FAILED", "RECONFIG_FAIL", "REVOKED", "REJECTED", "LOST",
		},
	}
	total := 0
	for api, words := range groups {
		for _, word := range words {
			if st := ParseState(word); st.API != api || st.Word != word || st.Terminal() != (api == StateDone || api == StateFailed) {
				t.Errorf("%s is %+v, want %s", word, st, api)
			}
		}
		total += len(words)
	}
	if total != len(stateRows) {
		t.Errorf("the table has %d words, the test %d", len(stateRows), total)
	}
}

func TestStateWordsAndShortFormsAreUnique(t *testing.T) {
	seen := map[string]string{}
	for _, row := range stateRows {
		for _, form := range []string{row.word, row.compact} {
			if other, twice := seen[form]; twice && form != "" {
				t.Errorf("%s stands for %s and %s", form, other, row.word)
			}
			seen[form] = row.word
		}
	}
}

func TestTruncatedStatesOfTheDefaultWidth(t *testing.T) {
	const width = 10 // sacct's default for State
	for _, row := range stateRows {
		if len(row.word) <= width {
			continue
		}
		cut := row.word[:width-1] + "+"
		st := ParseState(cut)
		if !st.Truncated {
			t.Errorf("%s does not count as truncated", cut)
		}
		if st.Known() && st.API != row.api {
			t.Errorf("%s is read as %s, want a word of %s", cut, st.Word, row.api)
		}
	}
}

func TestUsageOfRealSteps(t *testing.T) {
	for _, name := range []string{"sacct_steps_20.p2", "sacct_steps_20_noconvert.p2"} {
		records, _ := readAll(t, string(readFixture(t, name)), Options{})
		sums := map[string]int64{}
		for _, r := range records {
			usage := r.TRES("TRESUsageInTot")
			if usage.Faults() != 0 || r.TRES("AllocTRES").Faults() != 0 {
				t.Errorf("%s %s: faults in %q", name, r.Get("JobID"), r.Get("TRESUsageInTot"))
			}
			sums[r.Get("JobID")] = usage.UsageMemory().Bytes
			id, err := r.ID()
			if err != nil || id.Base() != 20 || id.IsStep() != strings.Contains(r.Get("JobID"), ".") {
				t.Errorf("%s: %v, %v", name, id, err)
			}
			if known := usage.UsageMemory().Kind == Known; known != id.IsStep() {
				t.Errorf("%s %v: only steps carry usage, got %v", name, id, usage.UsageMemory())
			}
		}
		if sums["20.1"] != 254451712 || sums["20.batch"] != 12431360 {
			t.Errorf("%s: memory %v", name, sums)
		}
	}
}

func TestLossyUnitsAreStillSizes(t *testing.T) {
	records, _ := readAll(t, string(readFixture(t, "sacct_steps_20_unitsG.p2")), Options{})
	job, step := records[0], records[4]
	if m := job.ReqMem(); m.Scope != ScopeJob || m.Bytes != 633507676 {
		t.Errorf("ReqMem %+v", m)
	}
	if job.TRES("AllocTRES").AllocMemory().Bytes != 633507676 || job.TRES("AllocTRES").GPUs().N != 2 {
		t.Errorf("AllocTRES %q", job.Get("AllocTRES"))
	}
	if step.Size("MaxRSS").Bytes != 128849019 {
		t.Errorf("MaxRSS %+v", step.Size("MaxRSS"))
	}
}

func TestSstatOfARunningJob(t *testing.T) {
	records, bad := readAll(t, string(readFixture(t, "sstat_running.p2")), Options{})
	if len(records) != 3 || len(bad) != 0 {
		t.Fatalf("%d rows, bad %v", len(records), bad)
	}
	r := records[2]
	if r.Size("MaxRSS").Bytes != 67060<<10 || r.Count("ConsumedEnergyRaw").N != 659 || r.TRES("TRESUsageInTot").Energy().N != 659 {
		t.Errorf("row %v", r)
	}
	if n := r.TRES("TRESUsageInTot").Count("fs/lustre"); n.N != 4799 {
		t.Errorf("fs/lustre %v", n)
	}
}

func TestAttemptsOfARequeuedJob(t *testing.T) {
	records, _ := readAll(t, string(readFixture(t, "sacct_D_15.p2")), Options{})
	var jobs []*Record
	for _, r := range records {
		if id, err := r.ID(); err == nil && !id.IsStep() {
			jobs = append(jobs, r)
		}
	}
	if len(jobs) != 2 || jobs[0].State().Word != "REQUEUED" || jobs[0].State().Terminal() || !jobs[1].State().Terminal() {
		t.Fatalf("attempts %q", column(jobs, "State"))
	}
	end, _ := jobs[0].Time("End").Value()
	submit, _ := jobs[1].Time("Submit").Value()
	if !end.Equal(submit) {
		t.Errorf("the second attempt was submitted at %v, the first ended at %v", submit, end)
	}
}

func TestRunningJobsHaveNoUsageAndNoEnd(t *testing.T) {
	records, _ := readAll(t, string(readFixture(t, "sacct_running.p2")), Options{})
	for _, r := range records {
		if r.State().API != StateRunning || r.Time("End").Kind != NotYet || r.Elapsed() != known(5, 0) {
			t.Errorf("%s: state %q, end %v, elapsed %v", r.Get("JobID"), r.Get("State"), r.Time("End").Kind, r.Elapsed())
		}
		if r.Size("MaxRSS").Kind != Missing || !r.TRES("TRESUsageInTot").Empty() {
			t.Errorf("%s: usage out of nothing", r.Get("JobID"))
		}
	}
}

func TestStatesOfRealJobs(t *testing.T) {
	records, _ := readAll(t, string(readFixture(t, "sacct_state.p2")), Options{})
	want := []string{"TIMEOUT", "OUT_OF_MEMORY", "FAILED", "FAILED", "FAILED", "NODE_FAIL", "CANCELLED", "CANCELLED"}
	var got []string
	for _, r := range records {
		st := r.State()
		got = append(got, st.Word)
		if st.API != StateFailed || (st.Word == "CANCELLED") != st.HasUID {
			t.Errorf("%s: %+v", r.Get("JobID"), st)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("states %q, want %q", got, want)
	}
}

func TestArrayTasksKeepTheirRawIDs(t *testing.T) {
	records, _ := readAll(t, string(readFixture(t, "sacct_agent_fields.p2")), Options{Columns: agentColumns})
	raw := map[string]string{}
	for _, r := range records {
		id, err := r.ID()
		rawID, rawErr := r.RawID()
		if err != nil || rawErr != nil {
			t.Fatalf("%v %v", err, rawErr)
		}
		if id.Step() != rawID.Step() {
			t.Errorf("%v and %v name different steps", id, rawID)
		}
		raw[id.String()] = rawID.String()
	}
	for id, want := range map[string]string{"6_0": "17", "6_3": "6", "21+1": "22", "21+0.0": "21.0"} {
		if raw[id] != want {
			t.Errorf("the raw id of %s is %s, want %s", id, raw[id], want)
		}
	}
}

func TestKeyValuesOfOddLines(t *testing.T) {
	for name, tc := range map[string]struct {
		text, key, want string
		ok              bool
	}{
		"lower-case pairs in a name are no keys": {"JobId=1 JobName=a=1 b=2 UserId=x(1)\n", "JobName", "a=1 b=2", true},
		"a key with colons":                      {"JobId=1 UserId=x(1) ReqB:S:C:T=0:0:*:* Power=\n", "ReqB:S:C:T", "0:0:*:*", true},
		"(null) is no value":                     {"JobId=1 UserId=x(1) Command=(null)\n", "Command", "(null)", false},
		"an empty value is one":                  {"JobId=1 UserId=x(1) NodeList= BatchHost=n1\n", "NodeList", "", true},
		"an absent key":                          {"JobId=1\n", "StdOut", "", false},
		"a command with arguments":               {"JobId=1 JobName=x\n   Command=/a/b.sh -v Key=1\n", "Command", "/a/b.sh -v Key=1", true},
		"a reason with blanks":                   {"NodeName=n1 Arch=x86_64\n   Reason=Not responding [slurm@2026-11-23T08:19:34]\n", "Reason", "Not responding [slurm@2026-11-23T08:19:34]", true},
		"windows line ends":                      {"JobId=1 JobName=x\r\n   WorkDir=/w\r\n", "WorkDir", "/w", true},
		"an array task":                          {"JobId=17 ArrayJobId=6 ArrayTaskId=0 JobName=arr\n", "ArrayTaskId", "0", true},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok := ParseEntities(tc.text)[0].Get(tc.key)
			if ok != tc.ok || got != tc.want && ok {
				t.Errorf("%s = %q %v, want %q %v", tc.key, got, ok, tc.want, tc.ok)
			}
		})
	}
	if got := ParseEntities("slurm_load_jobs error: Invalid job id specified\n   StdOut=/x\n"); len(got) != 0 {
		t.Errorf("an error text gives %v", got)
	}
}

func TestConfigSettings(t *testing.T) {
	c := ParseConfig("Configuration data as of now\nPrivateData = jobs,usage\nPrivateData = none\nA B = c\nX=\nSlurmctld(primary) at vm is UP\n")
	if hidden, known := c.PrivateData(); !known || !slices.Equal(hidden, []string{"jobs", "usage"}) {
		t.Errorf("private data %q", hidden)
	}
	if _, ok := c.Get("A B"); ok {
		t.Error("a title counts as a setting")
	}
	if v, ok := c.Get("X"); v != "" || !ok || c.List("X") != nil {
		t.Errorf("an empty setting is %q %v", v, ok)
	}
	if _, ok := c.Version(); ok {
		t.Error("no version was given")
	}
	if s := ParseSampling("Task=30,energy=0,network=x"); s.Task != known(30, 0) || s.Energy != known(0, 0) ||
		s.Network.Kind != Invalid || s.Filesystem.Kind != Missing {
		t.Errorf("sampling %+v", s)
	}
}

func TestReqMemScopesHaveNames(t *testing.T) {
	for scope, want := range map[ReqMemScope]string{
		ScopeJob: "job", ScopeNode: "node", ScopeCPU: "cpu", ScopeWholeNode: "whole_node", 0: "unknown", 99: "unknown",
	} {
		if scope.String() != want {
			t.Errorf("scope %d is %q, want %q", scope, scope, want)
		}
	}
}

func TestDurationsPrintAsSlurmDoes(t *testing.T) {
	for in, want := range map[string]string{
		"06:57.815": "00:06:57.815", "1-02:03:04": "1-02:03:04", "100:00:00": "4-04:00:00",
		"UNLIMITED": "unlimited", "": "missing", "INVALID": "invalid", "Partition_Limit": "partition_limit",
	} {
		if got := ParseDuration(in).String(); got != want {
			t.Errorf("%q prints as %q, want %q", in, got, want)
		}
	}
}
