package daemon

import "testing"

func TestAGrowingQueueToSlurmdbdIsPressure(t *testing.T) {
	t.Parallel()
	var p pressure
	for i, step := range []struct {
		waiting int64
		behind  bool
	}{{500, false}, {500, false}, {501, true}, {501, true}, {900, true}, {899, false}, {899, false}, {900, true}, {0, false}, {1, true}, {0, false}} {
		if got := p.note(step.waiting); got != step.behind {
			t.Errorf("step %d, %d wait: %v", i, step.waiting, got)
		}
	}
}
