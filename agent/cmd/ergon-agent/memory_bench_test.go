package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ergon-hpc/ergon/agent/internal/slurm/slurmtest"
	"github.com/ergon-hpc/ergon/shared/jobkey"
)

// BenchmarkAgentMemory reports the resident memory of the real program, and the CPU that it takes, while a fake Slurm
// shows it a number of running jobs of its user.
func BenchmarkAgentMemory(b *testing.B) {
	exe := filepath.Join(b.TempDir(), "ergon-agent")
	build := exec.CommandContext(b.Context(), "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", exe, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	for _, jobs := range []int{0, 1000, 10_000, 100_000} {
		b.Run(fmt.Sprintf("jobs=%d", jobs), func(b *testing.B) {
			for b.Loop() {
				measure(b, exe, jobs)
			}
		})
	}
}

func measure(b *testing.B, exe string, jobs int) {
	fake := slurmtest.New(b)
	fake.Answer("squeue", running(b, jobs))
	home := b.TempDir()
	metrics := "127.0.0.1:19461"
	settings := filepath.Join(home, "agent.yaml")
	text := fmt.Sprintf("metrics_listen: %s\nslurm:\n  bin_dir: %s\n  poll_interval: 1s\n  squeue_per_minute: 60\n  sacct_per_minute: 60\n", metrics, fake.Dir)
	if err := os.WriteFile(settings, []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
	cmd := exec.CommandContext(b.Context(), exe, "run", "--config", settings)
	cmd.Env = []string{"HOME=" + home, "PATH=/usr/bin:/bin"}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	defer func() { _ = cmd.Process.Signal(os.Interrupt); _ = cmd.Wait() }()
	waitTracked(b, metrics, jobs)
	before := cpuTicks(b, cmd.Process.Pid)
	most := watch(b, cmd.Process.Pid)
	b.ReportMetric(float64(cpuTicks(b, cmd.Process.Pid)-before)/100/watched.Seconds()*100, "cpu-%")
	b.ReportMetric(most, "RSS-MiB")
	if calls := squeueCalls(b, metrics); len(calls) != 1 || !strings.Contains(calls[0], `fault=""`) {
		b.Fatalf("not every squeue was read to its end: %q", calls)
	}
	b.ReportMetric(0, "ns/op")
}

const watched = 10 * time.Second

// watch gives the most that is resident at any time while the agent polls: what a cycle takes is freed at its end.
func watch(b *testing.B, pid int) (mostMiB float64) {
	for end := time.Now().Add(watched); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		mostMiB = max(mostMiB, residentMiB(b, pid))
	}
	return mostMiB
}

// running is what squeue shows of the user's own tagged jobs.
func running(b *testing.B, jobs int) string {
	now := time.Now().Unix()
	rows := make([]slurmtest.Row, jobs)
	for i := range rows {
		id, err := jobkey.NewSubmission()
		if err != nil {
			b.Fatal(err)
		}
		rows[i] = slurmtest.Row{
			"JobID": strconv.Itoa(i + 1), "JobIDRaw": strconv.Itoa(i + 1), "UID": strconv.Itoa(os.Getuid()), "User": "me",
			"State": "RUNNING", "Submit": strconv.FormatInt(now-60, 10), "Start": strconv.FormatInt(now-50, 10),
			"JobName": "benchmark", "Account": "physics", "Partition": "debug", "Comment": jobkey.Tag(id, ""), "WorkDir": "/work",
		}
	}
	return slurmtest.Squeue(rows...)
}

var trackedLine = regexp.MustCompile(`(?m)^ergon_agent_jobs\S* (\d+)`)

// waitTracked waits until the agent's own metric counts the jobs.
func waitTracked(b *testing.B, address string, jobs int) {
	for range 900 {
		time.Sleep(time.Second)
		if counted, err := tracked(address); err == nil && counted >= jobs {
			return
		}
	}
	b.Fatalf("the agent did not track %d jobs within 15 minutes", jobs)
}

func tracked(address string) (sum int, err error) {
	text, err := metricsOf(address)
	for _, m := range trackedLine.FindAllStringSubmatch(text, -1) {
		n, _ := strconv.Atoi(m[1])
		sum += n
	}
	return sum, err
}

func metricsOf(address string) (string, error) {
	resp, err := http.Get("http://" + address + "/metrics")
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(resp.Body)
	return string(text), errors.Join(err, resp.Body.Close())
}

// squeueCalls are the agent's own counts of squeue, one for each outcome.
func squeueCalls(b *testing.B, address string) (lines []string) {
	text, err := metricsOf(address)
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "ergon_agent_slurm_calls_total") && strings.Contains(line, `command="squeue"`) {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

// residentMiB is VmRSS of proc(5).
func residentMiB(b *testing.B, pid int) float64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if value, found := strings.CutPrefix(line, "VmRSS:"); found {
			kib, _ := strconv.ParseFloat(strings.Fields(value)[0], 64)
			return kib / 1024
		}
	}
	b.Fatal("proc(5) shows no VmRSS")
	return 0
}

// cpuTicks is utime + stime of proc(5), 100 a second.
func cpuTicks(b *testing.B, pid int) int {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest)
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return user + system
}
