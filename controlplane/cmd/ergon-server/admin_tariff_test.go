package main

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// One job of 3.6e9 J (1 MWh) over two hours, and one without energy.
const energyHistory = "JobID|JobName|User|Account|Submit|Start|End|ElapsedRaw|AllocCPUS|NNodes|NodeList|State|ConsumedEnergyRaw\n" +
	"1|a|alice|phys|2026-01-01T00:00:00|2026-01-01T00:00:00|2026-01-01T02:00:00|7200|10|1|n1|COMPLETED|3600000000\n" +
	"2|b|bob|chem|2026-01-01T00:00:00|2026-01-01T00:00:00|2026-01-01T02:00:00|7200|10|1|n1|COMPLETED|0\n"

func tariffFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func energyData(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	adminRun(t, energyHistory, "import", "sacct", "--data-dir", dir, "--cluster", "c", "--timezone", "UTC", "-")
	return dir
}

// energyUsage is the row of one account.
func energyUsage(t *testing.T, dir, account string) map[string]any {
	t.Helper()
	out, _ := adminRun(t, "", "usage", "--data-dir", dir, "--by", "account", "--metrics", "job_count,energy_kwh,cost,carbon_kg", "-o", "json")
	var rows []map[string]any
	if err := json.Unmarshal([]byte(out), &rows); err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		if r["account"] == account {
			return r
		}
	}
	t.Fatalf("no %s in %s", account, out)
	return nil
}

func wantNumber(t *testing.T, row map[string]any, name string, want float64) {
	t.Helper()
	if v, ok := row[name].(float64); !ok || math.Abs(v-want) > 1e-9*math.Abs(want) {
		t.Errorf("%s = %v, want %v", name, row[name], want)
	}
}

func TestPricesAndCarbonReachUsageWithoutAServer(t *testing.T) {
	dir := energyData(t)
	if row := energyUsage(t, dir, "phys"); row["cost"] != nil || row["carbon_kg"] != nil {
		t.Errorf("without tariffs: %v", row)
	}
	smard := tariffFile(t, "smard.json", `{"series":[[1767225600000,100],[1767229200000,-20],[1767232800000,null]]}`)
	carbon := tariffFile(t, "carbon.csv", "start,end,g\n2026-01-01T00:00Z,2026-01-02T00:00Z,400\n")
	adminRun(t, "", "import", "prices", "--data-dir", dir, smard)
	adminRun(t, "", "import", "carbon", "--data-dir", dir, carbon)
	if row := energyUsage(t, dir, "phys"); row["cost"] != nil {
		t.Errorf("stored reports change only when they are computed again: %v", row)
	}
	adminRun(t, "", "reanalyse", "--data-dir", dir)
	row := energyUsage(t, dir, "phys")
	wantNumber(t, row, "energy_kwh", 1000)
	wantNumber(t, row, "cost", 0.5*100-0.5*20)
	wantNumber(t, row, "carbon_kg", 400)
	if row := energyUsage(t, dir, "chem"); row["energy_kwh"] != nil || row["cost"] != nil {
		t.Errorf("no energy is no cost of 0: %v", row)
	}
	// Another price for the first hour.
	adminRun(t, "", "import", "prices", "--data-dir", dir, "--currency", "EUR", tariffFile(t, "p.csv", "start,end,price\n2026-01-01T00:00Z,2026-01-01T01:00Z,200\n"))
	adminRun(t, "", "reanalyse", "--data-dir", dir)
	wantNumber(t, energyUsage(t, dir, "phys"), "cost", 0.5*200-0.5*20)
}

func TestAConstantHoldsWhereNoIntervalDoes(t *testing.T) {
	dir := energyData(t)
	adminRun(t, "", "import", "prices", "--data-dir", dir, "--currency", "CHF", "--constant", "60")
	adminRun(t, "start,end,price\n2026-01-01T01:00Z,2026-01-01T02:00Z,0\n", "import", "prices", "--data-dir", dir, "--currency", "CHF", "-")
	adminRun(t, "", "reanalyse", "--data-dir", dir)
	wantNumber(t, energyUsage(t, dir, "phys"), "cost", 30)
	_, notes := adminRun(t, "", "usage", "--data-dir", dir, "--by", "none", "--metrics", "cost")
	for _, want := range []string{"cost is in CHF", "the energy of 1 of 2 jobs is not known"} {
		if !strings.Contains(notes, want) {
			t.Errorf("%q is not in %q", want, notes)
		}
	}
}

func TestATariffImportSaysWhatItDid(t *testing.T) {
	dir := energyData(t)
	text := "start,price\n2026-01-01T00:00Z,1\nnever,2\n2026-01-01T01:00Z,2\n2026-01-01T02:00Z,\n"
	out, errs := adminRun(t, text, "import", "prices", "--data-dir", dir, "--currency", "EUR", "-")
	if !strings.Contains(errs, "line 3: ") || !strings.Contains(out, "2 intervals stored, 0 known already, 0 stored ones replaced") {
		t.Errorf("%s%s", out, errs)
	}
	out, _ = adminRun(t, text, "import", "prices", "--data-dir", dir, "--currency", "EUR", "-o", "json", "-")
	var got importedTariff
	if err := json.Unmarshal([]byte(out), &got); err != nil || got.Unchanged != 2 || got.Added != 0 || len(got.Faults) != 1 || got.Empty != 1 {
		t.Errorf("%v %s", err, out)
	}
}

