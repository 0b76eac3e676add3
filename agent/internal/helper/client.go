package helper

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/ergon-hpc/ergon/agent/internal/outputs"
)

// ErrGone says that the helper ended before it answered.
var ErrGone = errors.New("the helper process is gone")

// Client is the broker's end of one helper. Its methods may be called at the same time.
type Client struct {
	frames *frames

	mu      sync.Mutex
	next    uint64
	waiting map[uint64]chan response
	ended   error // why no answer will come; nil while the helper lives
	reader  sync.WaitGroup
}

// NewClient begins a conversation about job on conn, which it owns from now on. The helper confines itself to the
// job's directories before it answers; outputs.ErrUnsupported means that the kernel cannot do that.
func NewClient(ctx context.Context, conn io.ReadWriteCloser, job outputs.JobFiles) (*Client, error) {
	c := &Client{frames: &frames{conn: conn}, waiting: map[uint64]chan response{}}
	c.reader.Go(c.read)
	if _, err := c.call(ctx, request{Verb: verbBegin, Job: &job}); err != nil {
		return nil, errors.Join(fmt.Errorf("starting the helper: %w", err), c.Close())
	}
	return c, nil
}

// Close hangs up; the helper ends by itself.
func (c *Client) Close() error {
	err := c.frames.conn.Close()
	c.reader.Wait()
	return err
}

// Collect lists the job's files.
func (c *Client) Collect(ctx context.Context) (outputs.Manifest, error) {
	r, err := c.call(ctx, request{Verb: verbCollect})
	if err != nil {
		return outputs.Manifest{}, err
	}
	if r.Manifest == nil {
		return outputs.Manifest{}, errors.New("the helper sent no manifest")
	}
	return *r.Manifest, nil
}

// Hash reads the whole file and answers with the entry as the file is now, its SHA256 filled in.
func (c *Client) Hash(ctx context.Context, e outputs.Entry) (outputs.Entry, error) {
	r, err := c.call(ctx, request{Verb: verbHash, Entry: e})
	if err != nil {
		return outputs.Entry{}, err
	}
	if r.Entry == nil || r.Entry.Path != e.Path || r.Entry.Class != e.Class {
		return outputs.Entry{}, errors.New("the helper answered for another file")
	}
	return *r.Entry, nil
}

// HashPart is the digest of sizeBytes bytes from offset; safefs.ErrChanged when the file is not the recorded one.
func (c *Client) HashPart(ctx context.Context, e outputs.Entry, offset, sizeBytes int64) (string, error) {
	r, err := c.call(ctx, request{Verb: verbHashPart, Entry: e, Offset: offset, Size: sizeBytes})
	return r.SHA256, err
}

// Put sends a part of the file, or all of it. Errors: safefs.ErrChanged, *StoreError, ErrGone.
func (c *Client) Put(ctx context.Context, e outputs.Entry, to outputs.Request, offset, sizeBytes int64) error {
	p := &put{URL: to.URL.Reveal(), Headers: to.Headers}
	_, err := c.call(ctx, request{Verb: verbPut, Entry: e, Put: p, Offset: offset, Size: sizeBytes})
	return err
}

// Tail is the end of stdout or stderr.
func (c *Client) Tail(ctx context.Context, stream outputs.Class, limit int64) ([]byte, error) {
	r, err := c.call(ctx, request{Verb: verbTail, Entry: outputs.Entry{Class: stream}, Size: limit})
	return r.Data, err
}

func (c *Client) call(ctx context.Context, req request) (response, error) {
	answer := make(chan response, 1)
	if err := c.register(&req, answer); err != nil {
		return response{}, err
	}
	defer c.forget(req.ID)
	if err := c.frames.write(req); err != nil {
		return response{}, fmt.Errorf("%w: %w", ErrGone, err)
	}
	select {
	case r, ok := <-answer:
		if !ok {
			return response{}, c.why()
		}
		return r, r.err()
	case <-ctx.Done():
		return response{}, fmt.Errorf("waiting for the helper: %w", context.Cause(ctx))
	}
}

func (c *Client) register(req *request, answer chan response) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended != nil {
		return c.ended
	}
	c.next++
	req.ID = c.next
	c.waiting[req.ID] = answer
	return nil
}

func (c *Client) forget(id uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.waiting, id)
}

func (c *Client) why() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ended
}

// read hands answers to those who wait until the helper hangs up; then all of them learn that it is gone.
func (c *Client) read() {
	var err error
	for err == nil {
		var r response
		if err = c.frames.read(&r); err == nil {
			c.deliver(r)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = fmt.Errorf("%w (%w)", ErrGone, err)
	for id, answer := range c.waiting {
		close(answer)
		delete(c.waiting, id)
	}
}

func (c *Client) deliver(r response) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if answer, waits := c.waiting[r.ID]; waits {
		delete(c.waiting, r.ID)
		answer <- r
	}
}
