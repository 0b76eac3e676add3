package jobs

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
	"github.com/ergon-hpc/ergon/controlplane/internal/audit"
	"github.com/ergon-hpc/ergon/controlplane/internal/principal"
)

// Standing is how a unix user of a cluster stands with what is stored of people without an account.
type Standing struct {
	UID    int64
	Since  *time.Time // of the objection; nil: there is none
	Linked bool       // to an account, whose owner decides
	Named  int        // stored jobs of no account that carry the uid
	Hidden int        // of those, what the call took the person out of
}

// Acts keeps what was done; audit.Log does.
type Acts interface {
	Record(ctx context.Context, e audit.Event) error
}

const (
	// objectorUIDMin: uids below are the system's (login.defs(5) UID_MIN). A command of the server takes them too.
	objectorUIDMin = 1000
	// hideFor bounds how long a call works off an objection; the task "objections" does the rest.
	hideFor = 5 * time.Second
)

// Objector takes objections of people without an account from agents of the site, which prove who asks.
type Objector struct {
	rows   Objections
	acts   Acts
	now    func() time.Time
	hinted func(context.Context)
	within time.Duration
}

// NewObjector makes one. hinted is called when reports are to be made anew; it may be nil and must not block.
func NewObjector(rows Objections, acts Acts, now func() time.Time, hinted func(context.Context)) *Objector {
	if hinted == nil {
		hinted = func(context.Context) {}
	}
	return &Objector{rows: rows, acts: acts, now: now, hinted: hinted, within: hideFor}
}

// Within bounds how long Object works off an objection before it answers.
func (o *Objector) Within(d time.Duration) { o.within = d }

// prover is the cluster of the calling agent, if that may say whose process asks: an agent of the site, for a person's uid.
func prover(ctx context.Context, uid int64) (clusterID string, err error) {
	p, err := principal.AgentFrom(ctx)
	switch {
	case err != nil:
		return "", err
	case p.AgentKind != principal.AgentSystem || !p.Has(principal.ScopeIdentityAssert):
		return "", apperr.New(apperr.Forbidden, "only an agent of the site, with the scope identity:assert, says who objects").
			WithHint("an operator records it: `ergon-server admin optout add CLUSTER UID`")
	case uid < objectorUIDMin:
		return "", apperr.New(apperr.Forbidden, "this uid is not a person's")
	}
	return p.ClusterID, nil
}

// Standing tells how a uid of the calling agent's cluster stands.
func (o *Objector) Standing(ctx context.Context, uid int64) (Standing, error) {
	clusterID, err := prover(ctx, uid)
	if err != nil {
		return Standing{}, err
	}
	return o.rows.Standing(ctx, clusterID, uid)
}

// Object records the objection of a uid of the calling agent's cluster, and then takes the person out of stored jobs for a
// bounded time. It may be repeated; a uid that is linked to an account is a conflict.
func (o *Objector) Object(ctx context.Context, uid int64) (Standing, error) {
	clusterID, err := prover(ctx, uid)
	if err != nil {
		return Standing{}, err
	}
	now := o.now()
	if err := o.record(ctx, "objection.add", clusterID, uid, o.rows.Object(ctx, clusterID, uid, now)); err != nil {
		return Standing{}, err
	}
	before, err := o.rows.Standing(ctx, clusterID, uid)
	if err != nil {
		return Standing{}, err
	}
	if before.Named > 0 {
		if err := o.hide(ctx, now); err != nil {
			return Standing{}, err
		}
		o.hinted(ctx)
	}
	after, err := o.rows.Standing(ctx, clusterID, uid)
	after.Hidden = max(0, before.Named-after.Named)
	return after, err
}

// hide works until time is up; a page that is not finished then is as if it had not begun.
func (o *Objector) hide(ctx context.Context, now time.Time) error {
	bounded, cancel := context.WithTimeout(ctx, o.within)
	defer cancel()
	_, err := Hide(bounded, o.rows, now)
	if err != nil && bounded.Err() != nil && ctx.Err() == nil {
		return nil
	}
	return err
}

// TakeBack ends the objection of a uid of the calling agent's cluster; one that does not object is no error.
func (o *Objector) TakeBack(ctx context.Context, uid int64) (Standing, error) {
	clusterID, err := prover(ctx, uid)
	if err != nil {
		return Standing{}, err
	}
	had, err := o.rows.Unobject(ctx, clusterID, uid)
	if had || err != nil {
		err = o.record(ctx, "objection.remove", clusterID, uid, err)
	}
	if err != nil {
		return Standing{}, err
	}
	return o.rows.Standing(ctx, clusterID, uid)
}

// record writes the audit row of an act, as the commands of the server do, and gives the act's error back.
func (o *Objector) record(ctx context.Context, action, clusterID string, uid int64, cause error) error {
	e := audit.Event{Action: action, Subject: clusterID, Outcome: audit.OK, Detail: map[string]string{"uid": strconv.FormatInt(uid, 10)}}
	if cause != nil {
		e.Outcome = string(apperr.CodeOf(cause))
	}
	return errors.Join(cause, o.acts.Record(ctx, e))
}
