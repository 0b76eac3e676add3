package slurmfmt

import (
	"slices"
	"strings"
)

// stateRow is one word of the table: the full word, squeue's compact form and
// the API state.
type stateRow struct {
	word, compact string
	api           APIState
}

// stateRows holds every state of slurm.h up to 25.05 and Ergon's own. A word
// that is absent here is unknown, and the caller keeps the last state.
var stateRows = [...]stateRow{
	{"PENDING", "PD", StatePending},
	{"CONFIGURING", "CF", StatePending},
	{"REQUEUED", "RQ", StatePending},
	{"REQUEUE_FED", "RF", StatePending},
	{"REQUEUE_HOLD", "RH", StatePending},
	{"RESV_DEL_HOLD", "RD", StatePending},
	{"SPECIAL_EXIT", "SE", StatePending}, // requeued and held
	{"POWER_UP_NODE", "PO", StatePending},
	{"RUNNING", "R", StateRunning},
	{"SUSPENDED", "S", StateRunning},
	{"COMPLETING", "CG", StateRunning},
	{"STOPPED", "ST", StateRunning},
	{"SIGNALING", "SI", StateRunning},
	{"STAGE_OUT", "SO", StateRunning},
	{"RESIZING", "RS", StateRunning},
	{"EXPEDITING", "EX", StateRunning},
	{"COMPLETED", "CD", StateDone},
	{"CANCELLED", "CA", StateFailed},
	{"FAILED", "F", StateFailed},
	{"TIMEOUT", "TO", StateFailed},
	{"NODE_FAIL", "NF", StateFailed},
	{"PREEMPTED", "PR", StateFailed},
	{"BOOT_FAIL", "BF", StateFailed},
	{"DEADLINE", "DL", StateFailed},
	{"OUT_OF_MEMORY", "OOM", StateFailed},
	{"LAUNCH_FAILED", "LF", StateFailed},
	{"RECONFIG_FAIL", "RC", StateFailed},
	{"REVOKED", "RV", StateFailed},
	// Ergon's own (design 02).
	{"INTENT", "", StatePending},
	{"SUBMITTING", "", StatePending},
	{"SUBMIT_UNKNOWN", "", StatePending},
	{"AMBIGUOUS", "", StatePending},
	{"REJECTED", "", StateFailed},
	{"LOST", "", StateFailed},
}

func parseState(s string) State {
	st := State{Raw: s}
	word, by, hasBy := strings.Cut(s, " by ")
	if hasBy && word == "CANCELLED" {
		if uid, err := parseID32(by); err == nil {
			st.CancelledBy, st.HasUID = uid, true
		}
	} else {
		word = s
	}
	word, st.Truncated = strings.CutSuffix(word, "+")
	if row, ok := findState(word, st.Truncated); ok {
		st.Word, st.API = row.word, row.api
	}
	return st
}

func findState(word string, truncated bool) (stateRow, bool) {
	for _, row := range stateRows {
		if word != "" && (row.word == word || row.compact == word) {
			return row, true
		}
	}
	const shortestPrefix = 4 // the narrowest column that still tells words apart
	if !truncated || len(word) < shortestPrefix {
		return stateRow{}, false
	}
	return uniquePrefix(stateRows[:], word)
}

func uniquePrefix(rows []stateRow, prefix string) (stateRow, bool) {
	has := func(r stateRow) bool { return strings.HasPrefix(r.word, prefix) }
	first := slices.IndexFunc(rows, has)
	if first < 0 || slices.ContainsFunc(rows[first+1:], has) {
		return stateRow{}, false
	}
	return rows[first], true
}
