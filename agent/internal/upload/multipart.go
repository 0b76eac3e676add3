package upload

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/agent/internal/outputs"
)

// maxParts is S3's limit of parts in one upload.
const maxParts = 10_000

// parts sends what the store does not hold yet: a resumed upload asks first.
func (r *run) parts(ctx context.Context, e outputs.Entry, t outputs.Ticket) error {
	if err := checkPlan(e, t); err != nil {
		return err
	}
	if err := r.advance(ctx, e, outputs.Step{To: outputs.FileParts, PartSize: t.PartSize}); err != nil {
		return err
	}
	status, err := r.env.Tickets.Status(ctx, t.UploadID)
	if err != nil {
		return fmt.Errorf("asking which parts are there: %w", err)
	}
	held := make(map[int32]outputs.Part, len(status.Parts))
	for _, p := range status.Parts {
		held[p.Number] = p
	}
	for number := int32(1); number <= t.PartCount; {
		if number, err = r.someParts(ctx, e, t, number, held); err != nil {
			return err
		}
	}
	return nil
}

// checkPlan refuses a plan of the server that does not cover the file exactly.
func checkPlan(e outputs.Entry, t outputs.Ticket) error {
	count := int64(t.PartCount)
	if t.PartSize <= 0 || count < 1 || count > maxParts || t.PartSize*(count-1) >= e.Size || t.PartSize*count < e.Size {
		return fmt.Errorf("the server's plan of %d parts of %d bytes does not fit a file of %d bytes", count, t.PartSize, e.Size)
	}
	return nil
}

// someParts hashes as many parts as may be asked for ahead, gets the URLs of those that the store does not hold in one call,
// and sends these. It says with which number to go on.
func (r *run) someParts(ctx context.Context, e outputs.Entry, t outputs.Ticket, number int32, held map[int32]outputs.Part) (next int32, err error) {
	var missing []outputs.Part
	for bytes := int64(0); number <= t.PartCount && bytes < aheadBytes; number++ {
		offset := int64(number-1) * t.PartSize
		part := outputs.Part{Number: number, Size: min(t.PartSize, e.Size-offset)}
		if part.SHA256, err = r.helper.HashPart(ctx, e, offset, part.Size); err != nil {
			return number, fmt.Errorf("part %d: %w", number, err)
		}
		if held[number] == part {
			r.progress.sent(part.Size)
			continue
		}
		missing, bytes = append(missing, part), bytes+part.Size
	}
	if len(missing) == 0 {
		return number, nil
	}
	urls, err := r.presignParts(ctx, t.UploadID, missing)
	if err != nil {
		return number, err
	}
	for i, part := range missing {
		fresh := func(ctx context.Context) (outputs.Request, error) {
			one, err := r.presignParts(ctx, t.UploadID, []outputs.Part{part})
			if err != nil {
				return outputs.Request{}, err
			}
			return one[0], nil
		}
		if err := r.put(ctx, e, piece{to: urls[i], offset: int64(part.Number-1) * t.PartSize, size: part.Size, fresh: fresh}); err != nil {
			return number, fmt.Errorf("part %d: %w", part.Number, err)
		}
		r.progress.sent(part.Size)
	}
	return number, nil
}

func (r *run) presignParts(ctx context.Context, id uuid.UUID, parts []outputs.Part) ([]outputs.Request, error) {
	tickets, err := r.env.Tickets.Parts(ctx, id, parts)
	if err != nil {
		return nil, fmt.Errorf("asking for URLs of parts: %w", err)
	}
	if len(tickets) != len(parts) {
		return nil, fmt.Errorf("the server gave %d URLs for %d parts", len(tickets), len(parts))
	}
	urls := make([]outputs.Request, 0, len(parts))
	for i, part := range parts {
		if tickets[i].Number != part.Number {
			return nil, errors.New("the server answered for another part")
		}
		urls = append(urls, tickets[i].Put)
	}
	return urls, nil
}
