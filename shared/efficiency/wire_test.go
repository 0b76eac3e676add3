package efficiency

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"
)

// The JSON names are a contract with the CLI, the API and every script that reads them.

func asMap(t *testing.T, v any) map[string]any {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var out map[string]any
	if err := json.Unmarshal(text, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func wantKeys(t *testing.T, what string, m map[string]any, keys ...string) {
	t.Helper()
	for _, k := range keys {
		if _, ok := m[k]; !ok {
			t.Errorf("%s has no %q: %v", what, k, sortedKeys(m))
		}
	}
}

func TestReportHasTheShapeOfTheDesign(t *testing.T) {
	r := asMap(t, Analyse(Input{Rows: []*record{longJob(), step0(serialCPU + "," + goodMem)}}))
	wantKeys(t, "report", r, "id", "job", "attempts", "metrics", "findings", "series", "ledger", "verdict", "actions")
	wantKeys(t, "job", r["job"].(map[string]any), "job_id", "cluster", "state", "slurm_state", "user", "account", "partition", "nodes", "cpus", "elapsed_s")
	metrics := r["metrics"].(map[string]any)
	for _, name := range strings.Fields(`cpu_efficiency cpu_core_efficiency cpu_used cpu_efficiency_measured_nodes memory_efficiency memory_peak time_efficiency
		gpu_count gpu_utilization gpu_memory_peak energy power_average power_peak energy_delay_product wasted_cpu wasted_memory wasted_gpu cost carbon`) {
		m, ok := metrics[name].(map[string]any)
		if !ok {
			t.Fatalf("no metric %s", name)
		}
		wantKeys(t, name, m, "value", "unit", "bound", "source", "coverage", "reasons")
		wantKeys(t, name, m["coverage"].(map[string]any), "nodes", "nodes_allocated", "seconds", "seconds_elapsed")
		if _, list := m["reasons"].([]any); !list {
			t.Errorf("reasons of %s are %v, want a list", name, m["reasons"])
		}
	}
	if len(metrics) != len(MetricNames()) {
		t.Errorf("%d metrics, %d names", len(metrics), len(MetricNames()))
	}
	f := r["findings"].([]any)[0].(map[string]any)
	wantKeys(t, "finding", f, "rule", "severity", "text", "evidence", "wasted")
	wantKeys(t, "wasted", f["wasted"].(map[string]any), "core_s", "byte_s", "gpu_s", "joule")
	wantKeys(t, "ledger", r["ledger"].(map[string]any), "core_s", "byte_s", "gpu_s", "joule")
	account := r["ledger"].(map[string]any)["core_s"].(map[string]any)
	wantKeys(t, "account", account, "allocated", "overuse", "used", "idle", "forced", "lost", "unmeasured", "lost_by")
}

func TestUnitsAreThoseOfTheDesign(t *testing.T) {
	for name, unit := range map[MetricName]Unit{
		CPUEfficiency: "percent", CPUUsed: "core_second", MemoryPeak: "byte", GPUCount: "count", Energy: "joule", PowerPeak: "watt", PowerAverage: "watt",
		EnergyDelayProduct: "joule_second", WastedCPU: "core_second", WastedMemory: "byte_second", WastedGPU: "gpu_second", Carbon: "gram", TimeEfficiency: "percent", GPUMemoryPeak: "byte",
	} {
		if name.Unit() != unit {
			t.Errorf("%s is in %s, want %s", name, name.Unit(), unit)
		}
	}
}

func TestMissingIsNullAndZeroIsZero(t *testing.T) {
	r := asMap(t, analyse(t,
		row("JobID=5", "State=COMPLETED", "AllocCPUS=1", "NNodes=1", "ElapsedRaw=3600"),
		row("JobID=5.batch", "TRESUsageInTot=cpu=00:00:00,mem=1M", "NTasks=1")))
	metrics := r["metrics"].(map[string]any)
	if v := metrics["cpu_efficiency"].(map[string]any)["value"]; v != 0.0 {
		t.Errorf("cpu_efficiency %v, want 0", v)
	}
	if v, ok := metrics["energy"].(map[string]any)["value"]; v != nil || !ok {
		t.Errorf("energy %v, want null", v)
	}
	if v := r["series"]; v != nil {
		t.Errorf("series %v, want null", v)
	}
}

func TestNumbersThatAreNoneBecomeMissing(t *testing.T) {
	for _, v := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		if finite(v) != nil {
			t.Errorf("%v was let through", v)
		}
	}
	a := &attempt{in: &Input{}}
	if m := a.metric(Energy, whole(math.NaN(), Exact, SourceModel)); m.Value != nil || !m.Has(MissingField) {
		t.Errorf("%+v", m)
	}
}

func TestBoundsCombine(t *testing.T) {
	for _, c := range []struct{ a, b, sum Bound }{
		{Exact, Exact, Exact}, {Exact, Upper, Upper}, {Lower, Exact, Lower}, {Upper, Upper, Upper}, {Upper, Lower, Estimate}, {Estimate, Exact, Estimate}, {Estimate, Lower, Estimate},
	} {
		if c.a.and(c.b) != c.sum || c.b.and(c.a) != c.sum {
			t.Errorf("%s and %s is %s, want %s", c.a, c.b, c.a.and(c.b), c.sum)
		}
	}
}

func TestReasonsAreListedOnce(t *testing.T) {
	m := Metric{}.with(Running, Sampled, Running).with(Sampled)
	if !slices.Equal(m.Reasons, Reasons{Running, Sampled}) {
		t.Errorf("%v", m.Reasons)
	}
	text, err := json.Marshal(Metric{})
	if err != nil || !strings.Contains(string(text), `"reasons":[]`) {
		t.Errorf("%s %v", text, err)
	}
}

func TestEveryRuleHasItsOwnName(t *testing.T) {
	seen := map[Rule]bool{}
	for _, r := range []Rule{
		RuleIdleGPU, RuleIdleNode, RuleSerialOnManyCores, RuleMemoryOver, RuleTimeOver, RuleMemoryNearLimit, RuleOutOfMemory, RuleTimeout, RuleFragmentation,
		RuleCoresPerGPU, RuleMemoryPerGPU, RuleImbalance, RuleOversubscription, RuleMemoryLeak, RuleTooShort, RuleSourceDisagreement, RulePageCache, RuleUnmeasured, RuleLowGPU, RuleTariffGap,
	} {
		if seen[r] {
			t.Errorf("%s twice", r)
		}
		seen[r] = true
	}
	if len(seen) != len(rules()) {
		t.Errorf("%d names, %d rules in the table", len(seen), len(rules()))
	}
}

func TestThresholdsReadFromConfigurationReplaceTheDefaults(t *testing.T) {
	limits := DefaultThresholds()
	if err := json.Unmarshal([]byte(`{"too_short_seconds": 5}`), &limits); err != nil {
		t.Fatal(err)
	}
	rows := []*record{row("JobID=1", "State=COMPLETED", "ElapsedRaw=30", "AllocCPUS=1")}
	if hasRule(Analyse(Input{Rows: rows}), RuleTooShort) == nil {
		t.Error("30 s are short by default")
	}
	if hasRule(Analyse(Input{Rows: rows, Thresholds: &limits}), RuleTooShort) != nil {
		t.Error("the site says that 30 s are enough")
	}
}

func TestReportsDoNotShareMemoryWithTheirInput(t *testing.T) {
	rows := []*record{longJob(), step0(serialCPU + "," + goodMem)}
	in := Input{Rows: rows, Cluster: sharedCluster()}
	first := Analyse(in)
	first.Job.NodeList = "changed"
	*first.Job.CPUs = 99
	first.Ledger.CoreS.Used = -1
	first.Findings[0].Evidence["cores_used"] = -1.0
	second := Analyse(in)
	if *second.Job.CPUs != 16 || second.Ledger.CoreS.Used < 0 || second.Findings[0].Evidence["cores_used"] == -1.0 {
		t.Errorf("%+v", second.Job)
	}
}
