package packaging

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// buildEnv is the environment of packaging/build.sh: this machine's Go, and a fixed version and time.
func buildEnv(t *testing.T) []string {
	t.Helper()
	env := []string{"ERGON_BIN_DIR=" + filepath.Dir(program(t, "ergon-server")), "VERSION=v1.2.3", "SOURCE_DATE_EPOCH=1767225600"}
	for _, name := range []string{"GOPATH", "GOMODCACHE", "GOCACHE", "GOPROXY", "GOFLAGS", "HOME"} {
		if value := os.Getenv(name); value != "" {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// build makes all packages (about 8 s of CPU). nfpm itself takes half a minute of two cores, once: it is built only when asked for.
func build(t *testing.T, dir string) {
	t.Helper()
	if _, err := exec.LookPath("dpkg-deb"); err != nil {
		t.Skip("dpkg-deb is not installed: this machine is no Debian")
	}
	env, script := buildEnv(t), tree(t, "packaging", "build.sh")
	tool := strings.TrimSpace(run(t, env, script, "--tool").Stdout)
	if _, err := os.Stat(tool); err != nil && os.Getenv("ERGON_PACKAGING") != "1" {
		t.Skip("nfpm is not built yet: run packaging/build.sh once, or set ERGON_PACKAGING=1")
	}
	if got := run(t, env, script, dir); got.Code != 0 {
		t.Fatalf("packaging/build.sh: %s%s", got.Stdout, got.Stderr)
	}
}

// contents are the files of a package that are the same in each version, with mode and owner, as dpkg-deb -c prints them.
var contents = map[string][]string{
	"ergon-agent_1.2.3_*.deb": {
		"-rw-r--r-- root/root ./etc/ergon/agent.yaml",
		"-rwxr-xr-x root/root ./usr/bin/ergon",
		"-rwxr-xr-x root/root ./usr/bin/ergon-agent",
		"-rwxr-xr-x root/root ./usr/bin/ergon-sbatch",
		"l--------- root/root ./usr/lib/ergon/wrapper/sbatch -> /usr/bin/ergon-sbatch",
		"-rw-r--r-- root/root ./usr/lib/systemd/system/ergon-agent.service",
		"-rw-r--r-- root/root ./usr/lib/systemd/system/ergon-agent.socket",
		"-rw-r--r-- root/root ./usr/lib/systemd/user/ergon-agent-user.service",
		"-rw-r--r-- root/root ./usr/lib/sysusers.d/ergon-agent.conf",
		"-rw-r--r-- root/root ./usr/lib/tmpfiles.d/ergon-agent.conf",
		"-rw-r--r-- root/root ./usr/share/doc/ergon-agent/data-protection.md",
		"-rw-r--r-- root/root ./usr/share/doc/ergon-agent/install.md",
		"-rw-r--r-- root/root ./usr/share/doc/ergon-agent/uninstall.md",
		"-rw-r--r-- root/root ./usr/share/ergon/profile.d/ergon.sh",
		"-rw-r--r-- root/root ./usr/share/ergon/slurm/cli_filter.lua",
		"-rw-r--r-- root/root ./usr/share/ergon/systemd/level2.conf",
	},
	"ergon-server_1.2.3_*.deb": {
		"-rw-r--r-- root/root ./etc/ergon/server.yaml",
		"-rwxr-xr-x root/root ./usr/bin/ergon-server",
		"-rw-r--r-- root/root ./usr/lib/systemd/system/ergon-server.service",
		"-rw-r--r-- root/root ./usr/lib/sysusers.d/ergon-server.conf",
		"-rwxr-xr-x root/root ./usr/sbin/ergon-server-admin",
		"-rw-r--r-- root/root ./usr/share/doc/ergon-server/configuration.md",
		"-rw-r--r-- root/root ./usr/share/doc/ergon-server/data-protection.md",
		"-rw-r--r-- root/root ./usr/share/doc/ergon-server/install.md",
		"-rw-r--r-- root/root ./usr/share/doc/ergon-server/security.md",
		"-rw-r--r-- root/root ./usr/share/doc/ergon-server/uninstall.md",
		"-rw-r--r-- root/root ./usr/share/ergon/grafana/dashboards/ergon-cluster.json",
		"-rw-r--r-- root/root ./usr/share/ergon/grafana/dashboards/ergon-jobs.json",
		"-rw-r--r-- root/root ./usr/share/ergon/grafana/provisioning/dashboards/ergon.yaml",
		"-rw-r--r-- root/root ./usr/share/ergon/grafana/provisioning/datasources/ergon.yaml",
		"-rw-r--r-- root/root ./usr/share/ergon/grafana/provisioning/role.sql",
	},
}

// one finds the only file of a pattern.
func one(t *testing.T, dir, pattern string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil || len(found) != 1 {
		t.Fatalf("%s: %v, %v", pattern, found, err)
	}
	return found[0]
}

// All of it is one test, so that packages are built twice and not more often.
func TestPackages(t *testing.T) {
	dir := t.TempDir()
	build(t, dir)
	t.Run("hold their files and nothing else", func(t *testing.T) { holdTheirFiles(t, dir) })
	t.Run("unpack to programs that run and settings that upgrades keep", func(t *testing.T) { unpackAndRun(t, dir) })
	t.Run("carry scripts that a shell understands", func(t *testing.T) { carryScripts(t, dir) })
	t.Run("are the same bytes when built again", func(t *testing.T) {
		again := t.TempDir()
		build(t, again)
		if a, b := sums(t, dir), sums(t, again); !slices.Equal(a, b) {
			t.Errorf("two builds differ:\n%v\n%v", a, b)
		}
	})
}

func carryScripts(t *testing.T, dir string) {
	for pattern := range contents {
		for _, name := range []string{"postinst", "prerm", "postrm"} {
			script := run(t, nil, "dpkg-deb", "-I", one(t, dir, pattern), name)
			path := filepath.Join(t.TempDir(), name)
			if err := os.WriteFile(path, []byte(script.Stdout), 0o600); err != nil {
				t.Fatal(err)
			}
			if got := run(t, nil, "dash", "-n", path); got.Code != 0 || !strings.HasPrefix(script.Stdout, "#!/bin/sh\n") {
				t.Errorf("%s, %s: %s%s", pattern, name, got.Stderr, script.Stderr)
			}
		}
	}
}

func sums(t *testing.T, dir string) (out []string) {
	t.Helper()
	for _, pattern := range []string{"*.deb", "*.rpm"} {
		files, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil || len(files) != 2 {
			t.Fatalf("%s: %v, %v", pattern, files, err)
		}
		for _, f := range files {
			data, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, fmt.Sprintf("%s %x", filepath.Base(f), sha256.Sum256(data)))
		}
	}
	return out
}

func holdTheirFiles(t *testing.T, dir string) {
	for pattern, want := range contents {
		var got []string
		for line := range strings.Lines(run(t, nil, "dpkg-deb", "-c", one(t, dir, pattern)).Stdout) {
			f := strings.Fields(line)
			if strings.HasPrefix(f[0], "d") {
				if f[0] != "drwxr-xr-x" || f[1] != "root/root" {
					t.Errorf("%s: a directory of another mode or owner: %s", pattern, line)
				}
				continue
			}
			got = append(got, strings.Join(append(f[:2], f[5:]...), " "))
		}
		slices.SortFunc(got, func(a, b string) int { return strings.Compare(a[strings.Index(a, "./"):], b[strings.Index(b, "./"):]) })
		if !slices.Equal(got, want) {
			t.Errorf("%s: got\n%s\nwant\n%s", pattern, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}

func unpackAndRun(t *testing.T, dir string) {
	for pattern, check := range map[string]struct{ program, conffile string }{
		"ergon-agent_1.2.3_*.deb":  {"usr/bin/ergon-agent", "/etc/ergon/agent.yaml\n"},
		"ergon-server_1.2.3_*.deb": {"usr/bin/ergon-server", "/etc/ergon/server.yaml\n"},
	} {
		deb, root := one(t, dir, pattern), t.TempDir()
		if got := run(t, nil, "dpkg-deb", "-x", deb, root); got.Code != 0 {
			t.Fatalf("%s: %s", pattern, got.Stderr)
		}
		if got := run(t, nil, filepath.Join(root, check.program), "--version"); got.Code != 0 {
			t.Errorf("%s: the program does not run: %s", pattern, got.Stderr)
		}
		if got := run(t, nil, "dpkg-deb", "-I", deb, "conffiles").Stdout; got != check.conffile {
			t.Errorf("%s: conffiles are %q: an upgrade would overwrite the site's settings", pattern, got)
		}
	}
}
