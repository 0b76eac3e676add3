package httpapi

import (
	"encoding/base64"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
	"github.com/ergon-hpc/ergon/controlplane/internal/jobs"
)

// A cursor is opaque to clients: a number and an id, the sort key of the last row.

func encodeCursor(n int64, id uuid.UUID) *string {
	s := base64.RawURLEncoding.EncodeToString([]byte(strconv.FormatInt(n, 10) + " " + id.String()))
	return &s
}

func decodeCursor(text string) (n int64, id uuid.UUID, err error) {
	bad := apperr.New(apperr.InvalidRequest, "this cursor is not one that the server gave out").WithHint("begin again without a cursor")
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return 0, id, bad
	}
	number, rest, _ := strings.Cut(string(raw), " ")
	if n, err = strconv.ParseInt(number, 10, 64); err != nil {
		return 0, id, bad
	}
	if id, err = uuid.Parse(rest); err != nil {
		return 0, id, bad
	}
	return n, id, nil
}

func formatJobCursor(c *jobs.JobCursor) *string {
	if c == nil {
		return nil
	}
	return encodeCursor(c.SubmitAt.UnixMicro(), c.ID)
}

func parseJobCursor(text *string) (*jobs.JobCursor, error) {
	if text == nil {
		return nil, nil
	}
	n, id, err := decodeCursor(*text)
	if err != nil {
		return nil, err
	}
	return &jobs.JobCursor{SubmitAt: time.UnixMicro(n).UTC(), ID: id}, nil
}

func formatEventCursor(c *jobs.EventCursor) *string {
	if c == nil {
		return nil
	}
	return encodeCursor(c.Seq, c.ID)
}

func parseEventCursor(text *string) (jobs.EventCursor, error) {
	if text == nil {
		return jobs.EventCursor{}, nil
	}
	n, id, err := decodeCursor(*text)
	return jobs.EventCursor{Seq: n, ID: id, Set: true}, err
}
