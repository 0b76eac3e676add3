package cloud

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/ergon-hpc/ergon/agent/internal/outbound"
	"github.com/ergon-hpc/ergon/agent/internal/outputs"
	"github.com/ergon-hpc/ergon/shared/api"
	"github.com/google/uuid"
)

var _ outputs.Tickets = (*Client)(nil)

// ErrClock says that this node's clock is too far off for presigned URLs.
var ErrClock = errors.New("this node's clock differs by more than two minutes from the server's; start time synchronization (chronyd)")

// ErrJobUnknown says that the server has not taken the job's first event yet: events and uploads go side by side, and after
// an outage the outbox may be long. It is no refusal of the files.
var ErrJobUnknown = errors.New("the server does not know the job yet; its events are on their way")

// call repeats one request while the server is away, and turns a final no into a *outputs.Refusal.
func (c *Client) call(ctx context.Context, what string, f func() (*http.Response, *api.Problem, error), want int) error {
	err := c.retry(ctx, func() error {
		resp, problem, err := f() //nolint:bodyclose // the generated client has read the body and closed it
		if err != nil {
			return outbound.Explain(c.opt.Identity.Server, err)
		}
		return outbound.Check(resp, problem, want)
	})
	var p *outbound.Problem
	if errors.As(err, &p) && !p.Temporary() {
		return fmt.Errorf("%s: %w", what, refusal(p))
	}
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

func refusal(p *outbound.Problem) *outputs.Refusal {
	r := &outputs.Refusal{Code: string(p.Code), Detail: p.Error()}
	if p.Quota != nil {
		r.NeededBytes = p.Quota.NeededBytes
	}
	return r
}

// Presign implements outputs.Tickets.
func (c *Client) Presign(ctx context.Context, job outputs.JobFiles, entries []outputs.Entry) ([]outputs.Ticket, error) {
	if offset, ok := c.Skew(); ok && offset.Abs() > maxSkew {
		return nil, ErrClock
	}
	body := api.PresignJobUploadsJSONRequestBody{Attempt: job.Attempt, Entries: make([]api.JobUploadEntry, len(entries))}
	for i, e := range entries {
		body.Entries[i] = api.JobUploadEntry{Path: e.Path, Class: api.FileClass(e.Class), Size: e.Size, Sha256: e.SHA256}
	}
	var answer []api.UploadTicket
	err := c.call(ctx, "reserving uploads", func() (*http.Response, *api.Problem, error) {
		resp, err := c.api.PresignJobUploadsWithResponse(ctx, job.JobID, body)
		if err != nil {
			return nil, nil, err
		}
		if resp.JSON200 != nil {
			answer = resp.JSON200.Tickets
		}
		return resp.HTTPResponse, resp.ApplicationproblemJSONDefault, nil
	}, http.StatusOK)
	if r, refused := errors.AsType[*outputs.Refusal](err); refused && r.Code == string(api.NotFound) {
		return nil, fmt.Errorf("%w (%s)", ErrJobUnknown, r.Detail)
	}
	if err != nil {
		return nil, err
	}
	if len(answer) != len(entries) {
		return nil, errors.New("reserving uploads: the server did not answer for each file")
	}
	tickets := make([]outputs.Ticket, len(answer))
	for i, t := range answer {
		if tickets[i], err = ticket(t); err != nil {
			return nil, fmt.Errorf("reserving uploads: %w", err)
		}
	}
	return tickets, nil
}

// errTicket says that a ticket lacks what its status promises.
var errTicket = errors.New("the server's answer is incomplete")

func ticket(t api.UploadTicket) (outputs.Ticket, error) {
	out := outputs.Ticket{Kind: outputs.TicketKind(t.Status)}
	if t.UploadId != nil {
		out.UploadID = *t.UploadId
	}
	switch out.Kind {
	case outputs.TicketPut:
		if t.Put == nil || t.UploadId == nil {
			return out, errTicket
		}
		r, err := request(*t.Put)
		out.Put = &r
		return out, err
	case outputs.TicketMultipart:
		if t.UploadId == nil || t.PartSize == nil || t.PartCount == nil || *t.PartSize <= 0 {
			return out, errTicket
		}
		out.PartSize, out.PartCount = *t.PartSize, *t.PartCount
	case outputs.TicketRefused:
		out.Refusal = &outputs.Refusal{Code: "invalid_request", Detail: "refused without a reason"}
		if t.Problem != nil {
			out.Refusal = &outputs.Refusal{Code: string(t.Problem.Code), Detail: text(t.Problem.Detail)}
			if t.Problem.Quota != nil {
				out.Refusal.NeededBytes = t.Problem.Quota.NeededBytes
			}
		}
	case outputs.TicketStored:
	default:
		return out, fmt.Errorf("%w: status %q", errTicket, t.Status)
	}
	return out, nil
}

// request takes a presigned URL under the rule for every address that a server gives us: https, or http to loopback.
func request(p api.PresignedRequest) (outputs.Request, error) {
	if err := outbound.CheckStoreURL(p.Url); err != nil {
		return outputs.Request{}, err
	}
	return outputs.Request{URL: outputs.Secret(p.Url), Headers: p.Headers, Expires: p.ExpiresAt}, nil
}

// Parts implements outputs.Tickets.
func (c *Client) Parts(ctx context.Context, uploadID uuid.UUID, parts []outputs.Part) ([]outputs.PartTicket, error) {
	body := api.PresignPartsJSONRequestBody{Parts: make([]api.PartDigest, len(parts))}
	for i, p := range parts {
		body.Parts[i] = api.PartDigest{Number: p.Number, Size: p.Size, Sha256: p.SHA256}
	}
	var out []outputs.PartTicket
	var bad error
	err := c.call(ctx, "presigning parts", func() (*http.Response, *api.Problem, error) {
		resp, err := c.api.PresignPartsWithResponse(ctx, uploadID, body)
		if err != nil {
			return nil, nil, err
		}
		if resp.JSON200 != nil {
			for _, p := range resp.JSON200.Parts {
				r, err := request(p.Put)
				bad = errors.Join(bad, err)
				out = append(out, outputs.PartTicket{Number: p.Number, Put: r})
			}
		}
		return resp.HTTPResponse, resp.ApplicationproblemJSONDefault, nil
	}, http.StatusOK)
	if err = errors.Join(err, bad); err != nil {
		return nil, err
	}
	if len(out) != len(parts) {
		return nil, errors.New("presigning parts: the server did not answer for each part")
	}
	return out, nil
}

// Status implements outputs.Tickets.
func (c *Client) Status(ctx context.Context, uploadID uuid.UUID) (outputs.UploadStatus, error) {
	var out outputs.UploadStatus
	err := c.call(ctx, "asking for an upload", func() (*http.Response, *api.Problem, error) {
		resp, err := c.api.GetUploadWithResponse(ctx, uploadID)
		if err != nil {
			return nil, nil, err
		}
		if resp.JSON200 != nil {
			out = uploadStatus(*resp.JSON200)
		}
		return resp.HTTPResponse, resp.ApplicationproblemJSONDefault, nil
	}, http.StatusOK)
	return out, err
}

func uploadStatus(s api.UploadStatus) outputs.UploadStatus {
	out := outputs.UploadStatus{State: string(s.Status)}
	if s.PartSize != nil {
		out.PartSize = *s.PartSize
	}
	if s.PartCount != nil {
		out.PartCount = *s.PartCount
	}
	if s.Parts != nil {
		for _, p := range *s.Parts {
			out.Parts = append(out.Parts, outputs.Part{Number: p.Number, Size: p.Size, SHA256: p.Sha256})
		}
	}
	return out
}

// Complete implements outputs.Tickets.
func (c *Client) Complete(ctx context.Context, uploadID uuid.UUID) error {
	return c.call(ctx, "completing an upload", func() (*http.Response, *api.Problem, error) {
		resp, err := c.api.CompleteUploadWithResponse(ctx, uploadID)
		if err != nil {
			return nil, nil, err
		}
		return resp.HTTPResponse, resp.ApplicationproblemJSONDefault, nil
	}, http.StatusOK)
}

// Abort implements outputs.Tickets.
func (c *Client) Abort(ctx context.Context, uploadID uuid.UUID) error {
	return c.call(ctx, "giving up an upload", func() (*http.Response, *api.Problem, error) {
		resp, err := c.api.AbortUploadWithResponse(ctx, uploadID)
		if err != nil {
			return nil, nil, err
		}
		return resp.HTTPResponse, resp.ApplicationproblemJSONDefault, nil
	}, http.StatusNoContent)
}
