package daemon

import (
	"context"
	"errors"

	"github.com/ergon-hpc/ergon/agent/internal/cloud"
	"github.com/ergon-hpc/ergon/agent/internal/enrol"
	"github.com/ergon-hpc/ergon/agent/internal/outbound"
)

// loadIdentity takes up what enrolment stored.
func (d *Daemon) loadIdentity() error {
	id, err := enrol.Load(d.opt.Config.StateDir)
	if err != nil {
		return err
	}
	return d.use(id)
}

func (d *Daemon) use(id enrol.Identity) error {
	client, err := cloud.New(d.cloudOptions(id))
	if err != nil {
		return err
	}
	d.id.Store(&id)
	d.client.Store(client)
	return nil
}

func (d *Daemon) cloudOptions(id enrol.Identity) cloud.Options {
	return cloud.Options{Identity: id, HTTP: outbound.NewClient(httpTimeout), Audience: d.opt.Config.Audience, Now: d.opt.Now, Log: d.opt.Log}
}

// attend brings identity, links and revocation up to date.
func (d *Daemon) attend(ctx context.Context) error {
	if err := d.takeUpIdentity(); err != nil && !errors.Is(err, enrol.ErrNotEnrolled) {
		d.opt.Log.Error("the agent's identity cannot be used", "error", err)
	}
	err := d.refreshLinks(ctx)
	if errors.Is(err, cloud.ErrRevoked) {
		return d.finishRotation(ctx, err)
	}
	return err
}

// takeUpIdentity looks at what is on disk: before there is an identity, while the server refuses its key, and for a key that a
// rotation has put there. That one counts from now on, so that nothing waits until the last token of the old one has run out.
func (d *Daemon) takeUpIdentity() error {
	current := d.id.Load()
	if current == nil || d.revoked.Load() {
		return d.loadIdentity()
	}
	id, err := enrol.Load(d.opt.Config.StateDir)
	if err != nil || id.AgentID != current.AgentID || id.Key().Equal(current.Key()) {
		return err
	}
	if err := d.use(id); err != nil {
		return err
	}
	d.opt.Log.Info("the new key of this agent was taken up", "agent", id.AgentID)
	return nil
}

// finishRotation is for a key that the server refuses: where the command that replaces keys was killed after the server had
// taken the new one, that one lies beside it and counts.
func (d *Daemon) finishRotation(ctx context.Context, refused error) error {
	r, err := enrol.ResumeRotation(d.opt.Config.StateDir)
	if errors.Is(err, enrol.ErrNoRotation) {
		return refused
	}
	if err != nil {
		return errors.Join(refused, err)
	}
	defer r.Release()
	if err := cloud.RotateKey(ctx, d.cloudOptions(r.Old), r.New); err != nil {
		return err
	}
	if err := r.Finish(); err != nil {
		return err
	}
	d.opt.Log.Warn("a rotation of this agent's key had been interrupted, and is finished now")
	if err := d.loadIdentity(); err != nil {
		return err
	}
	return d.refreshLinks(ctx)
}
