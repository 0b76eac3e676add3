package slurmfmt

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// ErrJobID is wrapped by every error of ParseJobID.
var ErrJobID = errors.New("not a Slurm job id")

// maxJobIDBytes bounds an id: Slurm's own bracket text stops at 64 characters by
// default (SLURM_BITSTR_LEN) but may be configured to be long.
const maxJobIDBytes = 1 << 16

func parseJobID(s string) (JobID, error) {
	if len(s) > maxJobIDBytes {
		return JobID{}, badJobID(s, "is too long")
	}
	job, step, hasStep := cutStep(s)
	id, err := parseJobPart(job)
	if err != nil {
		return JobID{}, badJobID(s, err.Error())
	}
	if hasStep {
		if id.step, err = parseStep(step); err != nil {
			return JobID{}, badJobID(s, err.Error())
		}
	}
	return id, nil
}

// cutStep splits at the first dot behind the brackets, inside which "..." may stand.
func cutStep(s string) (job, step string, ok bool) {
	end := strings.LastIndexByte(s, ']') + 1
	job, step, ok = strings.Cut(s[end:], ".")
	return s[:end+len(job)], step, ok
}

func badJobID(s, why string) error {
	return fmt.Errorf("%w: %q %s", ErrJobID, clip(s), why)
}

func parseJobPart(s string) (id JobID, err error) {
	head, het, hasHet := cutHet(s)
	if hasHet {
		if id.het, err = parseID32(het); err != nil {
			return JobID{}, fmt.Errorf("has a bad het component: %w", err)
		}
		id.hasHet = true
	}
	base, task, hasTask := strings.Cut(head, "_")
	if id.base, err = parseDigits(base); err != nil || id.base == 0 {
		return JobID{}, errors.New("does not start with a job number")
	}
	if hasTask {
		err = id.setTask(task)
	}
	return id, err
}

// cutHet splits at the + that follows the task part; a + inside brackets is no
// het separator.
func cutHet(s string) (head, het string, ok bool) {
	i := strings.LastIndexByte(s, '+')
	if i < 0 || i < strings.LastIndexByte(s, ']') {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}

func (id *JobID) setTask(task string) (err error) {
	if !strings.HasPrefix(task, "[") {
		if id.task, err = parseID32(task); err != nil {
			return fmt.Errorf("has a bad array task: %w", err)
		}
		id.hasTask = true
		return nil
	}
	body, ok := strings.CutSuffix(task[1:], "]")
	if !ok {
		return errors.New("has an array set without its closing bracket")
	}
	set, limit, hasLimit := strings.Cut(body, "%")
	if hasLimit {
		if _, err := parseID32(limit); err != nil {
			return fmt.Errorf("has a bad array limit: %w", err)
		}
	}
	id.taskSet, id.limit = set, limit
	return checkTaskSet(set)
}

func parseStep(s string) (step Step, err error) {
	name, het, hasHet := strings.Cut(s, "+")
	if hasHet {
		if step.het, err = parseID32(het); err != nil {
			return Step{}, fmt.Errorf("has a bad het component in its step: %w", err)
		}
		step.hasHet = true
	}
	switch name {
	case "batch", "extern", "interactive":
	default:
		if _, err := parseID32(name); err != nil {
			return Step{}, fmt.Errorf("has an unknown step: %w", err)
		}
	}
	step.name = name
	return step, nil
}

// parseDigits accepts canonical decimal digits only: no sign, no leading zero,
// so that text and value stay one to one.
func parseDigits(s string) (uint64, error) {
	if s == "" || (len(s) > 1 && s[0] == '0') {
		return 0, errors.New("number expected")
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, errors.New("number expected")
		}
	}
	n, err := strconv.ParseUint(s, 10, 63)
	if err != nil {
		return 0, errors.New("number too large")
	}
	return n, nil
}

func parseID32(s string) (uint32, error) {
	n, err := parseDigits(s)
	if err != nil {
		return 0, err
	}
	if n > math.MaxUint32 {
		return 0, errors.New("number too large")
	}
	return uint32(n), nil
}

// clip shortens untrusted text for an error message.
func clip(s string) string {
	const most = 80
	if len(s) <= most {
		return s
	}
	return s[:most] + "…"
}

// String prints the id exactly as Slurm does; ParseJobID(id.String()) == id.
func (id JobID) String() string {
	if id.IsZero() {
		return ""
	}
	b := strconv.AppendUint(make([]byte, 0, 32), id.base, 10)
	b = id.appendTask(b)
	if id.hasHet {
		b = strconv.AppendUint(append(b, '+'), uint64(id.het), 10)
	}
	if !id.step.IsZero() {
		b = append(append(b, '.'), id.step.String()...)
	}
	return string(b)
}

func (id JobID) appendTask(b []byte) []byte {
	switch {
	case id.hasTask:
		return strconv.AppendUint(append(b, '_'), uint64(id.task), 10)
	case id.taskSet == "":
		return b
	}
	b = append(append(b, "_["...), id.taskSet...)
	if id.limit != "" {
		b = append(append(b, '%'), id.limit...)
	}
	return append(b, ']')
}

// String prints the step without the dot: "batch", "0", "0+1"; "" for no step.
func (s Step) String() string {
	if !s.hasHet {
		return s.name
	}
	return s.name + "+" + strconv.FormatUint(uint64(s.het), 10)
}
