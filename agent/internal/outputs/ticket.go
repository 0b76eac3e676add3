package outputs

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"
)

// Tickets is the control plane as an upload sees it. The implementation retries what is safe to retry and honours
// Retry-After, so an error here is final for this attempt; *Refusal says that waiting will not help by itself.
type Tickets interface {
	// Presign reserves and presigns, at most 1000 entries in a call; tickets come back in the order of entries. Every
	// entry needs its SHA256. Asking again for an entry answers with a fresh URL or with TicketStored.
	Presign(ctx context.Context, job JobFiles, entries []Entry) ([]Ticket, error)
	// Parts presigns at most 100 parts of a multipart upload; each needs its own digest.
	Parts(ctx context.Context, uploadID uuid.UUID, parts []Part) ([]PartTicket, error)
	// Status tells which parts the store holds: the way to resume.
	Status(ctx context.Context, uploadID uuid.UUID) (UploadStatus, error)
	// Complete asks the server to verify and to store; safe to repeat. nil means that a HEAD with checksum agreed.
	Complete(ctx context.Context, uploadID uuid.UUID) error
	// Abort gives up an upload; safe to repeat.
	Abort(ctx context.Context, uploadID uuid.UUID) error
}

// TicketKind says what is to be done with an entry.
type TicketKind string

// Kinds of ticket.
const (
	TicketPut       TicketKind = "put"
	TicketMultipart TicketKind = "multipart"
	TicketStored    TicketKind = "stored"
	TicketRefused   TicketKind = "refused"
)

// Ticket is the server's answer for one entry.
type Ticket struct {
	Kind     TicketKind
	UploadID uuid.UUID
	// Put is set for TicketPut.
	Put *Request
	// PartSize (bytes) and PartCount are set for TicketMultipart.
	PartSize  int64
	PartCount int32
	// Refusal is set for TicketRefused.
	Refusal *Refusal
}

// Request is one presigned request; its headers must be sent as they are.
type Request struct {
	URL     Secret
	Headers map[string]string
	Expires time.Time
}

// Part is one part of a multipart upload, numbered from 1.
type Part struct {
	Number int32
	Size   int64
	SHA256 string
}

// PartTicket is the presigned PUT of one part.
type PartTicket struct {
	Number int32
	Put    Request
}

// UploadStatus is the server's view of an upload.
type UploadStatus struct {
	// State is reserved, stored, aborted or expired.
	State     string
	PartSize  int64
	PartCount int32
	Parts     []Part
}

// Refusal is the control plane's no, with its code (quota_exceeded, upload_expired, …) and words for the user.
type Refusal struct {
	Code   string
	Detail string
	// NeededBytes is set with quota_exceeded.
	NeededBytes int64
}

// Error tells code and detail.
func (r *Refusal) Error() string { return fmt.Sprintf("%s: %s", r.Code, r.Detail) }

// Secret is a presigned URL. It hides itself from logs, errors and JSON; only Reveal gives the text.
type Secret string

// redacted is what every printer sees.
const redacted = "[secret]"

// Reveal gives the URL. Use it for the request itself or for the pipe to a helper, never for a message.
func (s Secret) Reveal() string { return string(s) }

// String hides the URL.
func (s Secret) String() string { return redacted }

// GoString hides the URL from %#v.
func (s Secret) GoString() string { return redacted }

// Format hides the URL from every verb of fmt.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// LogValue hides the URL from slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText hides the URL from encoding/json and its like.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }
