package audit

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
)

// Verified is what a check found in order.
type Verified struct {
	Rows   int64
	Chains int
}

// batch is how many rows are read at a time.
const batch = 1000

// eachRow visits the rows of a chain in order, until one visit fails.
func eachRow(ctx context.Context, store Store, chain string, visit func(Row) error) error {
	for after := int64(0); ; {
		rows, err := store.AuditChain(ctx, chain, after, batch)
		if err != nil {
			return fmt.Errorf("reading the audit chain %s: %w", chain, err)
		}
		for _, r := range rows {
			if err := visit(r); err != nil {
				return err
			}
			after = r.Seq
		}
		if len(rows) < batch {
			return nil
		}
	}
}

// Verify reads every chain and holds it to its head and to what the others noted of it. The error names the first row that
// does not fit. It may run beside writers.
func Verify(ctx context.Context, store Store, secret []byte) (Verified, error) {
	v, err := newVault(store, nil, secret)
	if err != nil {
		return Verified{}, err
	}
	c := check{store: store, vault: v, notes: map[string]tip{}}
	chains, err := c.chains(ctx)
	if err != nil {
		return Verified{}, err
	}
	for _, chain := range chains {
		if err := c.chain(ctx, chain); err != nil {
			return c.found, err
		}
	}
	return c.found, c.heldByNotes(ctx)
}

// tip is a place in a chain.
type tip struct {
	seq  int64
	hash string
}

type check struct {
	store Store
	vault vault
	notes map[string]tip // the furthest that others noted of each chain
	found Verified
}

// chains are those with rows and those with a head: one whose rows are all gone has only that.
func (c *check) chains(ctx context.Context) ([]string, error) {
	chains, err := c.store.AuditChains(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the audit chains: %w", err)
	}
	heads, err := c.store.AuditHeads(ctx, 0)
	if err != nil {
		return nil, fmt.Errorf("reading the heads of the audit chains: %w", err)
	}
	for _, h := range heads {
		chains = append(chains, h.Chain)
	}
	slices.Sort(chains)
	return slices.Compact(chains), nil
}

func (c *check) chain(ctx context.Context, chain string) error {
	last, err := c.rows(ctx, chain)
	c.found.Rows += last.Seq
	if err != nil {
		return err
	}
	c.found.Chains++
	head, err := c.store.AuditHead(ctx, chain)
	switch {
	case apperr.Is(err, apperr.NotFound): // also where all rows say that they are of a version without heads: anybody can compute such a chain
		return fmt.Errorf("audit chain %s has no head: it was removed, or the chain was not written by this server", chain)
	case err != nil:
		return fmt.Errorf("reading the head of the audit chain %s: %w", chain, err)
	case !c.vault.genuine(head):
		return fmt.Errorf("audit chain %s: its head at row %d was not signed with this server's secret", chain, head.Seq)
	case head.Seq < last.Seq:
		return fmt.Errorf("audit chain %s breaks at row %d (%s): it stands behind the head, which is row %d", chain, last.Seq, last.ID, head.Seq)
	}
	return c.reaches(ctx, chain, tip{head.Seq, head.Hash})
}

// rows reads a chain to its end and keeps what it notes of others.
func (c *check) rows(ctx context.Context, chain string) (last Row, err error) {
	err = eachRow(ctx, c.store, chain, func(r Row) error {
		if r.Seq != last.Seq+1 || r.PrevHash != last.Hash || r.Hash != r.digest() {
			return fmt.Errorf("audit chain %s breaks at row %d (%s): it was changed, or one before it was removed", chain, r.Seq, r.ID)
		}
		if err := c.keepNotes(r); err != nil {
			return err
		}
		last = r
		return nil
	})
	return last, err
}

// reaches checks that a chain has the row that a head or a note names.
func (c *check) reaches(ctx context.Context, chain string, want tip) error {
	rows, err := c.store.AuditChain(ctx, chain, want.seq-1, 1)
	if err != nil {
		return fmt.Errorf("reading the audit chain %s: %w", chain, err)
	}
	if len(rows) == 0 || rows[0].Seq != want.seq {
		return fmt.Errorf("audit chain %s ends before row %d: its last rows were removed", chain, want.seq)
	}
	if rows[0].Hash != want.hash {
		return fmt.Errorf("audit chain %s breaks at row %d (%s): it is not the row that was signed", chain, want.seq, rows[0].ID)
	}
	return nil
}

func (c *check) keepNotes(r Row) error {
	if r.Action != headsAction {
		return nil
	}
	var noted map[string]string
	if err := json.Unmarshal([]byte(r.Detail), &noted); err != nil {
		return fmt.Errorf("audit chain %s, row %d: the noted heads cannot be read: %w", r.Chain, r.Seq, err)
	}
	for chain, text := range noted {
		number, hash, _ := strings.Cut(text, ":")
		seq, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			return fmt.Errorf("audit chain %s, row %d: a noted head cannot be read: %w", r.Chain, r.Seq, err)
		}
		if seq > c.notes[chain].seq {
			c.notes[chain] = tip{seq, hash}
		}
	}
	return nil
}

func (c *check) heldByNotes(ctx context.Context) error {
	for chain, want := range c.notes {
		if err := c.reaches(ctx, chain, want); err != nil {
			return fmt.Errorf("as another chain noted: %w", err)
		}
	}
	return nil
}
