package cloud

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
	"unicode/utf8"

	"github.com/ergon-hpc/ergon/agent/internal/journal"
	"github.com/ergon-hpc/ergon/agent/internal/outbound"
	"github.com/ergon-hpc/ergon/agent/internal/outputs"
	"github.com/ergon-hpc/ergon/shared/api"
	"github.com/google/uuid"
)

// Outbox is what Drain empties; journal.Journal implements it.
type Outbox interface {
	Pending(ctx context.Context, limit int) ([]journal.Event, error)
	Delivered(ctx context.Context, events []journal.Event) error
	// Refused sets one event aside, so that Pending gives it no more.
	Refused(ctx context.Context, event journal.Event) error
	// Held is Delivered for events of jobs that another agent reports, Taken for offers that were taken.
	Held(ctx context.Context, events []journal.Event) error
	Taken(ctx context.Context, events []journal.Event) error
}

// eventBatch is how many events one call carries at most (the API's limit is 1000).
const eventBatch = 500

// Drain sends events in the order in which they happened until none is left. An event that the server refuses is
// dropped with a log line: it would be refused for ever. One that it cannot even read is set aside, at most maxAside in
// one call. An error means: try again later, nothing is lost.
func (c *Client) Drain(ctx context.Context, box Outbox) error {
	left := maxAside
	for {
		events, err := box.Pending(ctx, eventBatch)
		if err != nil || len(events) == 0 {
			return err
		}
		if err := c.deliver(ctx, box, fit(events), &left); err != nil {
			return err
		}
	}
}

// maxAside keeps a server that reads nothing at all from being asked event by event without a pause.
const maxAside = 64

// deliver halves a batch that the server cannot read until the event at fault is alone, and sets that one aside.
func (c *Client) deliver(ctx context.Context, box Outbox, events []journal.Event, left *int) error {
	said, err := c.post(ctx, events)
	switch {
	case err == nil:
		return said.settle(ctx, box)
	case !unreadable(err):
		return err
	case len(events) > 1:
		half := len(events) / 2
		if err := c.deliver(ctx, box, events[:half], left); err != nil {
			return err
		}
		return c.deliver(ctx, box, events[half:], left)
	case *left == 0:
		return err
	}
	*left--
	c.opt.Log.Warn("the control plane cannot read an event; it is set aside until the agent starts anew",
		"job", clip(events[0].Job.SlurmJobID, 64), "type", events[0].Type, "error", err)
	return box.Refused(ctx, events[0])
}

// fit cuts a batch to the size of one call; one event always goes.
func fit(events []journal.Event) []journal.Event {
	size := 0
	for i, e := range events {
		size += 2048 + len(e.Message)
		for _, m := range e.Manifest {
			size += 256 + len(m.Path) + len(m.Reason)
		}
		if size > maxBody && i > 0 {
			return events[:i]
		}
	}
	return events
}

// answers are what became of the events of one call.
type answers struct{ delivered, held, taken []journal.Event }

func (a *answers) add(e journal.Event, status api.EventResultStatus) {
	switch {
	case status == api.EventResultStatusHeld:
		a.held = append(a.held, e)
	case e.Job.Detail.Foreign && status == api.EventResultStatusAccepted:
		a.taken = append(a.taken, e)
	default:
		a.delivered = append(a.delivered, e)
	}
}

// settle takes the events off the outbox. What it does not reach comes again, and is a duplicate then.
func (a answers) settle(ctx context.Context, box Outbox) error {
	for _, part := range []struct {
		events []journal.Event
		note   func(context.Context, []journal.Event) error
	}{{a.delivered, box.Delivered}, {a.held, box.Held}, {a.taken, box.Taken}} {
		if len(part.events) == 0 {
			continue
		}
		if err := part.note(ctx, part.events); err != nil {
			return err
		}
	}
	return nil
}

