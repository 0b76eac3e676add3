package submit

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"pgregory.net/rapid"
)

// What sbatch 22.05.8 printed: the outages were recorded with slurmctld stopped, stopped in mid-answer and slow
// (facts/slurm.md), the refusals are slurm_strerror's words.
func TestOnlyAnAnswerThatSaysNoIsARefusal(t *testing.T) {
	t.Parallel()
	const failed = "sbatch: error: Batch job submission failed: "
	cases := map[string]struct {
		stderr string
		want   bool
	}{
		"nothing said":             {"", false},
		"controller down":          {failed + "Unable to contact slurm controller (connect failure)\n", false},
		"answer lost":              {failed + "Socket timed out on send/recv operation\n", false},
		"cut off":                  {failed + "Zero Bytes were transmitted or received\n", false},
		"receive failure":          {failed + "Unable to contact slurm controller (receive failure)\n", false},
		"standby":                  {failed + "Slurm backup controller in standby mode\n", false},
		"unspecified":              {failed + "Unspecified error\n", false},
		"internal error":           {failed + "Slurm internal error, contact system administrator\n", false},
		"words of a newer Slurm":   {failed + "Some new reason\n", false},
		"partition":                {failed + "Invalid partition name specified\n", true},
		"limits":                   {failed + "Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)\n", true},
		"account":                  {failed + "Invalid account or account/partition combination specified\n", true},
		"a plugin speaks first":    {"sbatch: site: please use --account\n" + failed + "Invalid qos specification\n", true},
		"a doubt before a refusal": {"sbatch: error: Slurm temporarily unable to accept job, sleeping and retrying\n" + failed + "Invalid qos specification\n", false},
		"a doubt after a refusal":  {failed + "Invalid qos specification\nsbatch: error: slurm_receive_msg: Socket timed out on send/recv operation\n", false},
		"no script":                {"sbatch: error: Unable to open file missing.sh\n", true},
		"no shebang":               {"sbatch: error: This does not look like a batch script.  The first\nsbatch: error: line must start with #! followed by the path to an interpreter.\n", true},
		"unknown option":           {"sbatch: unrecognized option '--nonsense'\nTry \"sbatch --help\" for more information\n", true},
		"bad time":                 {"sbatch: error: Invalid --time specification\n", true},
		"a script of that name":    {"Unable to open file x\n", false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := refusedForCertain(c.stderr); got != c.want {
				t.Errorf("%q: refused is %v", c.stderr, got)
			}
		})
	}
}

func TestADoubtAnywhereIsNeverARefusal(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		lines := rapid.SliceOf(rapid.SampledFrom([]string{
			"sbatch: error: Batch job submission failed: Invalid qos specification", "sbatch: error: Unable to open file x", "site: hello", "",
		})).Draw(t, "lines")
		doubt := rapid.SampledFrom(doubtful[:]).Draw(t, "doubt")
		at := rapid.IntRange(0, len(lines)).Draw(t, "at")
		text := strings.Join(append(append(append([]string{}, lines[:at]...), "sbatch: error: "+doubt), lines[at:]...), "\n")
		if refusedForCertain(text) {
			t.Fatalf("%q counts as a refusal", text)
		}
	})
}

func FuzzRefusal(f *testing.F) {
	f.Add("sbatch: error: Batch job submission failed: Invalid partition name specified\n")
	f.Add("Batch job submission failed: ")
	f.Add("\x00\xff\n\n")
	f.Fuzz(func(t *testing.T, text string) {
		if refusedForCertain(text) && !strings.Contains(text, submissionFailed) && !strings.Contains(text, "sbatch:") {
			t.Errorf("%q", text)
		}
	})
}

// numbers says the same as jobNumber, slowly.
var numbers = regexp.MustCompile(`(?m)^(?:Submitted batch job )?([0-9]{1,20})(?: on cluster [^ \t\r\n\v\f]+|;[^ \t\r\n\v\f]+)?\r?$`)

func numberByPattern(stdout string) string {
	all := numbers.FindAllStringSubmatch(stdout, 2)
	if len(all) != 1 {
		return ""
	}
	return all[0][1]
}

