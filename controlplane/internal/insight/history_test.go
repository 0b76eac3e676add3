package insight

import (
	"context"
	"testing"

	"github.com/ergon-hpc/ergon/shared/advice"
	"github.com/ergon-hpc/ergon/shared/efficiency"
)

// many is an archive with more runs of one work than advice is made of.
type many struct {
	memory
	read int
}

func (a *many) EachReport(_ context.Context, _ Selection, fn func(Known) error) error {
	for range maxRuns + 3 {
		a.read++
		if err := fn(Known{Report: efficiency.Report{Job: efficiency.Job{Name: "fit"}}}); err != nil {
			return err
		}
	}
	return nil
}

func TestNoMoreReportsAreReadThanAdviceIsMadeOf(t *testing.T) {
	a := &many{}
	target := advice.TargetOf(advice.Run{Report: efficiency.Report{Job: efficiency.Job{Name: "fit"}}})
	runs, newest, err := (&Service{archive: a}).runs(t.Context(), target, Selection{})
	if err != nil || len(runs) != maxRuns || newest == nil || a.read != maxRuns {
		t.Errorf("%d runs of %d reports, newest %v, %v", len(runs), a.read, newest, err)
	}
}
