package efficiency

import "testing"

func TestTimeEfficiency(t *testing.T) {
	job := func(limit string) *record {
		return row("JobID=2", "State=TIMEOUT", "AllocCPUS=1", "NNodes=1", "Partition=debug", "ElapsedRaw=69", "Timelimit="+limit)
	}
	t.Run("grace time shows as more than 100 percent", func(t *testing.T) {
		if m := want(t, analyse(t, job("00:01:00")), TimeEfficiency, 115); !m.Has(OverLimit) {
			t.Errorf("reasons %v", m.Reasons)
		}
	})
	t.Run("unlimited", func(t *testing.T) { wantMissing(t, analyse(t, job("UNLIMITED")), TimeEfficiency, Unlimited) })
	t.Run("absent", func(t *testing.T) { wantMissing(t, analyse(t, job("")), TimeEfficiency, MissingField) })
	t.Run("the partition's limit is not known", func(t *testing.T) {
		wantMissing(t, analyse(t, job("Partition_Limit")), TimeEfficiency, MissingField)
	})
	t.Run("the partition's limit is known", func(t *testing.T) {
		c := &Cluster{Partitions: map[string]Partition{"debug": {LimitSeconds: 138}}}
		want(t, Analyse(Input{Rows: []*record{job("Partition_Limit")}, Cluster: c}), TimeEfficiency, 50)
	})
	t.Run("the partition has no limit", func(t *testing.T) {
		c := &Cluster{Partitions: map[string]Partition{"debug": {Unlimited: true}}}
		wantMissing(t, Analyse(Input{Rows: []*record{job("Partition_Limit")}, Cluster: c}), TimeEfficiency, Unlimited)
	})
	t.Run("raw minutes", func(t *testing.T) {
		r := analyse(t, row("JobID=2", "State=COMPLETED", "ElapsedRaw=150", "TimelimitRaw=5"))
		want(t, r, TimeEfficiency, 50)
	})
}
