package upload

import (
	"context"
	"fmt"

	"github.com/ergon-hpc/ergon/agent/internal/collect"
	"github.com/ergon-hpc/ergon/agent/internal/outputs"
)

// URLs live for minutes: no more is asked for ahead than is sent in that time, even on a slow link.
const (
	aheadFiles = 32       // files that are asked for in one call
	aheadBytes = 64 << 20 // what they, or the parts that are asked for in one call, may hold together
	aheadFile  = 8 << 20  // larger files are asked for one by one: a call more does not count there
)

// task is a file that a goroutine works on, with the ticket that was got for it ahead.
type task struct {
	entry  *outputs.Entry
	row    outputs.FileRow
	ticket *outputs.Ticket // nil: it has to be asked for
}

// feed hands out what is to be sent: small files in groups for which tickets were got in one call.
func (r *run) feed(ctx context.Context, work chan<- task, entries []outputs.Entry, known map[outputs.FileKey]outputs.FileRow) error {
	defer close(work)
	var group []task
	var held int64
	flush := func() error {
		err := r.ahead(ctx, group)
		for _, t := range group {
			hand(ctx, work, t)
		}
		group, held = nil, 0
		return err
	}
	for i := range entries {
		if entries[i].Status != outputs.StatusFound {
			continue
		}
		t := task{entry: &entries[i], row: known[r.key(entries[i])]}
		if t.row.State == outputs.FileVerified || t.entry.Size > aheadFile {
			hand(ctx, work, t)
			continue
		}
		group, held = append(group, t), held+t.entry.Size
		if len(group) == aheadFiles || held >= aheadBytes {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}

func hand(ctx context.Context, work chan<- task, t task) {
	select {
	case work <- t:
	case <-ctx.Done():
	}
}

// ahead hashes the files of a group and gets their tickets. A file that cannot be hashed, and a group that the server refuses
// whole, are left to the way on which each is asked for by itself: there it turns out whom it concerns. The error is one of
// the journal.
func (r *run) ahead(ctx context.Context, group []task) error {
	var asked []*task
	var entries []outputs.Entry
	for i := range group {
		if len(group) == 1 || ctx.Err() != nil {
			return nil //nolint:nilerr // there is nothing to gain; the goroutines say why it ends
		}
		t := &group[i]
		hashed, err := r.hash(ctx, *t.entry, t.row)
		if err != nil {
			continue
		}
		*t.entry = hashed
		if err := r.advance(ctx, hashed, outputs.Step{To: outputs.FileHashed, Entry: t.entry}); err != nil {
			return fmt.Errorf("uploading %q: %w", t.entry.Path, err)
		}
		asked, entries = append(asked, t), append(entries, hashed)
	}
	if len(entries) == 0 {
		return nil
	}
	tickets, err := r.env.Tickets.Presign(ctx, r.job, entries)
	if err != nil || len(tickets) != len(entries) {
		return nil //nolint:nilerr // they are asked for one by one
	}
	for i := range asked {
		asked[i].ticket = &tickets[i]
	}
	return nil
}

// hash gives the entry its digest. A row of the journal saves the work when the file is still what was hashed.
func (r *run) hash(ctx context.Context, e outputs.Entry, row outputs.FileRow) (outputs.Entry, error) {
	if row.Entry.SHA256 != "" && collect.Same(row.Entry, e) {
		e.SHA256 = row.Entry.SHA256
		return e, nil
	}
	return r.helper.Hash(ctx, e)
}
