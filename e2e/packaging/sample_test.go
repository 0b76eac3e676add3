package packaging

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// hidden is a setting that the sample shows as a comment.
var hidden = regexp.MustCompile(`(?m)^( *)#(  )?([a-z_]+:)`)

// sample writes a sample file as it is, or with every hidden setting in force.
func sample(t *testing.T, all bool, parts ...string) string {
	t.Helper()
	text := read(t, parts...)
	if all {
		text = hidden.ReplaceAllString(text, "$1$2$3")
	}
	path := filepath.Join(t.TempDir(), parts[len(parts)-1])
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestTheAgentTakesTheSampleAndEverySettingInIt(t *testing.T) {
	for name, all := range map[string]bool{"as it is": false, "all settings": true} {
		t.Run(name, func(t *testing.T) {
			got := run(t, nil, program(t, "ergon-agent"), "check", "--system", "--config", sample(t, all, "packaging", "agent", "agent.yaml"), "--state-dir", t.TempDir())
			if !strings.HasPrefix(got.Stdout, "ok   settings\n") {
				t.Errorf("the sample is refused: %s%s", got.Stdout, got.Stderr)
			}
		})
	}
	bad := sample(t, false, "packaging", "agent", "agent.yaml")
	text, err := os.ReadFile(bad)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(bad, append(text, "no_such_setting: 1\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := run(t, nil, program(t, "ergon-agent"), "check", "--system", "--config", bad); !strings.Contains(got.Stderr, "no_such_setting") {
		t.Errorf("an unknown setting is taken, so this test proves nothing: %s%s", got.Stdout, got.Stderr)
	}
}

func TestTheSampleOfTheAgentIsLevelOne(t *testing.T) {
	text := read(t, "packaging", "agent", "agent.yaml")
	if !strings.Contains(text, "\nuploads:\n  enabled: false\n") {
		t.Error("uploads must be off in the packaged settings")
	}
}

func TestTheServerTakesTheSampleAndEverySettingInIt(t *testing.T) {
	server := program(t, "ergon-server")
	for name, all := range map[string]bool{"as it is": false, "all settings": true} {
		t.Run(name, func(t *testing.T) {
			got := run(t, nil, server, "config", "print", "--config", sample(t, all, "packaging", "server", "server.yaml"))
			if got.Code != 0 || !strings.Contains(got.Stdout, "ERGON_AUTH_REGISTRATION") {
				t.Errorf("the sample is refused: %s%s", got.Stdout, got.Stderr)
			}
		})
	}
}
