// Package audit writes who did what: insert-only rows, each hashed together with the one before it, one chain for each
// process that writes. A row that is changed or taken out breaks its chain at that place; the head of each chain stands
// beside it under a MAC of the server's secret, and in the chains of the other writers, so that rows cut off at the end are
// missed too. Names and addresses are sealed under a key of the person, which ForgetUser destroys.
package audit

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
	"github.com/ergon-hpc/ergon/controlplane/internal/principal"
)

// Store appends and reads rows; it has no way to change one.
type Store interface {
	Appender
	// AuditChain gives a chain's rows in order, at most limit, after the sequence number.
	AuditChain(ctx context.Context, chain string, after int64, limit int) ([]Row, error)
	AuditChains(ctx context.Context) ([]string, error)
	// AuditHeads gives the heads that moved last, newest first, at most limit; 0: all.
	AuditHeads(ctx context.Context, limit int) ([]Head, error)
	// AuditHead is not_found when the chain has none.
	AuditHead(ctx context.Context, chain string) (Head, error)
	Keys
}

// Appender writes rows.
type Appender interface {
	// Atomically runs fn in one transaction that whatever uses its context is part of.
	Atomically(ctx context.Context, fn func(ctx context.Context) error) error
	// AppendAudit inserts the row and moves the head of its chain, in one transaction.
	AppendAudit(ctx context.Context, r Row, head Head) error
}

// Keys keeps the sealed keys of persons, apart from the rows.
type Keys interface {
	// AuditKey is not_found when the person has none, and empty when it was destroyed.
	AuditKey(ctx context.Context, person string) (sealed string, err error)
	// InsertAuditKey stores a key where there is none yet; of two writers one wins.
	InsertAuditKey(ctx context.Context, person, sealed string, now time.Time) error
	// DestroyAuditKey leaves an empty key behind, also where there was none.
	DestroyAuditKey(ctx context.Context, person string, now time.Time) error
}

// Log writes one chain. It is safe for concurrent use; rows are written one after the other.
type Log struct {
	store Store
	now   func() time.Time
	vault vault
	chain string

	mu    sync.Mutex
	seq   int64
	prev  string
	noted time.Time // when the heads of others were last noted
}

// New begins a chain of its own. secret is the server's; every replica has the same.
func New(store Store, now func() time.Time, secret []byte) (*Log, error) {
	v, err := newVault(store, now, secret)
	if err != nil {
		return nil, err
	}
	return &Log{store: store, now: now, vault: v, chain: uuid.NewString()}, nil
}

const (
	// writeTimeout bounds a write, which a caller that went away does not end.
	writeTimeout = 10 * time.Second
	// noteEvery is how long rows at the end of another chain are covered by that chain's own head alone.
	noteEvery = 10 * time.Minute
	// maxNoted bounds a note; the chains that moved last come first.
	maxNoted = 64
)

// Record writes an event and returns when it is stored. After an error nobody knows whether the row is there, so the next
// row begins a chain of its own: a doubt must not stop the log for good.
func (l *Log) Record(ctx context.Context, e Event) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeTimeout)
	defer cancel()
	row, err := l.row(ctx, e)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.noteHeads(ctx); err != nil {
		return err
	}
	return l.append(ctx, row)
}

// RecordWith does an act and writes its event in one transaction: afterwards both are there, or neither. act must use the
// context that it gets and must not record anything itself, for the log is held while it acts: keep it as short as a transaction.
// An error of act comes back as it is. After one of the commit nobody knows whether both are there. A caller that goes away
// before that undoes both.
func (l *Log) RecordWith(ctx context.Context, e Event, act func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := ctx.Err(); err != nil { // it went away while it waited: nothing begins for it
		return apperr.Wrap(apperr.Busy, "the call was given up before its turn came; try again", err)
	}
	if err := l.noteHeadsWhole(ctx); err != nil {
		return err
	}
	var row Row
	written := false
	err := l.store.Atomically(ctx, func(ctx context.Context) (err error) {
		if err := act(ctx); err != nil {
			return err
		}
		if row, err = l.row(ctx, e); err != nil { // in the transaction: of an act that fails no key of a person stays
			return err
		}
		row = l.next(row)
		if err := l.store.AppendAudit(ctx, row, l.vault.head(row)); err != nil {
			return fmt.Errorf("writing the audit row: %w", err)
		}
		written = true
		return nil
	})
	if !written {
		return err // and the row is not there: the chain goes on
	}
	return l.advance(row, err)
}