func TestTariffMistakesSayWhatToDo(t *testing.T) {
	c := newCLI(t)
	for name, x := range map[string]struct {
		stdin string
		args  []string
		want  string
	}{
		"no currency":        {"start,price\n2026-01-01,1\n2026-01-02,1\n", []string{"prices", "-"}, "--currency EUR"},
		"neither nor":        {"", []string{"prices"}, "--constant"},
		"both":               {"", []string{"prices", "--constant", "1", "x.csv"}, "one file"},
		"no number":          {"", []string{"carbon", "--constant", "green"}, "green"},
		"negative carbon":    {"", []string{"carbon", "--constant", "-5"}, "not negative"},
		"nothing usable":     {"start,end,price\nx,y,z\n", []string{"prices", "--currency", "EUR", "-"}, "line 2"},
		"no file":            {"", []string{"carbon", "/nonexistent"}, "no such file"},
		"a zone that is not": {"start,price\n", []string{"carbon", "--timezone", "Mars/Base", "-"}, "Mars/Base"},
	} {
		out, err := c.try(x.stdin, append([]string{"admin", "import"}, x.args...)...)
		if err == nil || !strings.Contains(err.Error()+out, x.want) {
			t.Errorf("%s: %v %s, want %q", name, err, out, x.want)
		}
	}
}

func TestWasteReachesUsage(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	history := "JobID|Account|Submit|Start|End|ElapsedRaw|AllocCPUS|NNodes|NodeList|State|TotalCPU|AllocTRES|TRESUsageInTot\n" +
		"1|phys|2026-01-01T00:00:00|2026-01-01T00:00:00|2026-01-01T02:00:00|7200|10|1|n1|COMPLETED|05:00:00|cpu=10,mem=8G,node=1|\n" +
		"1.batch|phys|2026-01-01T00:00:00|2026-01-01T00:00:00|2026-01-01T02:00:00|7200|10|1|n1|COMPLETED|05:00:00||cpu=05:00:00,mem=2G\n" +
		"2|phys|2026-01-01T00:00:00|2026-01-01T00:00:00|2026-01-01T01:00:00|3600|4|1|n1|FAILED|01:00:00|cpu=4,mem=8G,node=1|\n" +
		"3|chem|2026-01-01T00:00:00|2026-01-01T00:00:00|2026-01-01T01:00:00|3600|4|1|n1|COMPLETED|||\n"
	adminRun(t, history, "import", "sacct", "--data-dir", dir, "--cluster", "c", "--timezone", "UTC", "-")
	out, notes := adminRun(t, "", "usage", "--data-dir", dir, "--by", "account", "--metrics", "wasted_cpu_hours,wasted_memory_gib_hours", "-o", "json")
	var rows []map[string]any
	if err := json.Unmarshal([]byte(out), &rows); err != nil || len(rows) != 2 {
		t.Fatalf("%v %s", err, out)
	}
	// Idle 15 of 20 core hours, and the whole of the failed job; idle 6 GiB for two hours, and the 8 GiB hours of the failed one.
	wantNumber(t, rows[1], "wasted_cpu_hours", 15+4)
	wantNumber(t, rows[1], "wasted_memory_gib_hours", 12+8)
	if rows[0]["wasted_cpu_hours"] != nil || !strings.Contains(notes, "the waste of CPUs of 1 of 3 jobs is not known") {
		t.Errorf("what was not measured is no waste of 0: %v %s", rows[0], notes)
	}
}

func TestWattsOfTheSiteReachReports(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	site := t.TempDir()
	if err := os.WriteFile(filepath.Join(site, "c.json"), []byte(`{"node_types":{"n":{"watt_per_core":10,"cores":10}},"default_type":"n"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	history := strings.Replace(energyHistory, "|ConsumedEnergyRaw", "|ConsumedEnergyRaw|TotalCPU", 1)
	history = strings.ReplaceAll(history, "|3600000000\n", "|3600000000|00:00:00\n")
	history = strings.ReplaceAll(history, "|0\n", "|0|10:00:00\n")
	c := cli{t: t, environ: []string{"ERGON_DATA_DIR=" + dir, "ERGON_INSIGHT_CLUSTER_DIR=" + site}}
	c.run(history, "admin", "import", "sacct", "--cluster", "c", "--timezone", "UTC", "-")
	// 10 cores × 10 W, half of the time busy, for two hours.
	wantNumber(t, energyUsage(t, dir, "chem"), "energy_kwh", 0.1)
	if err := os.WriteFile(filepath.Join(site, "c.json"), []byte(`{"pue":1.5,"node_types":{"n":{"watt_per_core":10,"cores":10}},"default_type":"n"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	c.run("", "admin", "reanalyse")
	wantNumber(t, energyUsage(t, dir, "chem"), "energy_kwh", 0.15)
	if err := os.WriteFile(filepath.Join(site, "c.json"), []byte(`{"wattage":1}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := c.try("", "admin", "reanalyse"); err == nil || !strings.Contains(err.Error(), "c.json") {
		t.Errorf("a bad file: %v %s", err, out)
	}
}
