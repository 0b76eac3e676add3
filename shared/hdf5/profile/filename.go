package profile

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// FileName is what the name of a profile file says.
type FileName struct {
	JobID  uint32 // Slurm's own number, also for array tasks and het components
	Step   string // "batch", "interactive", "extern" or the number of the step; empty when Merged
	Node   string // empty when Merged
	Merged bool   // `job_<jobid>.h5`, the default output of sh5util
}

// ErrFileName says that a name is not one that Slurm gives to a profile.
var ErrFileName = errors.New("not the name of a Slurm profile (want <jobid>_<step>_<node>.h5 or job_<jobid>.h5)")

// ParseFileName reads `<jobid>_<step>_<node>.h5` or `job_<jobid>.h5`, a base name
// without folders. Only the first two underscores separate, a node may contain
// more. Slurm's reserved step numbers (slurm.h) become their names.
func ParseFileName(base string) (FileName, error) {
	stem, ok := strings.CutSuffix(base, ".h5")
	parts := strings.SplitN(stem, "_", 3)
	if !ok || len(parts) < 2 {
		return FileName{}, fmt.Errorf("%q: %w", base, ErrFileName)
	}
	if parts[0] == "job" && len(parts) == 2 {
		id, ok := decimal(parts[1])
		if !ok || id == 0 {
			return FileName{}, fmt.Errorf("%q: job id: %w", base, ErrFileName)
		}
		return FileName{JobID: id, Merged: true}, nil
	}
	id, ok := decimal(parts[0])
	if !ok || id == 0 || len(parts) != 3 {
		return FileName{}, fmt.Errorf("%q: job id: %w", base, ErrFileName)
	}
	step, ok := stepName(parts[1])
	if !ok {
		return FileName{}, fmt.Errorf("%q: step: %w", base, ErrFileName)
	}
	if !isNodeName(parts[2]) {
		return FileName{}, fmt.Errorf("%q: node: %w", base, ErrFileName)
	}
	return FileName{JobID: id, Step: step, Node: parts[2]}, nil
}

// stepName maps the reserved numbers of slurm.h: SLURM_EXTERN_CONT 0xfffffffc,
// SLURM_BATCH_SCRIPT 0xfffffffb, SLURM_INTERACTIVE_STEP 0xfffffffa.
func stepName(s string) (string, bool) {
	switch s {
	case "batch", "extern", "interactive":
		return s, true
	}
	n, ok := decimal(s)
	switch {
	case !ok:
		return "", false
	case n == 0xfffffffc:
		return "extern", true
	case n == 0xfffffffb:
		return "batch", true
	case n == 0xfffffffa:
		return "interactive", true
	}
	return s, n < 0xfffffffa
}

// decimal accepts plain digits without sign or leading zeros.
func decimal(s string) (uint32, bool) {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil || strconv.FormatUint(n, 10) != s {
		return 0, false
	}
	return uint32(n), true
}

func isNodeName(s string) bool {
	if s == "" || len(s) > 255 || s[0] == '.' || s[0] == '-' {
		return false
	}
	for _, r := range s {
		word := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		if !word && r != '-' && r != '_' && r != '.' {
			return false
		}
	}
	return true
}
