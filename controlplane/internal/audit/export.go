package audit

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"
)

// exported is a row as people read it; the words are those of the columns.
type exported struct {
	At         time.Time         `json:"at"`
	Chain      string            `json:"chain"`
	Seq        int64             `json:"seq"`
	ActorKind  string            `json:"actor_kind"`
	ActorID    string            `json:"actor_id"`
	Action     string            `json:"action"`
	Subject    string            `json:"subject"`
	Outcome    string            `json:"outcome"`
	RequestID  string            `json:"request_id"`
	RemoteAddr string            `json:"remote_addr"`
	Detail     map[string]string `json:"detail"`
	Person     string            `json:"person,omitempty"`
	Private    map[string]string `json:"private,omitempty"`
	Forgotten  bool              `json:"forgotten,omitempty"` // the private part is gone with its key
	Hash       string            `json:"hash"`
}

// Export writes every row from a time on as one JSON object a line, chain after chain, and says how many. What was sealed
// is opened, except of persons who were forgotten.
func Export(ctx context.Context, store Store, secret []byte, from time.Time, w io.Writer) (int64, error) {
	v, err := newVault(store, nil, secret)
	if err != nil {
		return 0, err
	}
	chains, err := store.AuditChains(ctx)
	if err != nil {
		return 0, fmt.Errorf("reading the audit chains: %w", err)
	}
	x := exporter{store: store, vault: v, from: from, enc: json.NewEncoder(w)}
	for _, chain := range chains {
		if err := x.chain(ctx, chain); err != nil {
			return x.rows, err
		}
	}
	return x.rows, nil
}

type exporter struct {
	store Store
	vault vault
	from  time.Time
	enc   *json.Encoder
	rows  int64
}

func (x *exporter) chain(ctx context.Context, chain string) error {
	return eachRow(ctx, x.store, chain, func(r Row) error {
		if r.At.Before(x.from) {
			return nil
		}
		if err := x.row(ctx, r); err != nil {
			return fmt.Errorf("exporting row %d of the audit chain %s: %w", r.Seq, chain, err)
		}
		return nil
	})
}

func (x *exporter) row(ctx context.Context, r Row) error {
	out := exported{
		At: r.At, Chain: r.Chain, Seq: r.Seq, ActorKind: r.ActorKind, ActorID: r.ActorID, Action: r.Action, Subject: r.Subject,
		Outcome: r.Outcome, RequestID: r.RequestID, Person: r.Person, Hash: r.Hash,
	}
	if err := json.Unmarshal([]byte(r.Detail), &out.Detail); err != nil {
		return fmt.Errorf("reading the detail: %w", err)
	}
	var err error
	if out.RemoteAddr, err = x.vault.open(ctx, r.owner(), r.ID+" remote_addr", r.RemoteAddr); err != nil {
		return err
	}
	private, err := x.vault.open(ctx, r.Person, r.ID+" sealed", r.Sealed)
	switch {
	case err != nil:
		return err
	case private == Forgotten:
		out.Forgotten = true
	case private != "":
		if err := json.Unmarshal([]byte(private), &out.Private); err != nil {
			return fmt.Errorf("reading the private part: %w", err)
		}
	}
	x.rows++
	return x.enc.Encode(out)
}
