package efficiency

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
)

func js1(t *testing.T, text string) string {
	t.Helper()
	out := js1Text(text)
	if _, err := parseJobstats(out); err != nil && json.Valid([]byte(text)) && len(text) < maxJobstatsJSON {
		t.Fatal(err)
	}
	return out
}

// js1Text packs a summary. Writing to memory does not fail.
func js1Text(text string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write([]byte(text))
	_ = z.Close()
	return "JS1:" + base64.StdEncoding.EncodeToString(b.Bytes())
}

const twoNodes = `{"total_time": 100, "gpus": 2, "nodes": {
 "a": {"cpus": 2, "total_time": 150.5, "total_memory": 2147483648, "used_memory": 1073741824, "gpu_utilization": {"0": 0.04}, "gpu_used_memory": {"0": 10}},
 "b": {"cpus": 2, "total_time": 49.5, "total_memory": 2147483648, "used_memory": 536870912, "gpu_utilization": {"0": 50}, "gpu_used_memory": {"0": 30}}}}`

func TestJobstatsFillsWhatTheAccountingLacks(t *testing.T) {
	job := row("JobID=5", "State=COMPLETED", "AllocCPUS=4", "NNodes=2", "ElapsedRaw=100", "AllocTRES=cpu=4,mem=4G,node=2,gres/gpu=2", "AdminComment="+js1(t, twoNodes))
	r := analyse(t, job)
	if m := want(t, r, CPUUsed, 200); m.Source != SourceJobstats || m.Bound != Estimate {
		t.Errorf("source %s, bound %s", m.Source, m.Bound)
	}
	want(t, r, CPUEfficiency, 50)
	want(t, r, MemoryEfficiency, 37.5)
	want(t, r, GPUUtilization, 25.02)
	want(t, r, GPUMemoryPeak, 40)
	r = analyse(t, job, row("JobID=5.0", "State=COMPLETED", "TotalCPU=06:40.000", "NTasks=2", "NNodes=2"))
	if m := want(t, r, CPUUsed, 400); m.Source != SourceTotalCPU {
		t.Errorf("source %s: accounting comes first", m.Source)
	}
}

func TestUnreadableJobstatsAreIgnored(t *testing.T) {
	bomb := js1(t, `{"nodes":{"a":{"total_time":`+strings.Repeat("1", maxJobstatsJSON)+`}}}`)
	for name, text := range map[string]string{
		"nothing": "", "short job": "JS1:Short", "not measured": "JS1:None", "no base64": "JS1:%%%", "no gzip": "JS1:QUJD",
		"no JSON": js1(t, "hello"), "too large": bomb, "too long": "JS1:" + strings.Repeat("A", maxJobstatsText+1), "other text": "see ticket 5",
		"negative and absurd values": js1(t, `{"nodes":{"a":{"total_time":-5},"b":{"total_time":1e300}}}`),
	} {
		t.Run(name, func(t *testing.T) {
			r := analyse(t, row("JobID=5", "State=COMPLETED", "AllocCPUS=4", "NNodes=2", "ElapsedRaw=100", "AdminComment="+text))
			wantMissing(t, r, CPUUsed, NoStepData)
		})
	}
}

func TestJobstatsAmongOtherText(t *testing.T) {
	js, err := parseJobstats("ticket 5; " + js1(t, twoNodes) + " kept")
	if err != nil {
		t.Fatal(err)
	}
	if sum, n, ok := js.cpuSeconds(); sum != 200 || n != 2 || !ok {
		t.Errorf("%v s on %d nodes", sum, n)
	}
}
