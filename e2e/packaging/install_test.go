package packaging

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// allInstalled is a dpkg-query to which every package is there: nothing may be installed by a test.
const allInstalled = `#!/bin/sh
for p; do echo "installed $p"; done
`

// The words of dev/install.sh where Go is missing or too old are what a newcomer has to go by.
func TestInstallSaysHowToGetGo(t *testing.T) {
	for name, c := range map[string]struct{ golang, want string }{
		"no Go":                         {"", "install.sh: Go is not installed."},
		"too old":                       {"#!/bin/sh\necho go1.25.3\n", "install.sh: Go 1.25.3 is too old."},
		"too old to read its own fault": {"#!/bin/sh\n[ \"$1\" != env ] || exit 1\necho go version go1.19.8 linux/amd64\n", "install.sh: this Go is too old: go version go1.19.8 linux/amd64."},
	} {
		t.Run(name, func(t *testing.T) {
			bin := t.TempDir()
			executable(t, filepath.Join(bin, "dpkg-query"), allInstalled)
			args := []string{tree(t, "dev", "install.sh")}
			if c.golang != "" {
				executable(t, filepath.Join(bin, "go"), c.golang)
			} else { // where install.sh looks for itself is empty as well
				args = []string{"unshare", "-m", "sh", "-c", `[ ! -d /usr/local/go ] || mount -t tmpfs none /usr/local/go; exec "$0"`, args[0]}
			}
			got := run(t, []string{"PATH=" + bin + ":/usr/sbin:/usr/bin:/sbin:/bin"}, args...)
			if got.Code != 1 || got.Stdout != "" {
				t.Errorf("it ends with %d and says %q", got.Code, got.Stdout)
			}
			for _, want := range []string{
				c.want, "Ergon is built with Go 1.26 or newer", "curl -fLO https://go.dev/dl/go1.26.", "tar -C /usr/local -xzf go1.26.", "export PATH=/usr/local/go/bin:$PATH",
			} {
				if !strings.Contains(got.Stderr, want) {
					t.Errorf("it lacks %q:\n%s", want, got.Stderr)
				}
			}
		})
	}
}

func executable(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
}
