package gormstore

import (
	"context"
	"errors"
	"time"

	"gorm.io/gorm"

	"github.com/ergon-hpc/ergon/controlplane/internal/identity"
)

type deviceRow struct {
	DeviceHash  string `gorm:"primaryKey"`
	UserCodeMac string
	Host        string
	Cluster     string
	RemoteAddr  string
	UserAgent   string
	State       string
	UserID      *string
	AuthAt      *Time
	IntervalS   int64
	PolledAt    *Time
	Exp         Time
	CreatedAt   Time
}

func (deviceRow) TableName() string { return "device_grants" }

func (r deviceRow) domain() identity.DeviceGrant {
	return identity.DeviceGrant{
		DeviceHash: r.DeviceHash, UserCodeMAC: r.UserCodeMac, Client: identity.DeviceClient{Host: r.Host, Cluster: r.Cluster},
		RemoteAddr: r.RemoteAddr, UserAgent: r.UserAgent, State: identity.DeviceState(r.State),
		Interval: time.Duration(r.IntervalS) * time.Second, Exp: r.Exp.Time(), CreatedAt: r.CreatedAt.Time(),
	}
}

// InsertDevice stores a grant. See identity.DeviceStore.
func (s *Store) InsertDevice(ctx context.Context, g identity.DeviceGrant) error {
	return mapErr(s.q(ctx).Create(&deviceRow{
		DeviceHash: g.DeviceHash, UserCodeMac: g.UserCodeMAC, Host: g.Client.Host, Cluster: g.Client.Cluster, RemoteAddr: g.RemoteAddr,
		UserAgent: g.UserAgent, State: string(g.State), IntervalS: int64(g.Interval / time.Second), Exp: At(g.Exp), CreatedAt: At(g.CreatedAt),
	}).Error)
}

// PendingDevice finds a grant that waits.
func (s *Store) PendingDevice(ctx context.Context, mac string, now time.Time) (identity.DeviceGrant, error) {
	var r deviceRow
	err := s.q(ctx).Take(&r, "user_code_mac = ? AND state = ? AND exp > ?", mac, string(identity.DevicePending), At(now)).Error
	return r.domain(), mapErr(err)
}

// DecideDevice decides a grant that waits, once.
func (s *Store) DecideDevice(ctx context.Context, d identity.DeviceDecision, now time.Time) error {
	return wantRow(s.q(ctx).Model(&deviceRow{}).
		Where("user_code_mac = ? AND state = ? AND exp > ?", d.UserCodeMAC, string(identity.DevicePending), At(now)).
		Updates(map[string]any{"state": string(d.State), "user_id": d.UserID, "auth_at": At(d.AuthAt)}))
}

// slowDown is how much longer a client that polls too fast must wait each time (RFC 8628 §3.5); an early poll of less than
// pollSlack is the network's fault.
const (
	slowDown    = 5
	maxInterval = 60
	pollSlack   = time.Second
)

// PollDevice says how a grant stands. See identity.DeviceStore.
func (s *Store) PollDevice(ctx context.Context, hash string, now time.Time) (identity.DevicePoll, error) {
	var out identity.DevicePoll
	err := s.Tx(ctx, func(tx *gorm.DB) error {
		var done []deviceRow
		err := tx.Where("device_hash = ? AND state = ? AND exp > ?", hash, string(identity.DeviceApproved), At(now)).
			Where("EXISTS (SELECT 1 FROM users u WHERE u.id = device_grants.user_id AND u.disabled_at IS NULL)").Find(&done).Error
		if err != nil {
			return err
		}
		if len(done) == 1 {
			out = identity.DevicePoll{Outcome: identity.DevicePollDone, UserID: *done[0].UserID, AuthAt: done[0].AuthAt.Time()}
			return nil
		}
		out.Outcome, err = judgePoll(tx, hash, now)
		return err
	})
	return out, err
}

// denyApproved lets no session begin of what a user had confirmed and no program has fetched.
func denyApproved(tx *gorm.DB, userID string) error {
	return tx.Model(&deviceRow{}).Where("user_id = ? AND state = ?", userID, string(identity.DeviceApproved)).
		Update("state", string(identity.DeviceDenied)).Error
}

func judgePoll(tx *gorm.DB, hash string, now time.Time) (identity.DevicePollOutcome, error) {
	var r deviceRow
	err := tx.Take(&r, "device_hash = ?", hash).Error
	switch {
	case errors.Is(err, gorm.ErrRecordNotFound):
		return identity.DevicePollUnknown, nil
	case err != nil:
		return identity.DevicePollUnknown, err
	case r.State == string(identity.DeviceUsed):
		return identity.DevicePollUnknown, nil
	case r.Exp <= At(now):
		return identity.DevicePollExpired, nil
	case r.State != string(identity.DevicePending): // denied, or approved by an account that is disabled now
		return identity.DevicePollDenied, nil
	}
	set := map[string]any{"polled_at": At(now)}
	outcome := identity.DevicePollPending
	if r.PolledAt != nil && now.Sub(r.PolledAt.Time()) < time.Duration(r.IntervalS)*time.Second-pollSlack {
		set["interval_s"], outcome = min(r.IntervalS+slowDown, maxInterval), identity.DevicePollSlowDown
	}
	return outcome, tx.Model(&deviceRow{}).Where("device_hash = ?", hash).Updates(set).Error
}

// SessionByToken finds the session of a page's cookie.
func (s *Store) SessionByToken(ctx context.Context, jti string, now time.Time) (string, error) {
	var r refreshRow
	err := s.q(ctx).Take(&r, "jti = ? AND counter = 0 AND used_at IS NULL AND revoked = ? AND exp > ?", jti, false, At(now)).Error
	return r.SessionID, mapErr(err)
}
