package advice

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func set(t *testing.T, script string, directives ...string) string {
	t.Helper()
	d, err := ReadDirectives(script)
	if err != nil {
		t.Fatal(err)
	}
	out, err := d.Set(directives...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestDirectivesAreChangedInPlace(t *testing.T) {
	for name, c := range map[string]struct{ before, after string }{
		"a long option":           {"#!/bin/sh\n#SBATCH --mem=64G\nrun\n", "#!/bin/sh\n#SBATCH --mem=4G\nrun\n"},
		"value as a word":         {"#!/bin/sh\n#SBATCH --mem 64G --nodes 1\nrun\n", "#!/bin/sh\n#SBATCH --mem=4G --nodes 1\nrun\n"},
		"quoted":                  {"#SBATCH --mem=\"64G\" -J 'a b'\n", "#SBATCH --mem=4G -J 'a b'\n"},
		"per CPU becomes per job": {"#SBATCH --mem-per-cpu=8G\nrun\n", "#SBATCH --mem=4G\nrun\n"},
		"the last counts":         {"#SBATCH --mem=1G\n#SBATCH -N1 --mem-per-cpu=8G\nrun\n", "#SBATCH -N1 --mem=4G\nrun\n"},
		"a comment behind":        {"#SBATCH --mem=64G # --mem=1G is too little\n", "#SBATCH --mem=4G # --mem=1G is too little\n"},
		"new, behind the others":  {"#!/bin/sh\n#SBATCH -c 4\n# text\nrun\n#SBATCH --mem=1G\n", "#!/bin/sh\n#SBATCH -c 4\n#SBATCH --mem=4G\n# text\nrun\n#SBATCH --mem=1G\n"},
		"new, first":              {"#!/bin/sh\nrun\n", "#!/bin/sh\n#SBATCH --mem=4G\nrun\n"},
		"new, without an end":     {"#!/bin/sh", "#!/bin/sh\n#SBATCH --mem=4G\n"},
		"no first line":           {"run\n", "#SBATCH --mem=4G\nrun\n"},
		"ends of DOS":             {"#!/bin/sh\r\n#SBATCH -c 4\r\nrun\r\n", "#!/bin/sh\r\n#SBATCH -c 4\r\n#SBATCH --mem=4G\r\nrun\r\n"},
		"another name":            {"#SBATCH --mem-bind=local\nrun\n", "#SBATCH --mem-bind=local\n#SBATCH --mem=4G\nrun\n"},
		"no directive":            {"#SBATCHX --mem=1G\n##SBATCH --mem=2G\nrun\n", "#SBATCHX --mem=1G\n#SBATCH --mem=4G\n##SBATCH --mem=2G\nrun\n"},
	} {
		if got := set(t, c.before, "--mem=4G"); got != c.after {
			t.Errorf("%s:\n%q, want\n%q", name, got, c.after)
		}
	}
}

func TestSeveralDirectivesAtOnce(t *testing.T) {
	before := "#!/bin/sh\n#SBATCH -c 8 -t 1-00 --mem=64G\n./run\n"
	if got := set(t, before, "--mem=4G", "--cpus-per-task=2", "--time=3:00:00"); got != "#!/bin/sh\n#SBATCH --cpus-per-task=2 --time=3:00:00 --mem=4G\n./run\n" {
		t.Errorf("%q", got)
	}
	if got := set(t, before); got != before {
		t.Errorf("nothing to set changes nothing: %q", got)
	}
	d, err := ReadDirectives(before)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Set("--mem=4G\n#SBATCH --account=x"); err == nil {
		t.Error("a directive cannot bring another line")
	}
	if v, ok := d.Get("time"); !ok || v != "1-00" {
		t.Error(v)
	}
}

func TestHetJobsAreLeftAlone(t *testing.T) {
	if _, err := ReadDirectives("#SBATCH -N1\n#SBATCH hetjob\n#SBATCH -N2\n"); err == nil {
		t.Error("no error")
	}
}

func TestDiffsApply(t *testing.T) {
	if _, err := exec.LookPath("patch"); err != nil {
		t.Skip("patch is not installed (apt-get install patch)")
	}
	for _, before := range []string{"#!/bin/sh\n#SBATCH --mem=64G\na\nb\nc\nd\ne\n", "#!/bin/sh\nrun", "", "run\n"} {
		after := set(t, before, "--mem=4G", "--time=1:00:00")
		path := filepath.Join(t.TempDir(), "job.sh")
		if err := os.WriteFile(path, []byte(before), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), "patch", path)
		cmd.Stdin = strings.NewReader(Diff("job.sh", before, after))
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != after {
			t.Errorf("%q, want %q", got, after)
		}
	}
	if Diff("x", "a\n", "a\n") != "" {
		t.Error("the same text has no diff")
	}
}

func FuzzSet(f *testing.F) {
	f.Add("#!/bin/sh\n#SBATCH -c 8 -t 1-00 --mem=64G\n./run\n")
	f.Add("#SBATCH --mem\n#SBATCH \"--mem=1\\\"\n")
	f.Add("#SBATCH --mem=1 --mem-per-cpu=2 #x")
	f.Fuzz(func(t *testing.T, script string) {
		d, err := ReadDirectives(script)
		if err != nil {
			return
		}
		out, err := d.Set("--mem=4G")
		if err != nil {
			t.Fatal(err)
		}
		again, err := ReadDirectives(out)
		if err != nil {
			t.Fatalf("%q: %v", out, err)
		}
		if v, ok := again.Get("mem", "mem-per-cpu", "mem-per-gpu"); !ok || v != "4G" {
			t.Fatalf("%q says %q", out, v)
		}
		if once, _ := again.Set("--mem=4G"); once != out {
			t.Fatalf("the second time changes %q to %q", out, once)
		}
	})
}
