package submit

import (
	"slices"
	"strings"
	"testing"

	"github.com/ergon-hpc/ergon/shared/sbatch"
)

func TestTheTagReplacesTheCommentThatCountsAndMovesNothingElse(t *testing.T) {
	t.Parallel()
	cases := map[string]struct{ args, want []string }{
		"none":     {[]string{"-n", "4", "a b.sh", "x"}, []string{"--comment=T", "-n", "4", "a b.sh", "x"}},
		"joined":   {[]string{"--comment=mine", "j.sh"}, []string{"--comment=T", "j.sh"}},
		"parted":   {[]string{"-n", "1", "--comment", "mine", "j.sh"}, []string{"-n", "1", "--comment=T", "j.sh"}},
		"short":    {[]string{"--comm", "mine", "j.sh"}, []string{"--comment=T", "j.sh"}},
		"two":      {[]string{"--comment=a", "--comment=b", "j.sh"}, []string{"--comment=a", "--comment=T", "j.sh"}},
		"unknown":  {[]string{"--future", "value", "j.sh"}, []string{"--comment=T", "--future", "value", "j.sh"}},
		"no words": {nil, []string{"--comment=T"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := tagged(slices.Clone(c.args), sbatch.Parse(c.args), "T"); !slices.Equal(got, c.want) {
				t.Fatalf("got %q, want %q", got, c.want)
			}
		})
	}
}

func FuzzTaggingKeepsEveryOtherWord(f *testing.F) {
	f.Add("-n\x004\x00--comment\x00x\x00job.sh\x00--\x00:")
	f.Add("--comment")
	f.Fuzz(func(t *testing.T, text string) {
		args := strings.Split(text, "\x00")
		line := sbatch.Parse(args)
		got := tagged(slices.Clone(args), line, "T")
		rest := slices.DeleteFunc(slices.Clone(got), func(w string) bool { return w == "--comment=T" })
		want := slices.Clone(args)
		if o, ok := line.Last("comment"); ok {
			want = slices.Delete(want, o.First, o.Last+1)
		}
		want = slices.DeleteFunc(want, func(w string) bool { return w == "--comment=T" })
		if !slices.Equal(rest, want) {
			t.Fatalf("%q became %q", args, got)
		}
	})
}

func TestDirectivesAreReadUpToTheFirstCommand(t *testing.T) {
	t.Parallel()
	script := "#!/bin/bash\n#SBATCH -n 1 --comment=\"my note\"\n#ERGON inputs=a.nc,b outputs='x y.txt',logs/*.log scratch # why\n\n#ERGON export\n#ERGONOMIC no\nhostname\n#ERGON outputs=late\n"
	d, complete := readDirectives(script, true)
	if !complete || !d.found || !d.scratch || !d.export || d.comment != "my note" || len(d.faults) != 0 {
		t.Fatalf("got %+v", d)
	}
	if !slices.Equal(d.inputs, []string{"a.nc", "b"}) || !slices.Equal(d.outputs, []string{"x y.txt", "logs/*.log"}) {
		t.Fatalf("got %+v", d)
	}
}

func TestMistakesAreNamedWithTheirLine(t *testing.T) {
	t.Parallel()
	cases := map[string]string{
		"#ERGON output=x":            "no directive",
		"#ERGON outputs=":            "needs names",
		"#ERGON outputs":             "needs names",
		"#ERGON outputs=/etc/passwd": "leaves",
		"#ERGON outputs=../x":        "leaves",
		"#ERGON outputs=a/../../b":   "leaves",
		"#ERGON outputs=[a":          "no valid pattern",
		"#ERGON scratch=1":           "no value",
		"#ERGON outputs='x":          "not closed",
	}
	for line, want := range cases {
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			d, _ := readDirectives("#!/bin/sh\n"+line+"\n", true)
			if len(d.faults) != 1 || !strings.Contains(d.faults[0], "line 2: ") || !strings.Contains(d.faults[0], want) || len(d.outputs) != 0 {
				t.Fatalf("got %+v", d)
			}
		})
	}
}

func TestAHeadThatIsNotCompleteIsNotTrusted(t *testing.T) {
	t.Parallel()
	if _, complete := readDirectives("#!/bin/sh\n#SBATCH --comm", false); complete {
		t.Fatal("a cut line was taken as whole")
	}
	if _, complete := readDirectives("#!/bin/sh\nhostname\n", false); !complete {
		t.Fatal("the head ends at the first command")
	}
}

func FuzzDirectivesNeverLeaveTheDirectory(f *testing.F) {
	f.Add("#ERGON outputs=a,../b,/c,'d e',x/../y\n#SBATCH --comment='x")
	f.Fuzz(func(t *testing.T, script string) {
		d, _ := readDirectives(script, true)
		for _, glob := range d.outputs {
			if strings.HasPrefix(glob, "/") || slices.Contains(strings.Split(glob, "/"), "..") {
				t.Fatalf("%q was taken", glob)
			}
		}
	})
}

func TestTheJobsNumberIsReadFromWhatSbatchPrints(t *testing.T) {
	t.Parallel()
	cases := map[string]string{
		"Submitted batch job 7\n":              "7",
		"Submitted batch job 7 on cluster lab": "7",
		"7\n":                                  "7",
		"7;lab\n":                              "7",
		"site banner\nSubmitted batch job 7\n": "7",
		"7\n8\n":                               "",
		"":                                     "",
		"job 7\n":                              "",
	}
	for text, want := range cases {
		if got := jobNumber([]byte(text)); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}
