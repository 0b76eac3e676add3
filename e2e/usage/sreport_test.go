// Package usage compares Ergon's sums with those of the site's own Slurm.
package usage

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ergon-hpc/ergon/e2e/harness"
)

var cluster *harness.Slurm

func TestMain(m *testing.M) {
	os.Exit(harness.Main(m, func(ctx context.Context, h *harness.Stack) (err error) {
		cluster, err = h.StartSlurm(ctx, harness.SlurmOptions{Nodes: 1, CPUs: 4})
		return err
	}))
}

// must runs a command as root with the cluster's configuration, in UTC.
func must(t *testing.T, args ...string) string {
	t.Helper()
	result := run(t, args...)
	if result.Code != 0 {
		t.Fatalf("%s: exit code %d\n%s%s", strings.Join(args, " "), result.Code, result.Stdout, result.Stderr)
	}
	return result.Stdout
}

func run(t *testing.T, args ...string) harness.Result {
	t.Helper()
	result, err := harness.Spec{Dir: t.TempDir(), Env: append(cluster.Env(), "PATH="+os.Getenv("PATH"), "TZ=UTC"), Args: args}.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// submit runs a job of a user to its end.
func submit(t *testing.T, user string, args ...string) {
	t.Helper()
	spec, err := cluster.As(user, append([]string{"sbatch", "--wait", "-o", "/dev/null"}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	if result, err := spec.Run(t.Context()); err != nil || result.Code != 0 {
		t.Fatalf("%s: %v %+v", user, err, result)
	}
}

const day = 86400

// shift moves everything that Slurm's database knows two hours into the past, and starts slurmdbd anew: it sums up whole
// hours only, at its start and then every hour, and a test cannot wait for that.
func shift(t *testing.T, name string) {
	t.Helper()
	var sql strings.Builder
	for _, move := range []struct {
		table, columns string
		seconds        int
	}{
		{"job_table", "time_submit time_eligible time_start time_end", 7200},
		{"step_table", "time_start time_end", 7200},
		{"event_table", "time_start", day},
		{"assoc_table", "creation_time", day},
	} {
		for _, column := range strings.Fields(move.columns) {
			fmt.Fprintf(&sql, "UPDATE %s_%s SET %s = %s - %d WHERE %s > 0;", name, move.table, column, column, move.seconds, column)
		}
	}
	must(t, "mariadb", "--no-defaults", "-S", filepath.Join(cluster.Prefix, "run", "mysql.sock"), "slurm_acct_db", "-e", sql.String())
	pid, err := cluster.DaemonPID("slurmdbd")
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	harness.Eventually(t, time.Minute, func() (bool, string) { return syscall.Kill(pid, 0) != nil, "slurmdbd does not end" })
	if err := cluster.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// check is what `admin usage --check sreport -o json` prints.
type check struct {
	Lines []struct {
		User      string
		SReport   float64 `json:"sreport_cpu_s"`
		Ergon     float64 `json:"ergon_cpu_s"`
		Agrees    bool
		Explained bool
		Reasons   []string
	}
	Total struct {
		SReport float64 `json:"sreport_cpu_s"`
		Agrees  bool
	}
}

func TestErgonCountsWhatSreportCounts(t *testing.T) {
	harness.Need(t, cluster)
	server, err := harness.Binary("ergon-server")
	if err != nil {
		t.Fatal(err)
	}
	submit(t, "alice", "-c", "2", "--wrap", "sleep 6")
	submit(t, "alice", "--wrap", "sleep 1")
	submit(t, "bob", "--wrap", "sleep 4")
	name := strings.TrimSpace(must(t, "sacctmgr", "-nP", "show", "cluster", "format=cluster"))
	harness.Eventually(t, time.Minute, func() (bool, string) {
		out := must(t, "sacct", "-a", "-X", "-n", "-P", "-o", "State,End")
		return strings.Count(out, "\n") == 3 && !strings.Contains(out, "RUNNING") && !strings.Contains(out, "Unknown"), out
	})
	shift(t, name)
	hour := time.Now().UTC().Truncate(time.Hour)
	window := []string{"--from", hour.Add(-3 * time.Hour).Format(time.RFC3339), "--to", hour.Format(time.RFC3339)}
	sreport := func() string {
		return must(t, "sreport", "-P", "-t", "Seconds", "cluster", "AccountUtilizationByUser", "cluster="+name,
			"start="+hour.Add(-3*time.Hour).Format("2006-01-02T15:04:05"), "end="+hour.Format("2006-01-02T15:04:05"))
	}
	harness.Eventually(t, 2*time.Minute, func() (bool, string) {
		out := sreport()
		return strings.Contains(out, "|alice|") && strings.Contains(out, "|bob|"), "sreport has no sums yet:\n" + out
	})
	dump := must(t, "sacct", "-a", "-D", "-P", "-S", "now-2days", "-o", "ALL")
	all, aliceOnly := imported(t, server, name, dump), imported(t, server, name, without(dump, "bob"))

	var c check
	read := func(out string) {
		t.Helper()
		c = check{}
		if err := json.Unmarshal([]byte(out), &c); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	args := append([]string{server, "admin", "usage", "--check", "sreport", "-o", "json", "--timezone", "UTC"}, window...)
	read(must(t, append(args, "--data-dir", all, "--cluster", name)...))
	if len(c.Lines) != 2 || !c.Total.Agrees || c.Total.SReport < 16 || !c.Lines[0].Agrees || !c.Lines[1].Agrees {
		t.Errorf("Ergon and sreport differ: %+v\n%s", c, sreport())
	}
	file := filepath.Join(t.TempDir(), "sreport.txt")
	if err := os.WriteFile(file, []byte(sreport()), 0o600); err != nil {
		t.Fatal(err)
	}
	text := must(t, server, "admin", "usage", "--check", "sreport", "--sreport", file, "--timezone", "UTC", "--data-dir", all)
	if !strings.Contains(text, "alice") || !strings.Contains(text, "admin usage counts jobs by their end") {
		t.Errorf("from a file: %s", text)
	}
	result := run(t, append(args, "--data-dir", aliceOnly, "--cluster", name)...)
	read(result.Stdout)
	if result.Code != 1 || c.Total.Agrees || !strings.Contains(fmt.Sprint(c.Lines), "Ergon has no job of this user") {
		t.Errorf("a user whose jobs Ergon does not know: exit code %d, %+v", result.Code, c)
	}
}

// without leaves a user's jobs out of a dump.
func without(dump, user string) string {
	lines := strings.Split(dump, "\n")
	column := -1
	for i, name := range strings.Split(lines[0], "|") {
		if name == "User" {
			column = i
		}
	}
	kept, gone := lines[:1:1], map[string]bool{}
	for _, line := range lines[1:] {
		if cells := strings.Split(line, "|"); len(cells) > column && cells[column] == user {
			gone[id(line, lines[0])] = true
		}
	}
	for _, line := range lines[1:] {
		if !gone[id(line, lines[0])] {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "\n")
}

// id is the job's number of a row, without its step.
func id(line, head string) string {
	cells := strings.Split(line, "|")
	for i, name := range strings.Split(head, "|") {
		if name == "JobID" && i < len(cells) {
			job, _, _ := strings.Cut(cells[i], ".")
			return job
		}
	}
	return ""
}

// imported makes a data directory with the jobs of a dump.
func imported(t *testing.T, server, name, dump string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	file := filepath.Join(t.TempDir(), "sacct.txt")
	if err := os.WriteFile(file, []byte(dump), 0o600); err != nil {
		t.Fatal(err)
	}
	must(t, server, "admin", "import", "sacct", "--data-dir", dir, "--cluster", name, "--timezone", "UTC", file)
	return dir
}
