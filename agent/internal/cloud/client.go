package cloud

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/ergon-hpc/ergon/agent/internal/enrol"
	"github.com/ergon-hpc/ergon/agent/internal/outbound"
	"github.com/ergon-hpc/ergon/shared/api"
	"github.com/google/uuid"
)

// Options of a Client.
type Options struct {
	Identity enrol.Identity
	// HTTP is outbound.NewClient or the like.
	HTTP *http.Client
	// Audience is the server's issuer name ("ergon" unless the site changed it); the server's address is named as well.
	Audience string
	Now      func() time.Time
	Log      *slog.Logger
	// Retry is how long one call is tried again while the server is away; 0 is two minutes.
	Retry time.Duration
}

// Client talks to the control plane as the agent. It is safe for concurrent use.
type Client struct {
	opt    Options
	api    *api.ClientWithResponses
	tokens *tokens
}

// New makes a client; nothing is asked yet.
func New(opt Options) (*Client, error) {
	base, err := outbound.ParseServer(opt.Identity.Server)
	if err != nil {
		return nil, err
	}
	if opt.Retry == 0 {
		opt.Retry = 2 * time.Minute
	}
	anonymous, err := api.NewClientWithResponses(base, api.WithHTTPClient(opt.HTTP))
	if err != nil {
		return nil, err
	}
	t := &tokens{id: opt.Identity, audience: []string{opt.Audience, base}, client: anonymous, now: opt.Now}
	authenticated := &http.Client{
		Transport: &transport{tokens: t, inner: opt.HTTP.Transport}, CheckRedirect: opt.HTTP.CheckRedirect, Timeout: opt.HTTP.Timeout,
	}
	client, err := api.NewClientWithResponses(base, api.WithHTTPClient(authenticated))
	return &Client{opt: opt, api: client, tokens: t}, err
}

// Skew tells how far the server's clock is ahead of this node's; ok is false before it was measured.
func (c *Client) Skew() (offset time.Duration, ok bool) { return c.tokens.skew() }

// temporary says that the same call may work later.
func temporary(err error) bool {
	var p *outbound.Problem
	if errors.As(err, &p) {
		return p.Temporary()
	}
	return errors.Is(err, outbound.ErrUnreachable)
}

// retry repeats f while its error is temporary, with full jitter, honouring Retry-After.
func (c *Client) retry(ctx context.Context, f func() error) error {
	policy := backoff.NewExponentialBackOff()
	policy.RandomizationFactor, policy.MaxInterval = 1, 30*time.Second
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		err := f()
		var p *outbound.Problem
		switch {
		case err == nil:
			return struct{}{}, nil
		case !temporary(err):
			return struct{}{}, backoff.Permanent(err)
		case errors.As(err, &p) && p.RetryAfter > 0:
			return struct{}{}, errors.Join(err, backoff.RetryAfter(int(p.RetryAfter/time.Second)))
		}
		return struct{}{}, err
	}, backoff.WithBackOff(policy), backoff.WithMaxElapsedTime(c.opt.Retry))
	var permanent *backoff.PermanentError
	if errors.As(err, &permanent) {
		return permanent.Unwrap()
	}
	return err
}

// Self tells what the control plane knows of this agent and whom it serves.
func (c *Client) Self(ctx context.Context) (api.AgentSelf, error) {
	resp, err := c.api.GetAgentSelfWithResponse(ctx)
	if err != nil {
		return api.AgentSelf{}, outbound.Explain(c.opt.Identity.Server, err)
	}
	if err := outbound.Check(resp.HTTPResponse, resp.ApplicationproblemJSONDefault, http.StatusOK); err != nil {
		return api.AgentSelf{}, err
	}
	if resp.JSON200 == nil {
		return api.AgentSelf{}, errors.New("the server answered without an agent")
	}
	return *resp.JSON200, nil
}

// Peer is a unix identity that the kernel has proven.
type Peer struct {
	UID, GID uint32
	Name     string
}

// ConfirmLink answers a link challenge for a peer.
func (c *Client) ConfirmLink(ctx context.Context, challenge string, peer Peer) (api.Link, error) {
	resp, err := c.api.ConfirmLinkWithResponse(ctx, api.ConfirmLinkJSONRequestBody{
		Challenge: challenge, Uid: int64(peer.UID), Gid: int64(peer.GID), UnixName: peer.Name, Nonce: uuid.NewString(),
	})
	if err != nil {
		return api.Link{}, outbound.Explain(c.opt.Identity.Server, err)
	}
	if err := outbound.Check(resp.HTTPResponse, resp.ApplicationproblemJSONDefault, http.StatusCreated); err != nil {
		return api.Link{}, err
	}
	if resp.JSON201 == nil {
		return api.Link{}, errors.New("the server answered without a link")
	}
	return *resp.JSON201, nil
}

// Unlink removes the link of a uid; one that is not linked is no error.
func (c *Client) Unlink(ctx context.Context, uid uint32) error {
	resp, err := c.api.UnlinkUidWithResponse(ctx, int64(uid))
	if err != nil {
		return outbound.Explain(c.opt.Identity.Server, err)
	}
	err = outbound.Check(resp.HTTPResponse, resp.ApplicationproblemJSONDefault, http.StatusNoContent)
	var p *outbound.Problem
	if errors.As(err, &p) && p.Status == http.StatusNotFound {
		return nil
	}
	return err
}

