package packaging

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ergon-hpc/ergon/e2e/harness"
	"github.com/ergon-hpc/ergon/shared/jobkey"
)

var cluster *harness.Slurm

func TestMain(m *testing.M) {
	os.Exit(harness.Main(m, func(ctx context.Context, s *harness.Stack) (err error) {
		cluster, err = s.StartSlurm(ctx, harness.SlurmOptions{Extra: "CliFilterPlugins=cli_filter/lua"})
		return err
	}))
}

// comment submits a held job as alice through Slurm's own sbatch with the filter, and returns the job's comment.
func comment(t *testing.T, env []string, options ...string) string {
	t.Helper()
	harness.Need(t, cluster)
	filter := filepath.Join(filepath.Dir(cluster.Conf), "cli_filter.lua")
	if err := os.WriteFile(filter, []byte(read(t, "packaging", "slurm", "cli_filter.lua")), 0o644); err != nil {
		t.Fatal(err)
	}
	return submit(t, env, append([]string{"--hold"}, options...))
}

func submit(t *testing.T, env, options []string) string {
	t.Helper()
	spec, err := cluster.As("alice", append([]string{"sbatch", "--parsable", "--output=/dev/null", "--wrap", "true"}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	spec.Env = append(spec.Env, env...)
	got, err := spec.Run(t.Context())
	id, convert := strconv.Atoi(strings.TrimSpace(got.Stdout))
	if err != nil || got.Code != 0 || convert != nil || got.Stderr != "" {
		t.Fatalf("sbatch: %+v, %v", got, err)
	}
	shown := run(t, cluster.Env(), "squeue", "-h", "-o", "%k", "-j", strconv.Itoa(id))
	return strings.TrimSuffix(shown.Stdout, "\n")
}

func TestFilterTagsAJobSoThatErgonFindsIt(t *testing.T) {
	first, own, err := jobkey.ParseTag(comment(t, nil))
	if err != nil || own != "" {
		t.Fatalf("%q, %v", own, err)
	}
	if first.Version() != 7 || first.Variant().String() != "RFC4122" {
		t.Errorf("%s is version %d, %s; the agent takes version 7 only", first, first.Version(), first.Variant())
	}
	seconds, _ := first.Time().UnixTime()
	if age := time.Since(time.Unix(seconds, 0)); age < -2*time.Second || age > time.Minute {
		t.Errorf("the time in %s is %v ago", first, age)
	}
	if second, _, err := jobkey.ParseTag(comment(t, nil)); err != nil || second == first {
		t.Errorf("two submissions have the ids %s and %s, %v", first, second, err)
	}
}

func TestFilterKeepsTheUsersOwnCommentAndATagThatIsThere(t *testing.T) {
	for _, want := range []string{"my words", "a|b", "ergon1:", "ergon1:nonsense", "ergon2:x"} {
		if _, own, err := jobkey.ParseTag(comment(t, nil, "--comment="+want)); err != nil || own != want {
			t.Errorf("%q became %q, %v", want, own, err)
		}
	}
	for _, own := range []string{"", "my words"} {
		id, err := jobkey.NewSubmission()
		if err != nil {
			t.Fatal(err)
		}
		if tag := jobkey.Tag(id, own); comment(t, nil, "--comment="+tag) != tag {
			t.Errorf("the wrapper's tag %q was changed", tag)
		}
	}
}

func TestFilterGivesTheComponentsOfAJobOneTag(t *testing.T) {
	lines := strings.Split(comment(t, nil, "--ntasks=1", ":", "--ntasks=1"), "\n")
	if len(lines) != 2 || lines[0] != lines[1] || !strings.HasPrefix(lines[0], "ergon1:") {
		t.Errorf("components are tagged %q", lines)
	}
}

func TestFilterDoesNothingWhenItIsSwitchedOff(t *testing.T) {
	for _, own := range []string{"(null)", "mine"} {
		options := []string{}
		if own == "mine" {
			options = append(options, "--comment=mine")
		}
		if got := comment(t, []string{"ERGON_DISABLE=1"}, options...); got != own {
			t.Errorf("with ERGON_DISABLE=1 the comment is %q, want %q", got, own)
		}
	}
	config := readable(t)
	if got := comment(t, []string{"XDG_CONFIG_HOME=" + config}); got != "(null)" {
		t.Errorf("with the user's off file the comment is %q", got)
	}
}

// readable is a directory with ergon/off in it, which alice can read (that of t.TempDir is root's alone).
func readable(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "ergon-off-") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	off := filepath.Join(dir, "ergon", "off")
	for _, make := range []func() error{
		func() error { return os.Chmod(dir, 0o755) },
		func() error { return os.Mkdir(filepath.Dir(off), 0o755) },
		func() error { return os.WriteFile(off, nil, 0o644) },
	} {
		if err := make(); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
