// Package repeat says what is kept of a request that carried an Idempotency-Key (design 03, T29): hashes of the key and of the
// request, whether it is done, with which status, and the id of what it made. Never an answer, which may hold a secret.
package repeat

import (
	"context"
	"time"
)

// Call names one use of a key.
type Call struct {
	Caller      string // kind and id of who called
	Route       string // the operation
	KeyHash     string
	Fingerprint string // of method, path, query and body
}

// State is how far an earlier call with the key came.
type State int

// The states.
const (
	New      State = iota // nobody made it before: it is ours now
	Lost                  // it was begun and its outcome is not known: it is ours now
	InFlight              // it is under way
	Done                  // Status and ResourceID say with what
	Other                 // the key was used for another request
)

// Record is what is kept of a call.
type Record struct {
	State      State
	Status     int    // of HTTP
	ResourceID string // of what it made; may be empty
}

// Store remembers calls for a while.
type Store interface {
	// BeginCall takes the key for this call, or says what became of the one that has it. Of callers at once one gets it.
	// lease is how long the call may be under way, life how long its outcome is remembered.
	BeginCall(ctx context.Context, c Call, now time.Time, lease, life time.Duration) (Record, error)
	// EndCall notes the outcome.
	EndCall(ctx context.Context, c Call, r Record) error
	// DropCall forgets a call that had no effect.
	DropCall(ctx context.Context, c Call) error
	// ReleaseCall lets the next one with the key find out what became of this one, at once.
	ReleaseCall(ctx context.Context, c Call, now time.Time) error
}
