package efficiency

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestTheWorstJobsOfARuleAreTheMostWastefulWhateverCameFirst(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		wastes := rapid.SliceOfNDistinct(rapid.IntRange(0, 1<<20), 1, 40, rapid.ID).Draw(t, "wasted core seconds")
		var sum FindingAdder
		total := 0.0
		for i, w := range wastes {
			total += float64(w)
			sum.Add(&Report{Job: Job{JobID: itoa(int64(i))}, Findings: []Finding{{Rule: RuleIdleGPU, Text: itoa(int64(i)), Wasted: Wasted{CoreS: float64(w)}}}})
		}
		order := make([]int, len(wastes))
		for i := range order {
			order[i] = i
		}
		slices.SortFunc(order, func(a, b int) int { return wastes[b] - wastes[a] })
		got := sum.Rules()
		if len(got) != 1 || got[0].Jobs != len(wastes) || got[0].Wasted.CoreS != total || len(got[0].Worst) != min(maxWorst, len(wastes)) {
			t.Fatalf("%+v", got)
		}
		for i, job := range got[0].Worst {
			if job != itoa(int64(order[i])) {
				t.Fatalf("worst %v, in order of waste %v", got[0].Worst, order)
			}
		}
		if got[0].Text != got[0].Worst[0] {
			t.Fatalf("the text %q is not that of the worst job %q", got[0].Text, got[0].Worst[0])
		}
	})
}

func TestNothingAddedIsNoRule(t *testing.T) {
	var sum FindingAdder
	if got := sum.Rules(); got == nil || len(got) != 0 {
		t.Errorf("%+v", got)
	}
	if got := NewAdder().Totals(); got.Jobs != 0 || got.Metrics[CPUEfficiency].Value != nil {
		t.Errorf("%+v", got)
	}
}
