package slurmfmt

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// PathValues are what a stdout or stderr pattern can refer to. Empty text and nil
// mean "not known".
type PathValues struct {
	JobID       string // %j and the job part of %J: JobIDRaw
	ArrayJobID  string // %A; "" for jobs outside arrays: the job's own id is taken
	ArrayTaskID string // %a; "" for jobs outside arrays
	JobName     string // %x
	User        string // %u
	// Host is %N: the short host name of the batch node as the kernel knows it,
	// which need not be Slurm's node name (seen: vm for node n1).
	Host string
	// Modulo says that this Slurm knows %b (array index modulo 10). 22.05.8 does
	// not and leaves it as it is (tried); recent releases document it.
	Modulo bool
}

// ErrPathPattern is wrapped when a pattern needs a value that is not known.
var ErrPathPattern = errors.New("cannot expand the output path")

// maxPathBytes is PATH_MAX of Linux.
const maxPathBytes = 4096

// DefaultOutput gives the pattern of a job without --output (man sbatch).
func DefaultOutput(array bool) string {
	if array {
		return "slurm-%A_%a.out"
	}
	return "slurm-%j.out"
}

// ExpandPath expands a pattern as slurmstepd does for the batch step (man sbatch,
// filename pattern): %% %A %a %b %J %j %N %n %s %t %u %x, with a zero-padding
// width up to 10 for numbers. A backslash anywhere switches expansion off and is
// removed. The result is untrusted text from the user: relative to WorkDir, and
// to be opened only by a safe walk.
//
// Give it the pattern as submitted. What scontrol show job prints is half expanded,
// and wrongly so for %%j (seen), so a % in it cannot be trusted.
func ExpandPath(pattern string, v PathValues) (string, error) {
	if len(pattern) > maxPathBytes {
		return "", fmt.Errorf("%w: the pattern is longer than %d bytes", ErrPathPattern, maxPathBytes)
	}
	if strings.Contains(pattern, `\`) {
		return strings.ReplaceAll(pattern, `\`, ""), nil
	}
	var b strings.Builder
	for {
		i := strings.IndexByte(pattern, '%')
		if i < 0 {
			b.WriteString(pattern)
			break
		}
		b.WriteString(pattern[:i])
		text, rest, err := v.expandOne(pattern[i:])
		if err != nil {
			return "", err
		}
		b.WriteString(text)
		pattern = rest
	}
	if b.Len() > maxPathBytes || strings.IndexByte(b.String(), 0) >= 0 {
		return "", fmt.Errorf("%w: the result is no possible path", ErrPathPattern)
	}
	return b.String(), nil
}

// expandOne takes one %[width]letter from the front of s.
func (v PathValues) expandOne(s string) (text, rest string, err error) {
	i := 1
	for i < len(s) && s[i] >= '0' && s[i] <= '9' {
		i++
	}
	if i == len(s) {
		return s, "", nil
	}
	text, numeric, known := v.lookup(s[i])
	if !known {
		return s[:i], s[i:], nil // no such letter: it stays as it is
	}
	if text == "" {
		return "", "", fmt.Errorf("%w: the value of %%%c is not known", ErrPathPattern, s[i])
	}
	if numeric {
		text = zeroPad(text, s[1:i])
	}
	return text, s[i+1:], nil
}

func zeroPad(text, width string) string {
	const widest = 10 // MAX_WIDTH in slurmstepd
	n, err := strconv.Atoi(width)
	if err != nil && width != "" {
		n = widest
	}
	n = min(n, widest)
	if len(text) >= n {
		return text
	}
	return strings.Repeat("0", n-len(text)) + text
}

// lookup gives a letter's value; known is false for letters that Slurm has not.
func (v PathValues) lookup(letter byte) (text string, numeric, known bool) {
	switch letter {
	case '%':
		return "%", false, true
	case 'j', 'J': // the batch step prints no step number after %J
		return v.JobID, true, true
	case 'A':
		if v.ArrayJobID == "" {
			return v.JobID, true, true
		}
		return v.ArrayJobID, true, true
	case 'a':
		return v.task(), true, true
	case 'b':
		return v.taskModulo(), true, v.Modulo
	case 'x':
		return v.JobName, false, true
	case 'u':
		return v.User, false, true
	case 'N':
		return v.Host, false, true
	case 'n', 't':
		return "0", true, true
	case 's':
		return "batch", false, true
	}
	return "", false, false
}

// task: outside an array Slurm prints NO_VAL (seen on disk).
func (v PathValues) task() string {
	if v.ArrayTaskID == "" {
		return strconv.FormatUint(noVal32, 10)
	}
	return v.ArrayTaskID
}

func (v PathValues) taskModulo() string {
	n, ok := parsePlain(v.task())
	if !ok {
		return ""
	}
	return strconv.FormatUint(n%10, 10)
}
