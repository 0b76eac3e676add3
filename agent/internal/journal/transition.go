package journal

import (
	"errors"
	"fmt"
	"slices"
)

// ErrEdge says that a state machine has no such edge.
var ErrEdge = errors.New("no such transition")

// step is the one place where a state changes. Staying where one is, is allowed, except in nothing.
func step[S ~string](m edges[S], from, to S) (S, error) {
	next, known := m[from]
	if !known {
		return from, fmt.Errorf("%w: unknown state %q", ErrEdge, from)
	}
	if from == to && from != "" || slices.Contains(next, to) {
		return to, nil
	}
	return from, fmt.Errorf("%w: %q to %q", ErrEdge, from, to)
}