func (c *Client) post(ctx context.Context, events []journal.Event) (said answers, err error) {
	body := api.PostEventsJSONRequestBody{Events: make([]api.AgentEvent, len(events))}
	for i, e := range events {
		body.Events[i] = wireEvent(e)
	}
	resp, err := c.api.PostEventsWithResponse(ctx, body)
	if err != nil {
		return said, outbound.Explain(c.opt.Identity.Server, err)
	}
	if err := outbound.Check(resp.HTTPResponse, resp.ApplicationproblemJSONDefault, http.StatusOK); err != nil {
		return said, fmt.Errorf("sending events: %w", err)
	}
	if resp.JSON200 == nil || len(resp.JSON200.Results) != len(events) {
		return said, errors.New("sending events: the server did not answer for each of them")
	}
	for i, r := range resp.JSON200.Results {
		if r.EventId != events[i].ID {
			return said, errors.New("sending events: the server answered for other events")
		}
		if r.Status == api.EventResultStatusRefused {
			c.opt.Log.Warn("the control plane refused an event", "job", events[i].Job.SlurmJobID, "type", events[i].Type, "detail", text(r.Detail))
		}
		said.add(events[i], r.Status)
	}
	return said, nil
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func wireEvent(e journal.Event) api.AgentEvent {
	out := api.AgentEvent{
		EventId: e.ID, JobId: e.Job.JobID, Seq: e.Seq, Type: api.AgentEventType(e.Type), At: e.At,
		Message: optional(e.Message, 4096), Job: wireJob(e.Job),
	}
	if e.Job.Detail.Told {
		out.Told = &e.Job.Detail.Told
	}
	if len(e.Manifest) > 0 {
		entries := make([]api.ManifestEntry, len(e.Manifest))
		for i, m := range e.Manifest {
			entries[i] = wireEntry(m)
		}
		out.Manifest = &entries
	}
	return out
}

func wireJob(j journal.Job) api.JobSnapshot {
	d := j.Detail
	out := api.JobSnapshot{
		SlurmJobId: clip(j.SlurmJobID, 128), JobIdRaw: clip(j.JobIDRaw, 32), Attempt: j.Attempt, Uid: int64(j.UID), UnixUser: clip(j.User, 64),
		State: api.JobState(d.APIState), SlurmState: clip(d.SlurmState, 64), SubmitAt: j.SubmitAt,
		Name: optional(d.Name, 1024), Account: optional(d.Account, 256), Partition: optional(d.Partition, 256),
		Qos: optional(d.QOS, 256), Reason: optional(d.Reason, 1024), NodeList: optional(d.NodeList, 4096),
		ExitCode: d.ExitCode, ExitSignal: d.ExitSignal, StartAt: moment(d.StartAt), EndAt: moment(d.EndAt), Nodes: d.Nodes, Cpus: d.CPUs,
	}
	if j.SubmissionID != uuid.Nil {
		id := j.SubmissionID
		out.SubmissionId = &id
	}
	if d.Script != nil && d.Script.Valid() {
		out.Script = d.Script
	}
	if d.InputBytes > 0 {
		out.InputBytes = &d.InputBytes
	}
	if d.UploadPhase != "" {
		phase := api.UploadPhase(d.UploadPhase)
		out.UploadPhase = &phase
	}
	return out
}

func wireEntry(m outputs.Entry) api.ManifestEntry {
	return api.ManifestEntry{
		Path: clip(m.Path, 4096), Class: api.FileClass(m.Class), Size: m.FullSize, Mtime: moment(m.ModTime),
		Status: api.ManifestEntryStatus(m.Status), Reason: optional(m.Reason, 512),
	}
}

func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// optional gives nil for "", and clips to the API's limit.
func optional(s string, limit int) *string {
	if s == "" {
		return nil
	}
	s = clip(s, limit)
	return &s
}

// clip cuts a text to limit bytes at a rune's border; the API counts characters, so this is never too long.
func clip(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit]
}