// noteHeadsWhole is noteHeads for a caller that may go away: its row is written whole or not at all, so that no doubt begins
// another chain.
func (l *Log) noteHeadsWhole(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeTimeout)
	defer cancel()
	return l.noteHeads(ctx)
}

func (l *Log) append(ctx context.Context, row Row) error {
	row = l.next(row)
	return l.advance(row, l.store.AppendAudit(ctx, row, l.vault.head(row)))
}

// next gives a row its place at the end of the chain.
func (l *Log) next(row Row) Row {
	row.Chain, row.Seq, row.PrevHash, row.Version = l.chain, l.seq+1, l.prev, rowVersion
	row.Hash = row.digest()
	return row
}

// advance makes a row that was written the end of the chain, or begins another when it is not known whether it was.
func (l *Log) advance(row Row, err error) error {
	if err != nil {
		l.chain, l.seq, l.prev = uuid.NewString(), 0, ""
		return fmt.Errorf("writing the audit row: %w", err)
	}
	l.seq, l.prev = row.Seq, row.Hash
	return nil
}

// headsAction marks a row whose detail names the heads of other chains: chain → "seq:hash".
const headsAction = "audit.heads"

// noteHeads writes the heads of the other chains into this one: when this one begins, and now and then.
func (l *Log) noteHeads(ctx context.Context) error {
	now := l.now()
	if l.seq > 0 && now.Sub(l.noted) < noteEvery {
		return nil
	}
	heads, err := l.store.AuditHeads(ctx, maxNoted)
	if err != nil {
		return fmt.Errorf("reading the heads of the audit chains: %w", err)
	}
	l.noted = now
	detail := map[string]string{}
	for _, h := range heads {
		if h.Chain != l.chain && l.vault.genuine(h) {
			detail[h.Chain] = fmt.Sprintf("%d:%s", h.Seq, h.Hash)
		}
	}
	if len(detail) == 0 {
		return nil
	}
	text, err := json.Marshal(detail)
	if err != nil {
		return fmt.Errorf("encoding the heads of the audit chains: %w", err)
	}
	return l.append(ctx, Row{
		ID: uuid.NewString(), At: now.UTC().Truncate(time.Microsecond), ActorKind: serverKind, Action: headsAction, Outcome: OK, Detail: string(text),
	})
}

func (l *Log) row(ctx context.Context, e Event) (Row, error) {
	o := principal.OriginFrom(ctx)
	row := Row{
		ID: uuid.NewString(), At: l.now().UTC().Truncate(time.Microsecond),
		Action: e.Action, Subject: e.Subject, Outcome: e.Outcome, RequestID: o.RequestID,
	}
	p, known := principal.From(ctx)
	row.ActorKind, row.ActorID = actor(p, known, o, e)
	detail, err := json.Marshal(joined(e.Detail, "credential", p.Credential()))
	if err != nil {
		return Row{}, fmt.Errorf("encoding the audit detail: %w", err)
	}
	row.Detail = string(detail)
	for name, value := range p.Private {
		e.Private = joined(e.Private, name, value)
	}
	err = l.sealRow(ctx, &row, o, e)
	return row, err
}

// serverKind is what the server does by itself: no request asked for it.
const serverKind = "server"

func actor(p principal.Principal, known bool, o principal.Origin, e Event) (kind, id string) {
	switch {
	case known:
		return string(p.Kind), p.ID
	case e.Actor != "":
		return string(principal.User), e.Actor
	case o == principal.Origin{}:
		return serverKind, ""
	}
	return string(principal.Anonymous), ""
}

// joined is a copy with one member more, when there is a value for it.
func joined(m map[string]string, name, value string) map[string]string {
	out := make(map[string]string, len(m)+1)
	maps.Copy(out, m)
	if value != "" {
		out[name] = value
	}
	return out
}

// sealRow fills what only the person's key opens.
func (l *Log) sealRow(ctx context.Context, row *Row, o principal.Origin, e Event) error {
	var err error
	if o.IP.IsValid() {
		if row.RemoteAddr, err = l.vault.seal(ctx, row.owner(), row.ID+" remote_addr", []byte(o.IP.String())); err != nil {
			return err
		}
	}
	if len(e.Private) == 0 {
		return nil
	}
	private, err := json.Marshal(e.Private)
	if err != nil {
		return fmt.Errorf("encoding the audit detail: %w", err)
	}
	if row.Person = e.Person; row.Person == "" {
		row.Person = row.owner()
	}
	row.Sealed, err = l.vault.seal(ctx, row.Person, row.ID+" sealed", private)
	return err
}
