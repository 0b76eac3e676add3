package slurmfmt

import (
	"strings"
	"testing"
)

func TestAllocTRES(t *testing.T) {
	a := ParseTRES("billing=2,cpu=4,mem=40G,node=1,gres/gpu:a100=2,fs/disk=64841,energy=794")
	if a.CPUs().N != 4 || a.Nodes().N != 1 || a.Energy().N != 794 || a.AllocMemory().Bytes != 40<<30 {
		t.Errorf("read %v %v %v %v", a.CPUs(), a.Nodes(), a.Energy(), a.AllocMemory())
	}
	if a.Count("fs/disk").N != 64841 || a.Faults() != 0 || len(a.Items()) != 7 {
		t.Errorf("read %+v", a)
	}
	if c := a.Count("gres/gpuutil"); c.Kind != Missing {
		t.Errorf("an absent resource is %v", c)
	}
}

func TestUsageTRES(t *testing.T) {
	u := ParseTRES("cpu=00:36:00,energy=0,mem=12140K,gres/gpuutil=0.04,gres/gpumem=1000M")
	if u.UsageCPU() != known(2160, 0) || u.UsageMemory().Bytes != 12140<<10 {
		t.Errorf("read %v %v", u.UsageCPU(), u.UsageMemory())
	}
	if u.UsageGPUUtil().V != 0.04 || u.UsageGPUMemory().Bytes != 1000<<20 {
		t.Errorf("read %v %v", u.UsageGPUUtil(), u.UsageGPUMemory())
	}
	if b := ParseTRES("mem=12431360").UsageMemory().Bytes; b != 12431360 {
		t.Errorf("--noconvert memory is %d", b)
	}
}

func TestGPUsAreCountedOnce(t *testing.T) {
	for in, want := range map[string]Count{
		"gres/gpu:volta=2,mem=125G,node=1":            {Kind: Known, N: 2},
		"billing=1,cpu=1,gres/gpu:tesla=4":            {Kind: Known, N: 4},
		"cpu=12,gres/gpu=4,gres/gpu:a100=4,node=4":    {Kind: Known, N: 4},
		"gres/gpu:a100=2,gres/gpu:h100=3":             {Kind: Known, N: 5},
		"gres/gpu=0":                                  {Kind: Known, N: 0},
		"gres/gpu=18446744073709551614":               {Kind: Missing},
		"cpu=1,gres/gpumem=5G,gres/gpuutil=10":        {Kind: Missing},
		"":                                            {Kind: Missing},
		"gres/gpu:a=9223372036854775807,gres/gpu:b=1": {Kind: Invalid},
	} {
		if got := ParseTRES(in).GPUs(); got != want {
			t.Errorf("GPUs of %q = %+v, want %+v", in, got, want)
		}
	}
	types := ParseTRES("gres/gpu=5,gres/gpu:a100=2,gres/gpu:h100:1g.10gb=3").GPUTypes()
	if len(types) != 2 || types[1] != (GPUType{"h100:1g.10gb", 3}) {
		t.Errorf("types %v", types)
	}
}

func TestUnsetMarksInTRESAreMissing(t *testing.T) {
	u := ParseTRES("cpu=18446744073709551615,mem=17592186044415M,energy=18446744073709551614,gres/gpuutil=1.84467e+19,gres/gpumem=16E")
	if u.CPUs().Kind != Missing || u.UsageMemory().Kind != Missing || u.Energy().Kind != Missing ||
		u.UsageGPUUtil().Kind != Missing || u.UsageGPUMemory().Kind != Missing {
		t.Errorf("an unset mark passed as a value: %v %v %v %v %v", u.CPUs(), u.UsageMemory(), u.Energy(), u.UsageGPUUtil(), u.UsageGPUMemory())
	}
}

// Sstat prints the mark in milliseconds for a step that was not sampled yet.
func TestUnsetCPUTimesAreMissing(t *testing.T) {
	for text, want := range map[string]Kind{
		"213503982334-14:25:51":     Missing,
		"213503982334-14:25:51.614": Missing,
		"213503982334-14:25:43":     Missing, // of several tasks
		"5124095576030:25:51":       Missing,
		"213000000-00:00:00":        Known,
	} {
		if got := ParseTRES("cpu=" + text).UsageCPU(); got.Kind != want {
			t.Errorf("cpu=%s is %v", text, got)
		}
	}
}

func TestHostileTRES(t *testing.T) {
	u := ParseTRES("cpu=4,cpu=400,=3,garbage,,mem=-1G,node==2")
	if u.CPUs().N != 4 || u.Faults() != 4 || u.AllocMemory().Kind != Invalid || u.Nodes().Kind != Invalid {
		t.Errorf("read %+v", u)
	}
	if long := ParseTRES(strings.Repeat("a=1,b=2,", 1<<16)); len(long.Items()) != 2 || long.Faults() < 1<<16 {
		t.Errorf("%d items, %d faults", len(long.Items()), long.Faults())
	}
}
