package workprint_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/ergon-hpc/ergon/shared/workprint"
)

func TestScriptsOfOneWorkDifferInNumbersCommentsAndDirectives(t *testing.T) {
	one := workprint.Script("#!/bin/bash\n#SBATCH --mem=4G\n#ERGON inputs=a\n# a remark\n./fit --size 10 --eps 1e-3\n")
	two := workprint.Script("#!/bin/bash\n#SBATCH --mem=64G\n#SBATCH -c 8\n\n  ./fit --size 200 --eps 0.5  \r\n")
	if one.Digest != two.Digest || !slices.Equal(one.Numbers, []float64{10, 1e-3}) || !slices.Equal(two.Numbers, []float64{200, 0.5}) {
		t.Errorf("%+v, %+v", one, two)
	}
	if other := workprint.Script("#!/bin/bash\n./other --size 10 --eps 1e-3\n"); other.Digest == one.Digest {
		t.Error("another program is other work")
	}
	if workprint.Script("# nothing\n\n") != nil || workprint.Script(strings.Repeat("x", workprint.MaxScript+1)) != nil {
		t.Error("an empty script, and one that is too large, are not known")
	}
}

func TestNumbersThatStandAlone(t *testing.T) {
	for text, want := range map[string][]float64{
		"--size=10 20":            {10, 20},
		"-n8 --x=-5":              {8, 5},
		"mysql -p4711 -P8":        {8},
		"10G 1.5k 3e2 2E-1":       {10, 1.5, 300, 0.2},
		"x86_64 sha256 a.7 v2":    {},
		"in/17/b run-3":           {17, 3},
		"3f2a9c1d 00ff00ff":       {},
		"12345678 123456789e1":    {12345678, 1234567890},
		"1e999":                   {},
		"größe5 5größe":           {},
		"1.2.3":                   {1.2},
		".5 --lr=.25 -.05 .1e-2":  {0.5, 0.25, 0.05, 0.001},
		"a.5 {1..5} ./7 .x .":     {1, 5, 7},
		"--passphrase=4711 --k=1": {1},
	} {
		if got := workprint.Arguments(text).Numbers; !slices.Equal(got, want) && len(got)+len(want) > 0 {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
	if workprint.Arguments("--lr .5").Digest != workprint.Arguments("--lr 0.5").Digest {
		t.Error("a fraction is the same number with and without its zero")
	}
	if n := len(workprint.Arguments(strings.Repeat("1 ", 1000)).Numbers); n != workprint.MaxNumbers {
		t.Errorf("%d numbers", n)
	}
}

// A size that stands behind 64 other numbers may grow: no covariate says so, thus it is other work.
func TestANumberBeyondTheOnesThatAreKeptPartsWorks(t *testing.T) {
	many := strings.Repeat("1 ", workprint.MaxNumbers-1)
	a, b, c := workprint.Arguments(many+"5 70 x"), workprint.Arguments(many+"6 70 x"), workprint.Arguments(many+"5 700 x")
	if a.Digest != b.Digest || a.Digest == c.Digest || b.Numbers[workprint.MaxNumbers-1] != 6 {
		t.Errorf("%+v, %+v, %+v", a, b, c)
	}
}

func TestASecretLeavesNoTraceInAPrint(t *testing.T) {
	for _, with := range []func(string) *workprint.Text{
		func(s string) *workprint.Text { return workprint.Arguments("--passphrase=" + s + " 5") },
		func(s string) *workprint.Text {
			return workprint.Script("#!/bin/sh\nexport API_TOKEN=" + s + "\nrun 5\n")
		},
		func(s string) *workprint.Text { return workprint.Script("tool --token \\\n  " + s + " \\\n --size 5") },
		func(s string) *workprint.Text { return workprint.Script("TOKEN=ab\\\n" + s + "\nrun 5") },
		func(s string) *workprint.Text { return workprint.Script("PASSWORD=\"two\n#" + s + "\"\nrun 5") },
		func(s string) *workprint.Text { return workprint.Script("curl -u alice:" + s + " https://host\nrun 5") },
	} {
		a, b := with("hunter2"), with("4711")
		if a.Digest != b.Digest || !slices.Equal(a.Numbers, b.Numbers) || !slices.Equal(a.Numbers, []float64{5}) {
			t.Errorf("%+v, %+v", a, b)
		}
	}
}

func TestLinesThatGoOnAreOne(t *testing.T) {
	one := workprint.Script("./fit --size 10 --eps 2\n./next\n")
	for _, text := range []string{
		"./fit --size 10 \\\n  --eps 2\n./next\n", "./fit \\\r\n\t--size 10\\\n --eps 2\n./next", "./fit --si\\\nze 10 \\\n# a remark \\\n --eps 2\n./next \\\n",
	} {
		if got := workprint.Script(text); got.Digest != one.Digest || !slices.Equal(got.Numbers, one.Numbers) {
			t.Errorf("%q: %+v, want %+v", text, got, one)
		}
	}
	if workprint.Script("./fit \\\\\n./next").Digest == workprint.Script("./fit \\\\./next").Digest {
		t.Error("two backslashes are one that stands for itself")
	}
	if workprint.Script("\\\n") != nil {
		t.Error("nothing goes on")
	}
}

const tag = "--comment=ergon1:0198c0de-0000-7000-8000-000000000001"

func TestArgumentsAreFoundBehindTheScript(t *testing.T) {
	want := workprint.Arguments("in.dat --size 10")
	for _, line := range []string{
		"sbatch job.sh in.dat --size 10", "/usr/bin/sbatch -n4 --mem=2G -J fit job.sh in.dat --size 10", "sbatch " + tag + " --exclusive job.sh  in.dat --size  10",
		"sbatch --export=ALL job.sh in.dat --size 10", "sbatch --export NONE -c 2 job.sh in.dat --size 10",
	} {
		if got := workprint.OfLine(line, "fit"); got == nil || got.Digest != want.Digest || !slices.Equal(got.Numbers, want.Numbers) {
			t.Errorf("%q: %+v", line, got)
		}
	}
	if got := workprint.OfLine("sbatch job.sh", ""); got == nil || !got.Empty() {
		t.Errorf("no arguments are known to be none: %+v", got)
	}
	if workprint.Arguments("x").Empty() {
		t.Error("an argument is one")
	}
}

func TestArgumentsThatAreNotCertainAreNotKnown(t *testing.T) {
	for _, line := range []string{
		"", "srun -n 4 job.sh 5", "sbatch --comment=a job.sh 5", "sbatch " + tag + "|my own job.sh 5", "sbatch --export=ALL,A=b c job.sh 5",
		"sbatch --export=*** job.sh 5", "sbatch --extra x job.sh 5", "sbatch --future x job.sh 5", "sbatch job.sh 1 2 3+", "sbatch --wra hostname",
		"sbatch -C a | b job.sh 5", "sbatch -o my 20 job.sh 5", "sbatch -o api_key=*** job.sh 5", "sbatch -o *** job.sh 5", "sbatch *** job.sh 5", "sbatch -n4 --token=***",
	} {
		if got := workprint.OfLine(line, "fit"); got != nil {
			t.Errorf("%q: %+v", line, got)
		}
	}
}

// sbatch -J "fit 20" job.sh 5 reaches sacct without quotes.
func TestTheNameOfAJobMayHideItsScript(t *testing.T) {
	for _, line := range []string{"sbatch -J fit a20 job.sh 5", "sbatch --job-name=fit a20 job.sh 5", "sbatch --job-name fit a20 job.sh 5"} {
		if got := workprint.OfLine(line, "fit a20"); got != nil {
			t.Errorf("%q: %+v", line, got)
		}
		if got, want := workprint.OfLine(line, "fit"), workprint.Arguments("job.sh 5"); got == nil || got.Digest != want.Digest {
			t.Errorf("%q, where fit is the whole name: %+v", line, got)
		}
		if got := workprint.OfLine(line, ""); got != nil {
			t.Errorf("%q, where the name is not known: %+v", line, got)
		}
	}
	if got := workprint.OfLine("sbatch -o my log dir/job.sh 5", "job.sh"); got != nil {
		t.Errorf("the job is named after another word: %+v", got)
	}
	if got := workprint.OfLine("sbatch dir/job.sh 5 job.sh", "job.sh"); got == nil {
		t.Error("the job is named after its script")
	}
	if got := workprint.OfLine("sbatch job.sh 5", "a b"); got == nil || got.Numbers[0] != 5 {
		t.Errorf("a name that the script gives hides nothing: %+v", got)
	}
}

func TestTheCommandOfWrapHasAPrint(t *testing.T) {
	a, b := workprint.OfLine("sbatch --mem=4G --wrap=python fit.py --lr 0.1", ""), workprint.OfLine("sbatch --wrap python fit.py --lr 0.25", "")
	if a.Digest != b.Digest || !slices.Equal(a.Numbers, []float64{0.1}) || !slices.Equal(b.Numbers, []float64{0.25}) {
		t.Errorf("%+v, %+v", a, b)
	}
	if c := workprint.OfLine("sbatch --wrap=python fit.py --lr 0.1 --mem=4G", ""); c == nil || c.Numbers != nil {
		t.Errorf("4 is no number of the command: %+v", c)
	}
}

func FuzzOfLine(f *testing.F) {
	f.Add("sbatch --mem=4G job.sh in.dat --size 10")
	f.Add("sbatch job.sh .5 --lr=.25 1..5 .")
	f.Add("sbatch --wrap=python fit.py --lr 0.1 --passphrase=x")
	f.Add("sbatch -J fit -C a|b job.sh 5 ***")
	f.Add("-c --ergon-arguments=e3b0c44298fc1c149afbf4c8996fb924:1,2.5")
	f.Fuzz(func(t *testing.T, line string) {
		got := workprint.OfLine(line, "fit")
		if got == nil {
			return
		}
		if !got.Valid() {
			t.Fatalf("%q: %+v", line, got)
		}
		again := workprint.OfLine("-c "+got.Word(), "")
		if again == nil || again.Digest != got.Digest || !slices.Equal(again.Numbers, got.Numbers) {
			t.Fatalf("%q: %+v is kept as %q and read as %+v", line, got, got.Word(), again)
		}
	})
}

func TestWhatOthersSendIsLookedAt(t *testing.T) {
	good := workprint.Arguments("5")
	for name, bad := range map[string]workprint.Text{
		"empty": {}, "short": {Digest: good.Digest[1:]}, "capitals": {Digest: strings.ToUpper("ab" + good.Digest[2:])},
		"many": {Digest: good.Digest, Numbers: make([]float64, workprint.MaxNumbers+1)}, "negative": {Digest: good.Digest, Numbers: []float64{-1}},
	} {
		if bad.Valid() {
			t.Errorf("%s: %+v", name, bad)
		}
	}
	if !good.Valid() {
		t.Error(good)
	}
}
