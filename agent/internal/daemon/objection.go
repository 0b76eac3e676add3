package daemon

import (
	"context"
	"errors"
	"net/http"

	"github.com/ergon-hpc/ergon/agent/internal/cloud"
	"github.com/ergon-hpc/ergon/agent/internal/socket"
	"github.com/ergon-hpc/ergon/agent/internal/socket/server"
	"github.com/ergon-hpc/ergon/shared/api"
)

// objections is what people without an account may ask about their own uid. The agent keeps nothing of it: the server leaves
// them out of whatever is reported.
type objections Daemon

var _ server.Objections = (*objections)(nil)

// Standing asks the server how the peer stands.
func (o *objections) Standing(ctx context.Context, peer socket.Peer) (socket.Objection, error) {
	return o.ask(ctx, peer, (*cloud.Client).Objection)
}

// Object records the peer's objection.
func (o *objections) Object(ctx context.Context, peer socket.Peer) (socket.Objection, error) {
	return o.ask(ctx, peer, (*cloud.Client).Object)
}

// TakeBack ends it.
func (o *objections) TakeBack(ctx context.Context, peer socket.Peer) (socket.Objection, error) {
	return o.ask(ctx, peer, (*cloud.Client).TakeBackObjection)
}

// objecting is what a peer needs the agent's word for.
var objecting = proof{
	what: "an objection", own: "your own agent cannot prove to the site who you are",
	instead: "object as yourself on a login node that has an agent of the site, or ask an operator (`ergon-server admin optout`)",
}

// ask is one call to the server about the uid that the kernel has proven. A process in a container is no proof: whoever starts
// one may choose its uid, and what an objection takes out does not come back.
func (o *objections) ask(ctx context.Context, peer socket.Peer, call func(*cloud.Client, context.Context, uint32) (api.Objection, error)) (socket.Objection, error) {
	d := (*Daemon)(o)
	c, err := d.proven(peer, objecting)
	if err != nil {
		return socket.Objection{}, err
	}
	said, err := call(c, ctx, peer.UID)
	if errors.Is(err, cloud.ErrNoObjections) {
		return socket.Objection{}, refuse(http.StatusConflict, "%s", err.Error())
	}
	if err != nil {
		return socket.Objection{}, visible(err)
	}
	name, _ := d.names.of(ctx, peer.UID) // unknown stays ""
	return socket.Objection{
		Server: d.id.Load().Server, Cluster: d.cluster(), UID: peer.UID, UnixName: name, Objected: said.Objected, Since: said.Since, Linked: said.Linked,
		JobsNamed: said.JobsNamed, JobsHidden: said.JobsHidden,
	}, nil
}
