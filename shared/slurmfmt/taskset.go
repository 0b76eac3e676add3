package slurmfmt

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// ErrTooMany is returned when an expansion would exceed the caller's limit.
var ErrTooMany = errors.New("too many elements to expand")

type taskRange struct{ first, last, step uint64 }

func (r taskRange) count() uint64 { return (r.last-r.first)/r.step + 1 }

// ConcurrentLimit gives the 5 of 123_[1-10%5].
func (id JobID) ConcurrentLimit() (limit uint32, ok bool) {
	n, err := parseID32(id.limit)
	return n, err == nil
}

// TaskCount says how many array tasks the id stands for, without expanding:
// 1 for 123_4, n for a set. truncated reports a set that Slurm itself cut with
// "..." (SLURM_BITSTR_LEN): the count is then a lower bound. 0 without a task.
func (id JobID) TaskCount() (count uint64, truncated bool) {
	if id.hasTask {
		return 1, false
	}
	ranges, truncated, err := parseTaskSet(id.taskSet)
	if err != nil {
		return 0, truncated
	}
	for _, r := range ranges {
		count += r.count()
	}
	return count, truncated
}

// ExpandTasks lists the array tasks in the order written. It returns ErrTooMany
// when there are more than limit, and an error when Slurm cut the set short.
func (id JobID) ExpandTasks(limit int) ([]uint32, error) {
	if id.hasTask {
		return []uint32{id.task}, nil
	}
	count, truncated := id.TaskCount()
	if truncated {
		return nil, errors.New("only the start of this array set was printed; run squeue with -r or set SLURM_BITSTR_LEN=0")
	}
	if limit < 0 || count > uint64(limit) {
		return nil, fmt.Errorf("%w: %d array tasks, limit %d", ErrTooMany, count, limit)
	}
	ranges, _, _ := parseTaskSet(id.taskSet)
	out := make([]uint32, 0, count)
	for _, r := range ranges {
		for n := r.first; n <= r.last; n += r.step {
			out = append(out, uint32(n))
		}
	}
	return out, nil
}

func checkTaskSet(set string) error {
	_, _, err := parseTaskSet(set)
	return err
}

// parseTaskSet reads 1-10, 1,3,5, 0-20:4 and a trailing "..." from a cut set.
func parseTaskSet(set string) (ranges []taskRange, truncated bool, err error) {
	if set == "" {
		return nil, false, errors.New("has an empty array set")
	}
	body, truncated := strings.CutSuffix(set, "...")
	if truncated {
		body = strings.TrimSuffix(body, ",")
	}
	for part := range strings.SplitSeq(body, ",") {
		r, err := parseTaskRange(part)
		if err != nil {
			return nil, truncated, fmt.Errorf("has a bad array set at %s: %w", strconv.Quote(clip(part)), err)
		}
		ranges = append(ranges, r)
	}
	return ranges, truncated, nil
}

func parseTaskRange(s string) (taskRange, error) {
	span, stride, hasStride := strings.Cut(s, ":")
	first, last, isRange := strings.Cut(span, "-")
	lo, err := parseID32(first)
	if err != nil {
		return taskRange{}, err
	}
	r := taskRange{uint64(lo), uint64(lo), 1}
	if isRange {
		hi, err := parseID32(last)
		if err != nil {
			return taskRange{}, err
		}
		r.last = uint64(hi)
	}
	if hasStride {
		n, err := parseID32(stride)
		if err != nil {
			return taskRange{}, err
		}
		r.step = uint64(n)
	}
	if r.last < r.first || r.step == 0 {
		return taskRange{}, errors.New("range runs backwards")
	}
	return r, nil
}
