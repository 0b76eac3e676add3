package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/ergon-hpc/ergon/agent/internal/cloud"
	"github.com/ergon-hpc/ergon/agent/internal/journal"
	"github.com/ergon-hpc/ergon/agent/internal/socket"
	"github.com/ergon-hpc/ergon/agent/internal/submit"
	"github.com/ergon-hpc/ergon/shared/api"
	"github.com/google/uuid"
)

const metaLinks = "links"

// loadLinks takes up the links that the server told last, so that a restart without a server knows them.
func (d *Daemon) loadLinks(ctx context.Context) error {
	text, err := d.journal.Meta(ctx, metaLinks)
	if err != nil || text == "" {
		return err
	}
	var links []api.Link
	if err := json.Unmarshal([]byte(text), &links); err != nil {
		return nil //nolint:nilerr // the server will tell them again
	}
	known := byUID(links)
	d.links.Store(known)
	d.settled = known
	return nil
}

func byUID(links []api.Link) *map[uint32]api.Link {
	m := make(map[uint32]api.Link, len(links))
	for _, l := range links {
		if l.Uid >= 0 && l.Uid <= 1<<32-1 {
			m[uint32(l.Uid)] = l
		}
	}
	return &m
}

// linked tells whether a uid has an account; known is false before the server was asked.
func (d *Daemon) linked(uid uint32) (linked, known bool) {
	if !d.opt.System {
		return uid == d.opt.Self.UID && d.id.Load() != nil, true // a user's own agent acts for its owner
	}
	links := d.links.Load()
	if links == nil {
		return false, false
	}
	return active(*links, uid), true
}

// active says that a uid is linked and its link is not suspended.
func active(links map[uint32]api.Link, uid uint32) bool {
	l, ok := links[uid]
	return ok && (l.Suspended == nil || !*l.Suspended)
}

// tell says whether events of uid are made; until the server has been asked they are, and the server decides.
func (d *Daemon) tell(uid uint32) bool {
	linked, known := d.linked(uid)
	return linked || !known
}

// uploads says whether outputs of uid are collected.
func (d *Daemon) uploads(uid uint32) bool {
	linked, _ := d.linked(uid)
	return linked && d.uploadsEnabled() && !d.revoked.Load()
}

// mayUpload is uploads, as long as it is not known who is linked.
func (d *Daemon) mayUpload(uid uint32) bool {
	_, known := d.linked(uid)
	return d.uploads(uid) || !known && d.uploadsEnabled()
}

// uploadsEnabled is the node's switch for level 2.
func (d *Daemon) uploadsEnabled() bool {
	if d.opt.Worker == nil {
		return false
	}
	if set := d.opt.Config.Uploads.Enabled; set != nil {
		return *set
	}
	return !d.opt.System
}

// selfEvery is how often the server is asked for the links; a revoked key is noticed within 30 s.
const selfEvery = 20 * time.Second

// serverLoop waits for enrolment, then keeps links and revocation up to date.
func (d *Daemon) serverLoop(ctx context.Context) error {
	tried := map[uuid.UUID]int{}
	for {
		if err := d.attend(ctx); err != nil && ctx.Err() == nil {
			d.opt.Log.Warn("asking the control plane", "error", err)
		}
		d.flushSpool(ctx)
		if err := d.fetchKept(ctx, tried); err != nil && ctx.Err() == nil {
			d.opt.Log.Warn("looking for what wrappers have kept", "error", err)
		}
		wait := selfEvery
		if d.client.Load() == nil {
			wait = 2 * time.Second
		}
		if !sleep(ctx, wait) {
			return nil
		}
	}
}

// flushSpool takes in what the wrapper kept while this agent was away. The agent of a user reads it here; the
// node's agent asks for single files of it (fetchKept).
func (d *Daemon) flushSpool(ctx context.Context) {
	if d.opt.System {
		return
	}
	c, err := socket.Find(ctx, func(string) string { return d.opt.Config.Socket })
	if err != nil {
		return // the socket is not served yet, or no longer
	}
	defer c.Close()
	submit.FlushSpool(ctx, d.opt.Config.StateDir, c)
}

func (d *Daemon) refreshLinks(ctx context.Context) error {
	c := d.client.Load()
	if c == nil {
		return nil
	}
	self, err := c.Self(ctx)
	d.noteRevoked(errors.Is(err, cloud.ErrRevoked))
	if err != nil {
		return err
	}
	if offset, ok := c.Skew(); ok && offset.Abs() > 2*time.Minute {
		d.opt.Log.Error("this node's clock is off; no presigned URL is used", "server_minus_here", offset)
	}
	data, err := json.Marshal(self.Links)
	if err != nil {
		return fmt.Errorf("encoding the links: %w", err)
	}
	return d.takeLinks(ctx, byUID(self.Links), string(data))
}

// takeLinks acts on new links and only then stores them: after a kill, or a failure, in between the difference is still
// there, and the next answer of the server is acted on again.
func (d *Daemon) takeLinks(ctx context.Context, links *map[uint32]api.Link, text string) error {
	d.linking.Lock()
	defer d.linking.Unlock()
	d.links.Store(links)
	if err := d.reviveNewlyLinked(ctx, *links); err != nil {
		return err
	}
	if err := d.journal.SetMeta(ctx, metaLinks, text); err != nil {
		return err
	}
	d.settled = links
	return nil
}

func (d *Daemon) noteRevoked(now bool) {
	if d.revoked.Swap(now) != now {
		d.opt.Log.Warn("whether the control plane takes this agent's key has changed", "revoked", now)
	}
}

// reviveWithin is how far back outputs are collected for a user who links later.
const reviveWithin = 7 * 24 * time.Hour

// reviveNewlyLinked collects outputs that were left alone because their user was not linked, or the link was suspended.
// Before the server was asked for the first time nothing was left alone for that reason.
func (d *Daemon) reviveNewlyLinked(ctx context.Context, now map[uint32]api.Link) error {
	if d.settled == nil || !d.opt.System {
		return nil
	}
	for uid := range now {
		if active(*d.settled, uid) || !d.uploads(uid) {
			continue
		}
		kept, err := d.journal.KeptJobs(ctx, uid)
		if err != nil {
			return err
		}
		for _, job := range kept {
			if job.Detail.StartAt.IsZero() || d.opt.Now().Sub(job.Updated) > reviveWithin {
				continue
			}
			if _, err := d.journal.PutJob(ctx, journal.Change{Key: job.JobKey, To: journal.JobCollecting, MustExist: true}); err != nil {
				return err
			}
		}
	}
	return nil
}
