package efficiency

import (
	"math"
	"os"
	"strings"
	"testing"
)

// TestTheExamplesOfTheDocumentAreComputed: each sentence stands in docs/efficiency.md, and the code says the same.
func TestTheExamplesOfTheDocumentAreComputed(t *testing.T) {
	text, err := os.ReadFile("../../docs/efficiency.md")
	if err != nil {
		t.Fatal(err)
	}
	plain := func(pairs ...string) *record {
		return row(append([]string{"JobID=5", "State=COMPLETED", "AllocCPUS=4", "NNodes=1", "NodeList=n1", "ElapsedRaw=100", "Start=1000", "End=1100"}, pairs...)...)
	}
	step := func(usage string, pairs ...string) *record {
		return row(append([]string{"JobID=5.0", "State=COMPLETED", "NTasks=1", "NNodes=1", "NodeList=n1", "ElapsedRaw=100", "TRESUsageInTot=" + usage}, pairs...)...)
	}
	energy := Input{Rows: []*record{plain("ConsumedEnergyRaw=10000")}}
	model := &Cluster{PUE: 1.5, DefaultType: "a", NodeTypes: map[string]NodeType{"a": {Cores: 4, WattPerCore: 10}}}
	spare := Input{Rows: []*record{plain("AllocTRES=cpu=4,mem=8G,node=1,gres/gpu=2"), step("cpu=00:03:20,mem=6G,gres/gpuutil=100")}}
	gib := float64(1 << 30)
	for _, c := range []struct {
		sentence string
		in       Input
		metric   MetricName
		value    float64
	}{
		{"200 / (100 × 8 × 1/2) = 50 %", Input{Rows: []*record{plain("AllocCPUS=8", "NNodes=2", "NodeList=n[1-2]"), step("cpu=00:03:20")}}, CPUEfficiencyMeasuredNodes, 50},
		{"`gpu_memory_peak` 40 bytes", Input{Rows: []*record{plain("NNodes=2", "AllocTRES=cpu=4,node=2,gres/gpu=2", "AdminComment="+js1(t, twoNodes))}}, GPUMemoryPeak, 40},
		{"10 kJ in 100 s: `power_average` 100 W", energy, PowerAverage, 100},
		{"`energy_delay_product` 1 MJ·s", energy, EnergyDelayProduct, 1e6},
		{"A node at 100, 120 and 100 W: `power_peak` 120 W", Input{Rows: []*record{plain("ElapsedRaw=2", "End=1002")}, Profiles: []ProfileFile{powerFile("0", "n1", 1000, 100, 120, 100)}}, PowerPeak, 120},
		{"100 × 1.5 × (4 × 10 × 0.5 + 8 × 0.3725) = 3447 J", Input{Rows: []*record{plain("AllocTRES=cpu=4,mem=8G,node=1"), step("cpu=00:03:20")}, Cluster: model}, Energy, 3447},
		{"3.6e6 J (1 kWh) at 400 g per kWh: `carbon` 400 g", Input{Rows: []*record{plain("ConsumedEnergyRaw=3600000")}, Carbon: &Tariff{Constant: ptr(400.0)}}, Carbon, 400},
		{"`wasted_cpu` 200 core seconds", spare, WastedCPU, 200},
		{"`wasted_memory` 200 GiB seconds", spare, WastedMemory, 200 * gib},
		{"`wasted_gpu` 100 GPU seconds", spare, WastedGPU, 100},
	} {
		if !strings.Contains(string(text), c.sentence) {
			t.Errorf("docs/efficiency.md does not say %q", c.sentence)
		}
		v, ok := Analyse(c.in).Value(c.metric)
		if !ok || math.Abs(v-c.value) > 1e-6*c.value {
			t.Errorf("%s: %v %v, want %v", c.sentence, v, ok, c.value)
		}
	}
}

func TestTheEverydayAndQuartileExamplesAreComputed(t *testing.T) {
	text, err := os.ReadFile("../../docs/efficiency.md")
	if err != nil {
		t.Fatal(err)
	}
	if s := Everyday(0.5 * JoulePerKWh); !strings.Contains(string(text), s[strings.Index(s, "enough"):]) || !strings.HasPrefix(s, "0.5 kWh") {
		t.Errorf("docs/efficiency.md does not say %q", s)
	}
	tasks := []TaskValue{{Value: 10}, {Value: 20}, {Value: 30}, {Value: 40}}
	if q1, q2, q3 := *quantile(tasks, 0.25), *quantile(tasks, 0.5), *quantile(tasks, 0.75); q1 != 17.5 || q2 != 25 || q3 != 32.5 || !strings.Contains(string(text), "q1 17.5, median 25, q3 32.5") {
		t.Errorf("%v %v %v", q1, q2, q3)
	}
}