// PutNodes reports what the cluster consists of.
func (c *Client) PutNodes(ctx context.Context, facts api.ClusterFacts) error {
	resp, err := c.api.PutNodesWithResponse(ctx, facts)
	if err != nil {
		return outbound.Explain(c.opt.Identity.Server, err)
	}
	return outbound.Check(resp.HTTPResponse, resp.ApplicationproblemJSONDefault, http.StatusNoContent)
}

// maxBody is how large one request of ours may get, in bytes; the server takes 1 MiB.
const maxBody = 900 << 10

// maxField is how long one field of an accounting row may get in the contract. A SubmitLine may be 1 MiB (slurm.conf,
// max_submit_line_size): sent whole it would make the server refuse the call, with every other job's rows in it, for ever.
const maxField = 64 << 10

func clipRow(row []string) []string {
	for i, field := range row {
		if len(field) <= maxField {
			continue
		}
		clipped := slices.Clone(row)
		for j := i; j < len(clipped); j++ {
			clipped[j] = clip(clipped[j], maxField)
		}
		return clipped
	}
	return row
}

// Accounting hands on rows of sacct in calls of bounded size. Repeating is harmless.
func (c *Client) Accounting(ctx context.Context, columns []string, rows [][]string) error {
	return c.handOn(ctx, api.AccountingBatch{Columns: columns}, rows)
}

// Samples hands on rows of sstat that were taken at a time, as Accounting does.
func (c *Client) Samples(ctx context.Context, at time.Time, columns []string, rows [][]string) error {
	at = at.UTC()
	return c.handOn(ctx, api.AccountingBatch{Columns: columns, SampledAt: &at}, rows)
}

// handOn sends rows in calls of bounded size; kind is a batch without rows.
func (c *Client) handOn(ctx context.Context, kind api.AccountingBatch, rows [][]string) error {
	rows = slices.Clone(rows)
	for i, row := range rows {
		rows[i] = clipRow(row)
	}
	for len(rows) > 0 {
		n, size := 0, 0
		for n < len(rows) && (n == 0 || size < maxBody) {
			for _, field := range rows[n] {
				size += len(field) + 8
			}
			n++
		}
		if err := c.offerRows(ctx, kind, rows[:n]); err != nil {
			return err
		}
		rows = rows[n:]
	}
	return nil
}

// maxUnread is how many calls in a row the server may call unreadable before it is the server that is at fault.
const maxUnread = 64

// offerRows halves a call that the server cannot read until the rows at fault are alone, and leaves those out. Pieces of
// equal size come before smaller ones. While the server has not taken any piece, nor a call without rows, nothing is given
// up: then the error comes back, and the rows are sent again beside later ones.
func (c *Client) offerRows(ctx context.Context, kind api.AccountingBatch, rows [][]string) error {
	var unread error
	var alone [][]string
	pieces, asked, taken := [][][]string{rows}, 0, false
	for ; len(pieces) > 0; pieces = pieces[1:] {
		now := pieces[0]
		err := c.postRows(ctx, kind, now)
		if err == nil {
			taken = true
			continue
		}
		asked++
		if unread = err; !unreadable(err) || !taken && asked > maxUnread {
			return err
		}
		if len(now) == 1 {
			alone = append(alone, now[0])
			continue
		}
		pieces = append(pieces, now[:len(now)/2], now[len(now)/2:])
	}
	if !taken && c.postRows(ctx, kind, nil) != nil {
		return unread // not even a call without rows: the server is at fault
	}
	for _, row := range alone {
		c.opt.Log.Warn("the control plane cannot read an accounting row; it is left out", "job", jobOf(kind.Columns, row), "error", unread)
	}
	return nil
}

// jobOf is the job's id in a row, clipped; the rest of a row is the user's business.
func jobOf(columns, row []string) string {
	if i := slices.Index(columns, "JobID"); i >= 0 && i < len(row) {
		return clip(row[i], 64)
	}
	return ""
}

// unreadable says that the server will never take this request as it is: something in it is against the contract.
func unreadable(err error) bool {
	p, ok := errors.AsType[*outbound.Problem](err)
	return ok && (p.Status == http.StatusBadRequest || p.Status == http.StatusRequestEntityTooLarge || p.Status == http.StatusUnprocessableEntity)
}

func (c *Client) postRows(ctx context.Context, batch api.AccountingBatch, rows [][]string) error {
	batch.Rows = append([][]string{}, rows...)
	resp, err := c.api.PostAccountingWithResponse(ctx, batch)
	if err != nil {
		return outbound.Explain(c.opt.Identity.Server, err)
	}
	if err := outbound.Check(resp.HTTPResponse, resp.ApplicationproblemJSONDefault, http.StatusOK); err != nil {
		return fmt.Errorf("sending accounting: %w", err)
	}
	if r := resp.JSON200; r != nil && r.Bad != nil && len(*r.Bad) > 0 {
		rows, first := slog.Int("rows", len(*r.Bad)), slog.String("first", (*r.Bad)[0].Reason)
		if batch.SampledAt != nil { // accounting of a job comes a minute or two after its start
			c.opt.Log.Debug("the control plane has no use for samples yet", rows, first)
			return nil
		}
		c.opt.Log.Warn("the control plane could not read accounting rows", rows, first)
	}
	return nil
}
