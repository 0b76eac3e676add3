package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/ergon-hpc/ergon/agent/internal/outbound"
	"github.com/ergon-hpc/ergon/agent/internal/term"
	"github.com/ergon-hpc/ergon/shared/api"
)

// partPlan is the server's cut of a file into parts, with those that the store holds already.
type partPlan struct {
	size  int64
	count int32
	held  map[int32]api.PartDigest
}

const (
	maxParts = 10_000 // S3's limit of parts in one upload
	batch    = 16     // parts presigned at once: late, so that their URLs do not run out while others are sent
)

// refusal is the problem in a refused ticket, as an error.
func refusal(ticket *api.UploadTicket) error {
	if ticket.Problem == nil {
		return errors.New("the server refused the upload without a reason")
	}
	p := ticket.Problem
	out := &outbound.Problem{Status: p.Status, Code: p.Code, Title: term.Clean(p.Title), Quota: p.Quota}
	if p.Detail != nil {
		out.Detail = term.Clean(*p.Detail)
	}
	return out
}

// single sends a small file in one PUT.
func (s *sending) single(ctx context.Context, ticket *api.UploadTicket, class api.FileClass) error {
	if ticket.Put == nil {
		return errEmpty
	}
	return s.piece(ctx, *ticket.Put, 0, s.cut.Size, func() (api.PresignedRequest, error) {
		fresh, err := s.reserve(ctx, class)
		if err != nil || fresh.Put == nil {
			return api.PresignedRequest{}, errors.Join(err, errEmpty)
		}
		ticket.UploadId = fresh.UploadId
		return *fresh.Put, nil
	})
}

// piece PUTs a range of the file. What fails for a while is sent again; a signature that is denied is renewed once.
// That the key already holds an object is good: completing verifies it.
func (s *sending) piece(ctx context.Context, to api.PresignedRequest, offset, size int64, renew func() (api.PresignedRequest, error)) error {
	release, err := s.slot(ctx)
	if err != nil {
		return err
	}
	defer release()
	renewed := false
	for n := 0; ; n++ {
		counter := &counted{r: io.NewSectionReader(s.file, offset, size), bar: s.bar}
		err := put(ctx, s.Store, to, counter, size)
		var store *StoreError
		answered := errors.As(err, &store)
		switch {
		case err == nil:
			return nil
		case answered && store.alreadyThere():
			s.bar.Add(size - counter.sent.Load())
			return nil
		}
		s.bar.Add(-counter.sent.Load())
		if answered && store.denied() && !renewed {
			renewed = true
			if to, err = renew(); err != nil {
				return fmt.Errorf("asking for a fresh signature: %w", err)
			}
			continue
		}
		if !s.again(ctx, n, err) {
			return err
		}
	}
}

// counted tells the bar what was read. The transport may still read while its request has already failed.
type counted struct {
	r    io.Reader
	bar  Bar
	sent atomic.Int64
}

// Read counts.
func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.sent.Add(int64(n))
	c.bar.Add(int64(n))
	return n, err
}

// multipart sends what the store does not hold yet, several parts at once.
func (s *sending) multipart(ctx context.Context, plan partPlan) error {
	if err := plan.check(s.cut.Size); err != nil {
		return err
	}
	if err := s.Memory.keep(s.cut); err != nil {
		return err
	}
	numbers := make([]int32, plan.count)
	for i := range numbers {
		numbers[i] = int32(i) + 1
	}
	for some := range slices.Chunk(numbers, batch) {
		if err := s.parts(ctx, plan, some); err != nil {
			return err
		}
	}
	return nil
}

// check refuses a plan that does not cover the file exactly.
func (p partPlan) check(size int64) error {
	count := int64(p.count)
	if p.size <= 0 || count < 1 || count > maxParts || p.size > size || p.size*(count-1) >= size || p.size*count < size {
		return fmt.Errorf("the server's plan of %d parts of %d bytes does not fit a file of %d bytes", count, p.size, size)
	}
	return nil
}

func (p partPlan) at(number int32, size int64) (offset, length int64) {
	offset = int64(number-1) * p.size
	return offset, min(p.size, size-offset)
}

// parts hashes a batch, has the missing ones presigned, and sends them.
func (s *sending) parts(ctx context.Context, plan partPlan, numbers []int32) error {
	missing, err := s.missing(ctx, plan, numbers)
	if err != nil || len(missing) == 0 {
		return err
	}
	urls, err := ask(ctx, s.Mover, func() (map[int32]api.PresignedRequest, error) { return s.Server.Parts(ctx, s.cut.UploadID, missing) })
	if err != nil {
		return fmt.Errorf("asking for the parts' signatures: %w", err)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(s.Parallel)
	for _, part := range missing {
		group.Go(func() error { return s.part(ctx, plan, part, urls[part.Number]) })
	}
	return group.Wait()
}

// missing are the parts of a batch whose bytes the store does not hold.
func (s *sending) missing(ctx context.Context, plan partPlan, numbers []int32) ([]api.PartDigest, error) {
	digests := make([]api.PartDigest, len(numbers))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(s.Parallel)
	for i, number := range numbers {
		group.Go(func() error {
			offset, size := plan.at(number, s.cut.Size)
			sum, err := s.digest(ctx, offset, size)
			digests[i] = api.PartDigest{Number: number, Size: size, Sha256: sum}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(digests, func(d api.PartDigest) bool {
		held := plan.held[d.Number] == d
		if held {
			s.bar.Add(d.Size)
		}
		return held
	}), nil
}

func (s *sending) part(ctx context.Context, plan partPlan, part api.PartDigest, to api.PresignedRequest) error {
	renew := func() (api.PresignedRequest, error) {
		urls, err := s.Server.Parts(ctx, s.cut.UploadID, []api.PartDigest{part})
		return urls[part.Number], err
	}
	offset, size := plan.at(part.Number, s.cut.Size)
	if err := s.piece(ctx, to, offset, size, renew); err != nil {
		return fmt.Errorf("part %d: %w", part.Number, err)
	}
	return nil
}
