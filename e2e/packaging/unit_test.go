package packaging

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// needAnalyze skips where there is no systemd to ask.
func needAnalyze(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("systemd-analyze is not installed: apt-get install systemd")
	}
}

// units are the unit files by the way they are installed: level 2 is the agent's unit with its drop-in.
var units = []struct {
	name, file, dropIn string
	user               bool
	// exposure is the largest score of `systemd-analyze security`, times ten.
	exposure string
}{
	{name: "level 1", file: "ergon-agent.service", exposure: "15"},
	{name: "level 2", file: "ergon-agent.service", dropIn: "level2.conf", exposure: "25"},
	{name: "socket", file: "ergon-agent.socket"},
	{name: "server", file: "ergon-server.service", exposure: "15"},
	{name: "user", file: "ergon-agent-user.service", user: true},
}

// installed puts a unit, with the others beside it, where systemd-analyze can read it.
func installed(t *testing.T, file, dropIn string) string {
	t.Helper()
	dir := t.TempDir()
	for _, u := range units {
		if err := os.WriteFile(filepath.Join(dir, u.file), []byte(read(t, "systemd", u.file)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if dropIn != "" {
		d := filepath.Join(dir, file+".d")
		if err := os.MkdirAll(d, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(d, dropIn), []byte(read(t, "systemd", dropIn)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, file)
}

// notInstalled is what verify says about our own programs on a machine that has none.
var notInstalled = regexp.MustCompile(`Command /usr/bin/ergon-(agent|server) is not executable: No such file or directory`)

func TestSystemdUnderstandsEveryLineOfTheUnits(t *testing.T) {
	needAnalyze(t)
	for _, u := range units {
		t.Run(u.name, func(t *testing.T) {
			args := []string{"systemd-analyze", "verify", installed(t, u.file, u.dropIn)}
			if u.user {
				args = []string{"systemd-analyze", "--user", "verify", installed(t, u.file, u.dropIn)}
			}
			// verify returns 0 on keys that it does not know: what counts is that it has nothing to say.
			got := run(t, []string{"XDG_RUNTIME_DIR=" + t.TempDir()}, args...)
			for line := range strings.Lines(got.Stderr) {
				if strings.TrimSpace(line) != "" && !notInstalled.MatchString(line) {
					t.Errorf("systemd-analyze verify: %s", line)
				}
			}
		})
	}
}

// A check that cannot fail proves nothing: verify must see a wrong key.
func TestVerifySeesAWrongKey(t *testing.T) {
	needAnalyze(t)
	path := installed(t, "ergon-server.service", "")
	if err := os.WriteFile(path, []byte(read(t, "systemd", "ergon-server.service")+"\n[Service]\nProtectEverything=yes\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := run(t, nil, "systemd-analyze", "verify", path); !strings.Contains(got.Stderr, "ProtectEverything") {
		t.Errorf("nothing is said about a wrong key: %q", got.Stderr)
	}
}

func TestUnitsAreHardened(t *testing.T) {
	needAnalyze(t)
	for _, u := range units {
		if u.exposure == "" {
			continue
		}
		t.Run(u.name, func(t *testing.T) {
			got := run(t, nil, "systemd-analyze", "security", "--offline=yes", "--no-pager", "--threshold="+u.exposure, installed(t, u.file, u.dropIn))
			if got.Code != 0 {
				t.Errorf("more exposed than %s/10:\n%s%s", u.exposure, got.Stdout, got.Stderr)
			}
			_, score, _ := strings.Cut(got.Stdout, "Overall exposure level")
			t.Logf("exposure%s", strings.TrimSpace(score))
		})
	}
}

func TestUnitsRunWhatTheProgramsOffer(t *testing.T) {
	start := regexp.MustCompile(`(?m)^Exec\w+=/usr/bin/(\S+) (\w+)(.*)$`)
	flag := regexp.MustCompile(`--[a-z-]+`)
	seen := 0
	for _, u := range units {
		for _, m := range start.FindAllStringSubmatch(read(t, "systemd", u.file), -1) {
			seen++
			help := run(t, nil, program(t, m[1]), m[2], "--help")
			if help.Code != 0 || !strings.Contains(help.Stdout, m[1]+" "+m[2]) {
				t.Errorf("%s: %s %s is no command: %s", u.file, m[1], m[2], help.Stderr)
			}
			for _, f := range flag.FindAllString(m[3], -1) {
				if !strings.Contains(help.Stdout, f+" ") {
					t.Errorf("%s: %s %s has no option %s", u.file, m[1], m[2], f)
				}
			}
		}
	}
	if seen < 3 {
		t.Errorf("only %d Exec lines were found", seen)
	}
}

func TestSettingsOfUnitsAreExplained(t *testing.T) {
	for _, file := range []string{"ergon-agent.service", "ergon-agent.socket", "ergon-agent-user.service", "ergon-server.service", "level2.conf"} {
		lines := strings.Split(read(t, "systemd", file), "\n")
		since := 0 // settings since the last comment
		for n, line := range lines {
			switch {
			case strings.HasPrefix(line, "#"):
				since = 0
			case strings.Contains(line, "=") && !strings.HasPrefix(line, "Description="):
				since++
			}
			const group = 6 // one comment may stand over a few lines of one kind
			if since > group {
				t.Errorf("%s:%d: %q is far from any comment", file, n+1, line)
			}
		}
	}
}
