package efficiency

import (
	"testing"

	"github.com/ergon-hpc/ergon/shared/slurmfmt"
)

func TestAStepThatOnlySstatKnowsNamesSstat(t *testing.T) {
	job := slurmfmt.NewRecord(slurmfmt.NewColumns("JobID", "State", "Start", "ElapsedRaw", "AllocCPUS", "NNodes", "AllocTRES"),
		[]string{"7", "RUNNING", "1000", "100", "2", "1", "cpu=2,mem=4G,node=1"}, nil)
	live := slurmfmt.NewRecord(slurmfmt.NewColumns("JobID", "NTasks", "TRESUsageInTot"), []string{"7.0", "1", "cpu=00:01:40,mem=1G"}, nil)
	r := Analyse(Input{Rows: []*slurmfmt.Record{job}, Sstat: []*slurmfmt.Record{live}})
	for _, name := range []MetricName{CPUUsed, MemoryPeak} {
		if m := r.Metrics[name]; m.Value == nil || m.Source != SourceSstat {
			t.Errorf("%s: %+v", name, m)
		}
	}
}
