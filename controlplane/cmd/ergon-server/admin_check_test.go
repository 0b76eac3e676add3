package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// adminWith runs an admin command with a directory as its PATH.
func adminWith(path, stdin string, args ...string) (stdout, stderr string, err error) {
	var out, errs bytes.Buffer
	root := newRoot(process{
		args: append([]string{"admin"}, args...), environ: []string{"HOME=/", "ERGON_LOG_LEVEL=error", "PATH=" + path}, stdin: strings.NewReader(stdin),
		stdout: &out, stderr: &errs, executable: os.Executable,
	})
	err = root.ExecuteContext(context.Background())
	return out.String(), errs.String(), err
}

// fakeSReport is a directory with an sreport that prints what a script says.
func fakeSReport(t *testing.T, script string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "sreport"), []byte("#!/bin/sh\n"+script), 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

const sreportText = "----\nCluster/Account/User Utilization 2026-01-01T00:00:00 - 2026-01-01T23:59:59 (86400 secs)\nUsage reported in CPU Seconds\n----\n" +
	"Cluster|Account|Login|Used\nc|phys||72000\nc|phys|alice|72000\nc|chem|bob|72000\n"

func TestCheckRunsSreportAndComparesByAccountAndUser(t *testing.T) {
	dir := energyData(t) // two jobs of ten CPUs for two hours
	args := []string{"usage", "--check", "sreport", "--data-dir", dir, "--cluster", "c", "--from", "2026-01-01", "--to", "2026-01-02", "--timezone", "UTC"}
	path := fakeSReport(t, `[ "$TZ" = UTC ] || exit 9
case "$*" in "-P -t Seconds cluster AccountUtilizationByUser cluster=c start=2026-01-01T00:00:00 end=2026-01-02T00:00:00 format=Cluster,Accounts,Login,Used") ;; *) echo "odd: $*" >&2; exit 8;; esac
printf -- '`+strings.ReplaceAll(sreportText, "\n", `\n`)+"'\n")
	out, stderr, err := adminWith(path, "", append(args, "-o", "json")...)
	if err != nil {
		t.Fatalf("%v\n%s%s", err, out, stderr)
	}
	var got struct {
		Lines []checkedLine
		Total checkedLine
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil || len(got.Lines) != 2 || !got.Total.Agrees || got.Total.SReport != 144000 || got.Lines[1].Ergon != 72000 {
		t.Errorf("%v\n%s", err, out)
	}
	short := fakeSReport(t, "printf -- '"+strings.ReplaceAll(strings.Replace(sreportText, "bob|72000", "bob|90000", 1), "\n", `\n`)+"'\n")
	out, _, err = adminWith(short, "", args...)
	if !errors.Is(err, errDiffers) || !strings.Contains(out, "chem/bob: 5.00 core hours are only in sreport") {
		t.Errorf("a job that Ergon does not know: %v\n%s", err, out)
	}
}

func TestCheckSaysWhatItNeeds(t *testing.T) {
	dir := energyData(t)
	base := []string{"usage", "--check", "sreport", "--data-dir", dir, "--timezone", "UTC"}
	full := append(append([]string{}, base...), "--cluster", "c", "--from", "2026-01-01", "--to", "2026-01-02")
	for name, c := range map[string]struct {
		path, stdin, want string
		args              []string
	}{
		"no sreport":     {t.TempDir(), "", "there is no sreport on this machine", full},
		"no window":      {t.TempDir(), "", "needs --cluster, --from and --to", base},
		"odd minutes":    {t.TempDir(), "", "whole hours", append(append([]string{}, base...), "--cluster", "c", "--from", "2026-01-01T00:30", "--to", "2026-01-02")},
		"it fails":       {fakeSReport(t, "printf 'sreport: error: \\033[2Jno connection\\n' >&2; exit 1"), "", "no connection", full},
		"another window": {"", sreportText, "not about --from and --to", append(append([]string{}, base...), "--sreport", "-", "--from", "2026-02-01")},
		"other cluster":  {"", sreportText, "is about the cluster", append(append([]string{}, base...), "--sreport", "-", "--cluster", "c2")},
		"other check":    {"", "", "--check knows sreport only", []string{"usage", "--check", "bank", "--data-dir", dir}},
		"other format":   {"", sreportText, "table or json", append(append([]string{}, base...), "--sreport", "-", "-o", "csv")},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := adminWith(c.path, c.stdin, c.args...)
			text := ""
			if err != nil {
				text = describe(err)
			}
			if !strings.Contains(text, c.want) && !(name == "other cluster" && strings.Contains(text, "no cluster")) || strings.ContainsRune(text, '\x1b') {
				t.Errorf("%q lacks %q", text, c.want)
			}
		})
	}
	out, _, err := adminWith("", sreportText, append(base, "--sreport", "-")...)
	if err != nil || !strings.Contains(out, "all") || !strings.Contains(out, "40.00") {
		t.Errorf("from standard input: %v\n%s", err, out)
	}
}

func TestTariffsTellWhatIsKnownAndWhereItCameFrom(t *testing.T) {
	dir := energyData(t)
	if out, _ := adminRun(t, "", "tariffs", "--data-dir", dir, "-o", "json"); strings.TrimSpace(out) != "[]" {
		t.Errorf("nothing known: %s", out)
	}
	adminRun(t, "start,end,price\n2026-01-01T00:00:00Z,2026-01-01T01:00:00Z,5\n2026-01-01T02:00:00Z,2026-01-01T03:00:00Z,6\n", "import", "prices", "--data-dir", dir, "--currency", "EUR", "-")
	out, _ := adminRun(t, "", "tariffs", "--data-dir", dir)
	for _, want := range []string{"price", "everywhere", "EUR", "2026-01-01T00:00:00Z", "2026-01-01T03:00:00Z", "  1  ", "imported"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
}