func TestTheJobsNumberIsFoundAsThePatternSays(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOf(rapid.SampledFrom([]string{
			"Submitted batch job ", "7", "123456789012345678901", " on cluster ", "lab", ";", "\n", "\r", " ", "x", "Submitted",
		})).Draw(t, "words"), "")
		if got, want := jobNumber([]byte(text)), numberByPattern(text); got != want {
			t.Fatalf("%q: got %q, want %q", text, got, want)
		}
	})
}

func FuzzJobNumber(f *testing.F) {
	for _, seed := range []string{"Submitted batch job 7\n", "7;lab\n", "7", "Submitted batch job 7 on cluster x\r\n", "1\n2\n", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if got, want := jobNumber([]byte(text)), numberByPattern(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	})
}

func TestARefusalIsToldAndAnOutageIsNot(t *testing.T) {
	t.Parallel()
	for stderr, want := range map[string]bool{
		"sbatch: error: Batch job submission failed: Invalid partition name specified\n":        true,
		"sbatch: error: Batch job submission failed: Socket timed out on send/recv operation\n": false,
	} {
		t.Run(fmt.Sprint(want), func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			a := b.agent()
			b.fake.Answer("sbatch", "")
			b.fake.Fail("sbatch", 1, stderr)
			if got := b.run(nil, b.script("#!/bin/sh\n")); got.stderr != stderr || got.stdout != "" || got.code != 1 {
				t.Fatalf("got %+v", got)
			}
			if r := a.results; len(r) != 1 || r[0].Refused != want || r[0].ExitCode != 1 {
				t.Fatalf("told %+v", r)
			}
		})
	}
}

func TestAnAcceptedJobIsNeverRefusedWhateverStderrSays(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	a := b.agent()
	b.fake.Replace("sbatch", "#!/bin/sh\necho 'sbatch: error: Batch job submission failed: Invalid qos specification' >&2\necho Submitted batch job 7\nexit 1\n")
	b.run(nil, b.script("#!/bin/sh\n"))
	if r := a.results; len(r) != 1 || r[0].Refused || r[0].BaseID != "7" {
		t.Fatalf("told %+v", r)
	}
}

func TestAWarningComesBeforeTheJobsNumberAsSbatchPrintsThem(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.agent()
	b.fake.Replace("sbatch", "#!/bin/sh\necho one >&2\necho two\n")
	cmd := exec.Command(os.Args[0], b.script("#!/bin/sh\n"))
	cmd.Env, cmd.Dir = b.env, b.home
	got, err := cmd.CombinedOutput()
	if err != nil || string(got) != "one\ntwo\n" {
		t.Fatalf("got %q, %v", got, err)
	}
}

func TestMuchOutputOnBothStreamsArrivesWhole(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	a := b.agent()
	b.fake.Replace("sbatch", "#!/bin/sh\necho Submitted batch job 7\nyes out | head -c 300000\nyes err | head -c 300000 >&2\n")
	got := b.run(nil, b.script("#!/bin/sh\n"))
	if len(got.stdout) != 300000+len("Submitted batch job 7\n") || len(got.stderr) != 300000 {
		t.Fatalf("%d and %d bytes", len(got.stdout), len(got.stderr))
	}
	if r := a.results; len(r) != 1 || r[0].BaseID != "7" {
		t.Fatalf("told %+v", r)
	}
}

func TestAReaderThatHasGoneDoesNotEndSbatch(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	a := b.agent()
	b.fake.Replace("sbatch", "#!/bin/sh\nsleep 0.2\necho Submitted batch job 7\necho warning >&2\n")
	cmd := exec.Command(os.Args[0], b.script("#!/bin/sh\n"))
	cmd.Env, cmd.Dir = b.env, b.home
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err == nil {
		err = out.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if n := a.heard(); n != 2 {
		t.Fatalf("told %d times", n)
	}
	if r := a.results; len(r) != 1 || r[0].BaseID != "7" {
		t.Fatalf("told %+v", r)
	}
}

func TestAnSbatchThatCannotBeRunIsTold(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	a := b.agent()
	b.site("slurm:\n  sbatch: " + b.home + "/none\n")
	if got := b.run(nil, b.script("#!/bin/sh\n")); got.code != 127 || !strings.Contains(got.stderr, syscall.ENOENT.Error()) {
		t.Fatalf("got %+v", got)
	}
	if r := a.results; len(r) != 1 || !r[0].NotStarted || r[0].Refused {
		t.Fatalf("told %+v", r)
	}
}
