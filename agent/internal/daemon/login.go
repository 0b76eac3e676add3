package daemon

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/ergon-hpc/ergon/agent/internal/cloud"
	"github.com/ergon-hpc/ergon/agent/internal/outbound"
	"github.com/ergon-hpc/ergon/agent/internal/socket"
	"github.com/ergon-hpc/ergon/agent/internal/socket/server"
)

const (
	// loginUIDMin: no login is given below (login.defs(5) UID_MIN).
	loginUIDMin = 1000
	// loginMargin is how long before its end a token is not given out any more.
	loginMargin = time.Minute
	// freshEvery bounds how often a user makes the agent ask for a token anew.
	freshEvery = 5 * time.Second
	maxLogins  = 10_000
)

// logins are the tokens of unix identities that this agent vouched for. They stay in memory.
type logins struct {
	mu   sync.Mutex
	byID map[uint32]*login
}

type login struct {
	mu      sync.Mutex // held over a request: the commands of one user ask once
	token   socket.Token
	askedAt time.Time
}

func (l *logins) of(uid uint32) *login {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.byID == nil || len(l.byID) >= maxLogins {
		l.byID = map[uint32]*login{}
	}
	one := l.byID[uid]
	if one == nil {
		one = &login{}
		l.byID[uid] = one
	}
	return one
}

// Token logs in the peer that the kernel has proven. A process in a container is no proof: whoever starts one may choose its uid.
func (d *Daemon) Token(ctx context.Context, peer socket.Peer, fresh bool) (socket.Token, error) {
	c, err := d.proven(peer, proof{what: "a login by unix identity", own: "your own agent gives no logins", instead: "run: ergon login"})
	if err != nil {
		return socket.Token{}, err
	}
	one := d.logins.of(peer.UID)
	one.mu.Lock()
	defer one.mu.Unlock()
	now := d.opt.Now()
	if now.Add(loginMargin).Before(one.token.ExpiresAt) && (!fresh || now.Sub(one.askedAt) < freshEvery) {
		return one.token, nil
	}
	token, err := d.exchange(ctx, c, peer)
	if err == nil {
		one.token, one.askedAt = token, now
	}
	return token, err
}

// proof is what the word of the node's agent is wanted for, what a user's own agent is told, and what else a peer can do.
type proof struct{ what, own, instead string }

// proven gives the client of an agent that may vouch for the peer: the node's own, for a person outside of containers.
func (d *Daemon) proven(peer socket.Peer, p proof) (*cloud.Client, error) {
	c := d.client.Load()
	switch {
	case !d.opt.System:
		return nil, refuse(http.StatusForbidden, "%s; %s", p.own, p.instead)
	case c == nil:
		return nil, refuse(http.StatusForbidden, "this agent is not enrolled at a server yet")
	case peer.UID < loginUIDMin:
		return nil, refuse(http.StatusForbidden, "uid %d is not a person's; %s", peer.UID, p.instead)
	}
	if err := server.Outside("/proc", peer); err != nil {
		d.opt.Log.Warn("a unix identity was not vouched for", "wanted", p.what, "uid", peer.UID, "error", err)
		return nil, refuse(http.StatusForbidden, "%s; %s", err.Error(), p.instead)
	}
	return c, nil
}

// account is who has a uid by the name service. The group is the primary one: that of a process changes with newgrp(1), and the
// server suspends a link whose group is another one.
func (d *Daemon) account(ctx context.Context, uid uint32) (cloud.Peer, error) {
	name, err := d.names.of(ctx, uid)
	if err != nil {
		return cloud.Peer{}, fmt.Errorf("finding the name of uid %d: %w", uid, err)
	}
	if d.opt.Place == nil {
		return cloud.Peer{}, errors.New("this agent cannot ask for the groups of users")
	}
	place, err := d.opt.Place(ctx, uid)
	if err != nil {
		return cloud.Peer{}, fmt.Errorf("finding the group of uid %d: %w", uid, err)
	}
	return cloud.Peer{UID: uid, GID: place.GID, Name: name}, nil
}

func (d *Daemon) exchange(ctx context.Context, c *cloud.Client, peer socket.Peer) (socket.Token, error) {
	who, err := d.account(ctx, peer.UID)
	if err != nil {
		return socket.Token{}, err
	}
	now := d.opt.Now()
	t, err := c.Exchange(ctx, who)
	var p *outbound.Problem
	if errors.As(err, &p) && p.Status == http.StatusForbidden {
		return socket.Token{}, refuse(http.StatusForbidden, "%s", p.Error())
	}
	if err != nil {
		return socket.Token{}, visible(err)
	}
	if linked, known := d.linked(peer.UID); known && !linked { // the first time: outputs and events may go now
		if err := d.refreshLinks(ctx); err != nil {
			d.opt.Log.Warn("asking for the links after a first login", "error", err)
		}
	}
	return socket.Token{
		Server: d.id.Load().Server, Username: t.Username, UserID: t.UserId, AccessToken: t.AccessToken,
		ExpiresAt: now.Add(time.Duration(t.ExpiresIn) * time.Second).UTC(),
	}, nil
}
