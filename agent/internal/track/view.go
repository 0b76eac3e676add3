package track

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/ergon-hpc/ergon/agent/internal/journal"
	"github.com/ergon-hpc/ergon/agent/internal/slurm"
)

// View is whom Slurm is asked as. With PrivateData Slurm leaves other users' rows out without a word, so that what a view
// does not show proves something about the jobs of those alone whom it shows (design 02).
type View struct {
	// User is asked about, as himself; "" asks as the agent for everything that it may see.
	User string
	UID  uint32
	// All says that every job that is tracked here would be shown by squeue.
	All bool
	// Doubtful says that slurmdbd may hide what squeue shows: then nothing is given up for being absent from accounting.
	Doubtful bool
}

// through is where the journal keeps how far accounting was read with this view.
func (v View) through() string {
	if v.All || v.User == "" {
		return metaThrough
	}
	return metaThrough + ":" + strconv.FormatUint(uint64(v.UID), 10)
}

// queue asks squeue by each view of this cycle and piles up what the whole answers show. A view that does not answer, or
// breaks off, hides its users, no more; none is an error.
func (t *Tracker) queue(ctx context.Context, rows *pile) (slurm.Table, error) {
	views := []View{{All: true}}
	if t.opt.Views != nil {
		views = t.opt.Views(ctx)
	}
	t.views = t.views[:0]
	var all slurm.Table
	var faults []error
	for _, v := range views {
		before := rows.mark()
		table, err := t.opt.Slurm.EachQueued(ctx, v.User, rows.add)
		if err != nil {
			rows.cut(before)
			faults = append(faults, fmt.Errorf("asking squeue%s: %w", v.as(), err))
			continue
		}
		t.views = append(t.views, v)
		t.tell(func(s *Status) { s.Answered = t.opt.Now() })
		all.Bad, all.BadText = all.Bad+table.Bad, append(all.BadText, table.BadText...)
	}
	if len(t.views) == 0 && len(views) > 0 {
		return slurm.Table{}, errors.Join(faults...)
	}
	for _, err := range faults {
		t.opt.Log.Warn("one user's jobs are not seen in this cycle", "error", err)
	}
	return all, nil
}

func (v View) as() string {
	if v.User == "" || v.All {
		return ""
	}
	return " as " + v.User
}

// sees says that a job of uid would have been shown in this cycle. Whose jobs are hidden, of those nothing is concluded.
func (t *Tracker) sees(uid uint32) bool {
	_, ok := t.viewOf(uid)
	return ok
}

func (t *Tracker) viewOf(uid uint32) (View, bool) {
	for _, v := range t.views {
		if v.All || v.User != "" && v.UID == uid {
			return v, true
		}
	}
	return View{}, false
}

// counts says that accounting would have shown a job of uid too, so that its absence means something.
func (t *Tracker) counts(uid uint32) bool {
	v, ok := t.viewOf(uid)
	return ok && !v.Doubtful
}

// staleUnseen notes since when nothing is known of the jobs that no view of this cycle would have shown.
func (t *Tracker) staleUnseen(ctx context.Context, alive map[journal.JobKey]bool) error {
	for _, v := range t.views {
		if v.All {
			return nil
		}
	}
	return t.markStale(ctx, alive)
}
