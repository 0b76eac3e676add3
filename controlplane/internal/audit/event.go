package audit

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"time"
)

// Event is what a feature wants recorded. Never put a secret or a token into it.
type Event struct {
	Actor   string            // user id, when the context does not know the caller yet (login); else empty
	Action  string            // noun.verb: session.login
	Subject string            // what it was done to, an id
	Outcome string            // OK or an error code
	Detail  map[string]string // small and bounded, in clear: ids, numbers, words of ours
	Private map[string]string // small and bounded: names of people and of their things; stored under the key of Person
	Person  string            // user id that Private is about; empty: the actor
}

// OK is the outcome of an act that worked.
const OK = "ok"

// Row is an event as it is stored.
type Row struct {
	ID         string
	Chain      string
	Seq        int64
	Version    int
	PrevHash   string
	Hash       string
	At         time.Time
	ActorKind  string
	ActorID    string
	Action     string
	Subject    string
	Outcome    string
	RequestID  string
	RemoteAddr string // sealed under the actor's key
	Detail     string // JSON
	Person     string
	Sealed     string // JSON, sealed under the key of Person
}

// Head is the last row of a chain, as its writer vouches for it.
type Head struct {
	Chain string
	Seq   int64
	Hash  string
	MAC   string
	At    time.Time
}

// rowVersion is what is written today. Rows of version 1 had names and addresses in clear.
const rowVersion = 2

// digest covers every column, each with its length in front, so that no two rows read alike.
func (r Row) digest() string {
	parts := []string{
		r.PrevHash, r.ID, r.Chain, strconv.FormatInt(r.Seq, 10), strconv.FormatInt(r.At.UnixMicro(), 10),
		r.ActorKind, r.ActorID, r.Action, r.Subject, r.Outcome, r.RequestID, r.RemoteAddr, r.Detail,
	}
	if r.Version > 1 || r.Person != "" || r.Sealed != "" {
		parts = append(parts, strconv.Itoa(r.Version), r.Person, r.Sealed)
	}
	h := sha256.New()
	for _, s := range parts {
		fmt.Fprintf(h, "%d:%s", len(s), s)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// nobody is whose key covers what belongs to no account: the address of somebody who is not known yet.
const nobody = "anonymous"

// owner is the person whose key covers the address of a row.
func (r Row) owner() string {
	if r.ActorID == "" {
		return nobody
	}
	return r.ActorID
}
