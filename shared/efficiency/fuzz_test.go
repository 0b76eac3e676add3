package efficiency

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/ergon-hpc/ergon/shared/slurmfmt"
)

// FuzzAnalyse feeds any JSON line through the real reader: no panic, every account
// balanced, every report marshals.
func FuzzAnalyse(f *testing.F) {
	data, err := os.ReadFile(trapFile)
	if err != nil {
		f.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		f.Add(line)
	}
	f.Add(`{"rows":[{"JobID":"1","AllocCPUS":"9e18","ElapsedRaw":"99999999999999999","State":"TIMEOUT","AllocTRES":"mem=9999999E,gres/gpu=9223372036854775807"}]}`)
	f.Add(`{"rows":[{"JobID":"x.0","Start":"-5","End":"99999999999"},{"JobID":"x","AdminComment":"JS1:H4sI"}]}`)
	f.Fuzz(func(t *testing.T, line string) {
		jr, err := slurmfmt.NewJSONReader(strings.NewReader(line), slurmfmt.Options{})
		if err != nil {
			return
		}
		for {
			c, err := jr.Next()
			if err != nil {
				return
			}
			analyseAll(t, c)
		}
	})
}

// FuzzRows feeds rows written as Column=value|Column=value, one a line: nearly every
// mutation is a row, so this one reaches deeper.
func FuzzRows(f *testing.F) {
	f.Add("JobID=7|State=COMPLETED|AllocCPUS=4|NNodes=2|ElapsedRaw=100|AllocTRES=cpu=4,mem=1G,gres/gpu=2\nJobID=7.batch|TotalCPU=01:00.5|NTasks=1|MaxRSS=5M")
	f.Add("JobID=7|Submit=1|Start=1|End=9|State=NODE_FAIL|ElapsedRaw=8|AllocCPUS=1\nJobID=7|Submit=9|Start=20|End=30|State=TIMEOUT|ElapsedRaw=10|AllocCPUS=1|ReqMem=1Gc\nJobID=7.0|Start=5|End=Unknown|TRESUsageInTot=cpu=00:00:09,mem=3G,gres/gpuutil=4e9")
	f.Add("JobID=1_[1-4]|State=PENDING\nJobID=1+1.0+1|ConsumedEnergyRaw=18446744073709551614\nJobID=|Start=None")
	f.Add("JobID=7|ElapsedRaw=9223372036854775807|AllocCPUS=9223372036854775807|AllocTRES=mem=8191P,cpu=1|State=OUT_OF_MEMORY|Timelimit=UNLIMITED|NodeList=n[1-99999999]")
	f.Fuzz(func(t *testing.T, text string) {
		var c slurmfmt.Case
		for line := range strings.Lines(text) {
			if len(c.Records) < 64 {
				c.Records = append(c.Records, row(strings.Split(strings.TrimSpace(line), "|")...))
			}
		}
		analyseAll(t, c)
	})
}

func analyseAll(t *testing.T, c slurmfmt.Case) {
	var reports []Report
	for _, g := range Group(c.Records) {
		r := Analyse(Input{ID: c.ID, Rows: g.Rows, Cluster: sharedCluster()})
		sound(t, r)
		if _, err := json.Marshal(r); err != nil {
			t.Fatal(err)
		}
		reports = append(reports, r)
	}
	total := AddUp(reports)
	for _, a := range []*Account{total.Ledger.CoreS, total.Ledger.ByteS, total.Ledger.GPUS, total.Ledger.Joule} {
		conserved(t, a)
	}
	if _, err := json.Marshal(Summarise(reports)); err != nil {
		t.Fatal(err)
	}
	if _, err := json.Marshal(HetTotal(reports)); err != nil {
		t.Fatal(err)
	}
}

// FuzzJobstats feeds any text to the reader of jobstats' summaries (AdminComment, which anybody with the right may write):
// no panic, and a report that is sound and marshals.
func FuzzJobstats(f *testing.F) {
	f.Add("JS1:Short")
	f.Add(js1Text(`{"total_time":100,"gpus":1,"nodes":{"n1":{"cpus":4,"total_time":200.5,"total_memory":1073741824,"used_memory":536870912,"gpu_used_memory":{"0":1},"gpu_utilization":{"0":50}}}}`))
	f.Add("note " + js1Text(`{"nodes":{"n1":{"total_time":-1e308,"used_memory":1e308},"":{"cpus":null}}}`) + ";more")
	f.Fuzz(func(t *testing.T, comment string) {
		job := row("JobID=7", "State=COMPLETED", "AllocCPUS=4", "NNodes=1", "NodeList=n1", "ElapsedRaw=100", "AllocTRES=cpu=4,mem=1G,node=1,gres/gpu=1", "AdminComment="+comment)
		r := Analyse(Input{Rows: []*record{job}, Cluster: sharedCluster()})
		sound(t, r)
		if _, err := json.Marshal(r); err != nil {
			t.Fatal(err)
		}
	})
}

// FuzzJobstatsJSON reaches behind base64 and gzip, which no mutation passes.
func FuzzJobstatsJSON(f *testing.F) {
	f.Add(`{"total_time":100,"gpus":1,"nodes":{"n1":{"cpus":4,"total_time":200.5,"total_memory":1e9,"used_memory":5e8}}}`)
	f.Add(`{"nodes":{"n1":{"gpu_used_memory":{"0":1e308,"1":1e308},"gpu_utilization":{"0":-1}}}}`)
	f.Add(`{"total_time":null,"gpus":-1,"nodes":null}`)
	f.Fuzz(func(t *testing.T, text string) {
		job := row("JobID=7", "State=COMPLETED", "AllocCPUS=4", "NNodes=2", "NodeList=n[1-2]", "ElapsedRaw=100", "AllocTRES=cpu=4,mem=1G,node=2,gres/gpu=2", "AdminComment="+js1Text(text))
		r := Analyse(Input{Rows: []*record{job}, Cluster: sharedCluster()})
		sound(t, r)
		if _, err := json.Marshal(r); err != nil {
			t.Fatal(err)
		}
	})
}
