// Package helper is the process that acts as the user: it walks, hashes, sends and reads the files of one job, and
// nothing else. The broker talks to it over a socket pair; URLs travel there and never in an argument list.
//
// It is a re-exec of the agent's binary with the user's identity (package spawn), held by Landlock to the job's
// directories. The broker trusts its answers as far as it trusts the user.
package helper

import (
	"errors"
	"io/fs"

	"github.com/ergon-hpc/ergon/agent/internal/collect"
	"github.com/ergon-hpc/ergon/agent/internal/outputs"
	"github.com/ergon-hpc/ergon/agent/internal/safefs"
)

// verb is the closed list of what a helper can be asked.
type verb string

const (
	verbBegin    verb = "begin"
	verbCollect  verb = "collect"
	verbHash     verb = "hash"
	verbHashPart verb = "hash_part"
	verbPut      verb = "put"
	verbTail     verb = "tail"
	// verbSlurm stands in the place of begin: such a helper answers one question and touches no file of the user.
	verbSlurm verb = "slurm"
)

// request is one message to the helper. Offset and Size name the part; a whole file is 0 and Entry.Size.
type request struct {
	ID     uint64            `json:"id"`
	Verb   verb              `json:"verb"`
	Job    *outputs.JobFiles `json:"job,omitempty"`
	Entry  outputs.Entry     `json:"entry"`
	Offset int64             `json:"offset,omitempty"`
	Size   int64             `json:"size,omitempty"`
	Put    *put              `json:"put,omitempty"`
	Slurm  *Question         `json:"slurm,omitempty"`
}

// put is a presigned request on the wire: here the URL is plain text, on a private socket pair.
type put struct {
	URL     string            `json:"url"`
	Headers map[string]string `json:"headers"`
}

// response answers the request with the same ID.
type response struct {
	ID       uint64            `json:"id"`
	Fault    fault             `json:"fault,omitempty"`
	Message  string            `json:"message,omitempty"`
	Store    *StoreError       `json:"store,omitempty"`
	Manifest *outputs.Manifest `json:"manifest,omitempty"`
	Entry    *outputs.Entry    `json:"entry,omitempty"`
	SHA256   string            `json:"sha256,omitempty"`
	Data     []byte            `json:"data,omitempty"`
	Table    *table            `json:"table,omitempty"`
}

// fault names an error that the other side handles by name.
type fault string

const (
	faultOther       fault = "other"
	faultChanged     fault = "changed"
	faultMissing     fault = "missing"
	faultRefused     fault = "refused"
	faultNeedsLogin  fault = "needs_login"
	faultUnsupported fault = "unsupported"
	faultStore       fault = "store"
)

// ErrRefused says that a file is none that may be uploaded: a link, a device, another user's.
var ErrRefused = errors.New("refused")

// ErrFailed says that the helper is well but could not do what it was asked; reading a file failed, for one.
var ErrFailed = errors.New("the helper could not do it")

// faultTable maps errors to faults in the helper, and faults to errors in the broker. The first match counts.
var faultTable = []struct {
	fault fault
	err   error
}{
	{faultChanged, safefs.ErrChanged},
	{faultMissing, fs.ErrNotExist},
	{faultUnsupported, outputs.ErrUnsupported},
	{faultUnsupported, safefs.ErrUnsupported},
	{faultNeedsLogin, outputs.ErrNeedsLogin},
	{faultRefused, ErrRefused},
	{faultRefused, safefs.ErrEscapes},
	{faultRefused, safefs.ErrNotRegular},
	{faultRefused, safefs.ErrNotOwned},
	{faultRefused, safefs.ErrHardLinked},
	{faultRefused, fs.ErrPermission},
}

// failed turns an error into an answer.
func failed(err error) response {
	r := response{Fault: faultOther, Message: err.Error()}
	if store, ok := errors.AsType[*StoreError](err); ok {
		r.Fault, r.Store = faultStore, store
		return r
	}
	for _, row := range faultTable {
		if errors.Is(err, row.err) {
			r.Fault = row.fault
			if row.fault == faultRefused {
				r.Message = collect.Reason(err) // it stands in the manifest, for the user
			}
			break
		}
	}
	return r
}

// remoteError is a fault of the helper, seen by the broker: errors.Is finds what the table says.
type remoteError struct {
	message string
	kind    error
}

func (e *remoteError) Error() string { return e.message }
func (e *remoteError) Unwrap() error { return e.kind }

// err turns an answer back into an error.
func (r response) err() error {
	switch r.Fault {
	case "":
		return nil
	case faultStore:
		if r.Store != nil {
			return r.Store
		}
	}
	for _, row := range faultTable {
		if r.Fault == row.fault {
			return &remoteError{message: r.Message, kind: row.err}
		}
	}
	return &remoteError{message: r.Message, kind: ErrFailed}
}
