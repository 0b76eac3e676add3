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

// A node that died, or a daemon that was killed, leaves no row of the step; what was seen of it last is a lower bound.
func TestAStepThatOnlySstatKnewDoesNotRunOnAfterTheEnd(t *testing.T) {
	job := slurmfmt.NewRecord(slurmfmt.NewColumns("JobID", "State", "ExitCode", "Start", "End", "ElapsedRaw", "AllocCPUS", "NNodes", "AllocTRES"),
		[]string{"7", "NODE_FAIL", "0:0", "1000", "1100", "100", "2", "1", "cpu=2,mem=4G,node=1"}, nil)
	live := slurmfmt.NewRecord(slurmfmt.NewColumns("JobID", "NTasks", "TRESUsageInTot"), []string{"7.0", "1", "cpu=00:01:00,mem=1G"}, nil)
	r := Analyse(Input{Rows: []*slurmfmt.Record{job}, Sstat: []*slurmfmt.Record{live}})
	m := r.Metrics[CPUUsed]
	if m.Value == nil || *m.Value != 60 || m.Source != SourceSstat || m.Bound != Lower || !m.Has(KilledStep) || m.Has(Running) {
		t.Errorf("%+v", m)
	}
}
