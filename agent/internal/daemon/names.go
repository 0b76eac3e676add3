package daemon

import (
	"context"
	"sync"
	"time"

	"github.com/ergon-hpc/ergon/agent/internal/journal"
)

// How long an answer of the name service is believed. One that did not come is not waited for again at once.
const (
	nameLife    = 5 * time.Minute
	failureLife = 30 * time.Second
)

// names asks for users' names, and remembers the answers and the failures for a while. A submission never waits for the
// name service: it takes what is remembered.
type names struct {
	ask func(ctx context.Context, uid uint32) (string, error)
	now func() time.Time

	mu    sync.Mutex
	known map[uint32]named
}

type named struct {
	name string // kept when a later question fails
	err  error
	at   time.Time
}

func newNames(ask func(context.Context, uint32) (string, error), now func() time.Time) *names {
	return &names{ask: ask, now: now, known: map[uint32]named{}}
}

// remembered is a uid's name as it was last heard, however long ago, and whether that is fresh. It never blocks.
func (n *names) remembered(uid uint32) (name string, fresh bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	k, heard := n.known[uid]
	return k.name, heard && n.fresh(k)
}

func (n *names) fresh(k named) bool {
	life := nameLife
	if k.err != nil {
		life = failureLife
	}
	return n.now().Sub(k.at) < life
}

// of gives a uid's name, and asks when it is not remembered.
func (n *names) of(ctx context.Context, uid uint32) (string, error) {
	n.mu.Lock()
	k, heard := n.known[uid]
	n.mu.Unlock()
	if heard && n.fresh(k) {
		return k.name, k.err
	}
	name, err := n.ask(ctx, uid)
	if err != nil && ctx.Err() != nil {
		return "", err // the asker went away: that says nothing of the name service
	}
	if err != nil {
		name = k.name
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.known[uid] = named{name: name, err: err, at: n.now()}
	return name, err
}

// nameLater has the user of a submission named after its commit. When too many wait, the next submission asks again.
func (d *Daemon) nameLater(s journal.Submission) {
	if _, fresh := d.names.remembered(s.UID); fresh {
		return
	}
	select {
	case d.unnamed <- s:
	default:
	}
}

// nameLoop asks the name service for what nobody waits for, and writes the name into a row that has none.
func (d *Daemon) nameLoop(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case s := <-d.unnamed:
			d.name(ctx, s)
		}
	}
}

func (d *Daemon) name(ctx context.Context, s journal.Submission) {
	name, err := d.names.of(ctx, s.UID)
	if err == nil && s.User == "" {
		_, err = d.journal.PutSubmission(ctx, s.ID, "", func(s *journal.Submission) { s.User = name })
	}
	if err != nil && ctx.Err() == nil {
		d.opt.Log.Warn("a user's name is not known", "uid", s.UID, "error", err)
	}
}
