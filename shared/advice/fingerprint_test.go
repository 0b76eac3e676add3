package advice

import (
	"strings"
	"testing"

	"github.com/ergon-hpc/ergon/shared/efficiency"
)

func TestNamesOfTheSameWork(t *testing.T) {
	for want, names := range map[string][]string{
		"fit_#":         {"fit_1", "fit_17", "fit_2026-01-02", "fit_1.5"},
		"run#":          {"run1", "run9"},
		"snakejob.map":  {"snakejob.map.12.sh", "snakejob.map.7"},
		"nf-ALIGN":      {"nf-ALIGN_(sample 3)", "nf-ALIGN_(x)"},
		"work-#":        {"work-3f2a9c1d", "work-00ff00ff"},
		"facade":        {"facade"},
		"deadbeef":      {"deadbeef"},
		"grid_#_done":   {"grid_4_done"},
		"zähler #":      {"zähler 3"},
		"with\nnewline": {"with\nnewline"},
	} {
		for _, name := range names {
			if got := Name(name); got != want {
				t.Errorf("%q becomes %q, want %q", name, got, want)
			}
		}
	}
}

func TestJobsOfAWorkflowAreToldApartByTheirRule(t *testing.T) {
	job := func(name, work string) Fingerprint {
		return Of(efficiency.Job{Name: name, Work: work})
	}
	const one, two = "0b1c7a52-6f0e-4c39-9f55-0a2d7b9f4c11", "9e107d9d-372b-4aab-a1b5-5a3d51f52f10"
	if !job(one, "snakejob.map").same(job(two, "snakejob.map")) || job(one, "snakejob.map").same(job(one, "snakejob.sort")) {
		t.Error("the rule is the work, whatever the run")
	}
	if job(one, "").same(job(two, "")) {
		t.Error("the UUID of a run names no work")
	}
	if job("wrap", "wrap.1").same(job("wrap", "wrap.2")) {
		t.Error("two commands are one work")
	}
}

func TestOptionsAreWrittenAsSlurmReadsThem(t *testing.T) {
	for got, want := range map[string]string{
		MemoryOption(4 << 30): "4G", MemoryOption(4<<30 + 1): "4097M", MemoryOption(64 << 20): "64M",
		TimeOption(59): "0:00:59", TimeOption(3600.2): "1:00:01", TimeOption(90000): "1-01:00:00",
	} {
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

func FuzzName(f *testing.F) {
	for _, s := range []string{"fit_17", "snakejob.a.1.sh", "nf-X_(1)", "a1b2c3d4e5", "#-#", strings.Repeat("1_", 40)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		short := Name(name)
		if strings.ContainsAny(short, "0123456789") && !strings.HasPrefix(name, "snakejob.") && !strings.HasPrefix(name, "nf-") {
			t.Fatalf("%q becomes %q", name, short)
		}
	})
}
