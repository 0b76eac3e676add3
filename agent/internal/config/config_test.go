package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func env(values map[string]string) Env {
	return Env{Getenv: func(name string) string { return values[name] }}
}

var alice = map[string]string{"HOME": "/home/alice"}

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "agent.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestDefaultsAreValidInBothModes(t *testing.T) {
	t.Parallel()
	user, err := Load("/nonexistent", false, env(alice))
	if err != nil || user.StateDir != "/home/alice/.local/state/ergon" || user.Socket != user.StateDir+"/agent.sock" {
		t.Fatalf("got %+v, %v", user, err)
	}
	e := env(map[string]string{"XDG_RUNTIME_DIR": "/run/user/1"})
	e.System = true
	system, err := Load("/nonexistent", false, e)
	if err != nil || system.Socket != "/run/ergon/agent.sock" || system.Uploads.Enabled != nil {
		t.Fatalf("got %+v, %v", system, err)
	}
	runtime, err := Load("/nonexistent", false, env(map[string]string{"HOME": "/h", "XDG_RUNTIME_DIR": "/run/user/1"}))
	if err != nil || runtime.Socket != "/run/user/1/ergon/agent.sock" {
		t.Fatalf("got %+v, %v", runtime, err)
	}
	if _, err := Load("/nonexistent", false, env(nil)); err == nil {
		t.Fatal("no HOME must be an error")
	}
	if _, err := Load("/nonexistent", true, env(alice)); err == nil {
		t.Fatal("a file that was named must exist")
	}
}

func TestAFileChangesWhatItSays(t *testing.T) {
	t.Parallel()
	c, err := Load(write(t, "slurm:\n  poll_interval: 1s\n  sbatch: /opt/slurm/bin/sbatch\nuploads:\n  enabled: false\n"), true, env(alice))
	if err != nil || c.Slurm.PollInterval != time.Second || *c.Uploads.Enabled || c.Slurm.SqueuePerMinute != 2 || c.Slurm.SstatPerMinute != 0 {
		t.Fatalf("got %+v, %v", c, err)
	}
	if _, err := Load(write(t, ""), true, env(alice)); err != nil {
		t.Fatalf("an empty file: %v", err)
	}
}

func TestEveryFaultIsNamedAtOnce(t *testing.T) {
	t.Parallel()
	faults := map[string]string{
		"state_dir: x": "state_dir", "socket: x": "socket", "slurm: {bin_dir: x}": "bin_dir", "slurm: {sbatch: x}": "slurm.sbatch",
		"slurm: {poll_interval: 0s}": "poll_interval", "slurm: {sacct_per_minute: 0}": "per_minute", "tag: {carrier: magic}": "carrier",
		"dirs: {base: x}": "dirs.base", "dirs: {scratch: /}": "dirs.scratch", "dirs: {scratch: rel}": "dirs.scratch", "uploads: {parallel: 0}": "parallel",
		"uploads: {job_files: -1}": "uploads", "metrics_listen: 0.0.0.0:9": "metrics_listen", "log_level: loud": "log_level",
		"accounting: {lookback: 0s}": "accounting", "slurm: {sstat_per_minute: -1}": "sstat_per_minute", "slurm: {sstat_per_minute: .nan}": "sstat_per_minute", "uploads: {retry_blocked: 0s}": "retry_blocked", "unknown_key: 1": "unknown_key",
	}
	for text, want := range faults {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			if _, err := Load(write(t, text), true, env(alice)); err == nil || !strings.Contains(err.Error(), want) {
				t.Fatalf("got %v", err)
			}
		})
	}
	_, err := Load(write(t, "state_dir: x\nlog_level: loud\n"), true, env(alice))
	if err == nil || !strings.Contains(err.Error(), "state_dir") || !strings.Contains(err.Error(), "log_level") {
		t.Fatalf("got %v", err)
	}
}

func FuzzDecodeNeverPanics(f *testing.F) {
	f.Add([]byte("slurm: {poll_interval: 1s}"))
	f.Fuzz(func(_ *testing.T, data []byte) {
		c, _ := Default(env(alice))
		_ = decode(data, &c)
		_ = c.Validate()
	})
}
