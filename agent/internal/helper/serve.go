package helper

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/ergon-hpc/ergon/agent/internal/collect"
	"github.com/ergon-hpc/ergon/agent/internal/outputs"
	"github.com/ergon-hpc/ergon/agent/internal/safefs"
)

// parallel is how many requests one helper serves at a time; the broker bounds how many helpers there are.
const parallel = 4

// maxTail bounds the answer to a tail.
const maxTail = 1 << 20

// Confine limits the process to the job's directories before the first of its files is opened (Landlock).
type Confine func(job outputs.JobFiles) error

// Serve answers requests on conn until the broker hangs up, which is no error, or ctx ends.
// The first request must be begin: it names the job, once.
func Serve(ctx context.Context, conn io.ReadWriteCloser, confine Confine) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	context.AfterFunc(ctx, func() { _ = conn.Close() })
	s := &server{frames: &frames{conn: conn}, client: newHTTPClient(), slots: make(chan struct{}, parallel)}
	defer s.running.Wait()
	defer cancel() // before the wait: requests that still run end with their context
	if over, err := s.begin(ctx, confine); over || err != nil {
		return ignoreHangup(err)
	}
	for {
		var req request
		if err := s.frames.read(&req); err != nil {
			return ignoreHangup(err)
		}
		s.slots <- struct{}{}
		s.running.Go(func() {
			defer func() { <-s.slots }()
			s.reply(req.ID, s.serve(ctx, req))
		})
	}
}

func ignoreHangup(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.ErrClosedPipe) {
		return nil
	}
	return err
}

type server struct {
	frames  *frames
	client  *http.Client
	job     outputs.JobFiles
	slots   chan struct{}
	running sync.WaitGroup
}

// begin takes the first request; over says that it was a question to Slurm, after which nothing more is served.
func (s *server) begin(ctx context.Context, confine Confine) (over bool, err error) {
	var req request
	if err := s.frames.read(&req); err != nil {
		return false, err
	}
	if req.Verb == verbSlurm && req.Slurm != nil {
		r, err := answerSlurm(ctx, *req.Slurm)
		if err != nil {
			r = failed(err)
		}
		s.reply(req.ID, r)
		return true, nil
	}
	if req.Verb != verbBegin || req.Job == nil {
		return false, errors.New("the first request must name the job")
	}
	s.job = *req.Job
	if err := confine(s.job); err != nil {
		s.reply(req.ID, failed(err))
		return false, err
	}
	s.reply(req.ID, response{})
	return false, nil
}

// reply writes an answer. A broker that is gone ends the reading side too, so the error says nothing new.
func (s *server) reply(id uint64, r response) {
	r.ID = id
	_ = s.frames.write(r)
}

func (s *server) serve(ctx context.Context, req request) response {
	r, err := s.do(ctx, req)
	if err != nil {
		return failed(err)
	}
	return r
}

func (s *server) do(ctx context.Context, req request) (response, error) {
	switch req.Verb {
	case verbCollect:
		m, err := collect.Files(ctx, s.job, time.Now)
		return response{Manifest: &m}, err
	case verbHash:
		return s.hash(ctx, req)
	case verbHashPart:
		return s.hashPart(ctx, req)
	case verbPut:
		return response{}, s.put(ctx, req)
	case verbTail:
		data, err := collect.Tail(s.job, req.Entry.Class, min(req.Size, maxTail))
		return response{Data: data}, err
	default:
		return response{}, fmt.Errorf("unknown request %q", req.Verb)
	}
}

// hash answers with the entry as the file is now, and the digest of exactly that state.
func (s *server) hash(ctx context.Context, req request) (response, error) {
	c, err := collect.Open(s.job, req.Entry)
	if err != nil {
		return response{}, err
	}
	sum, err := c.SHA256(ctx)
	if err = errors.Join(err, c.Close()); err != nil {
		return response{}, err
	}
	e := c.Entry
	e.SHA256 = sum
	return response{Entry: &e}, nil
}

// recorded opens the file and insists on the state that the entry records.
func (s *server) recorded(e outputs.Entry) (*collect.Content, error) {
	c, err := collect.Open(s.job, e)
	if err != nil {
		return nil, err
	}
	if !collect.Same(c.Entry, e) {
		return nil, errors.Join(fmt.Errorf("%q: %w", e.Path, safefs.ErrChanged), c.Close())
	}
	return c, nil
}

func (s *server) hashPart(ctx context.Context, req request) (response, error) {
	c, err := s.recorded(req.Entry)
	if err != nil {
		return response{}, err
	}
	sum, err := c.HashRange(ctx, req.Offset, req.Size)
	return response{SHA256: sum}, errors.Join(err, c.Close())
}

// put sends a file or one part of it from the descriptor and looks again when it is sent: the signature holds the
// content, the second look holds the claim that this is what lies on disk.
func (s *server) put(ctx context.Context, req request) error {
	if req.Put == nil || req.Offset < 0 || req.Size < 0 {
		return errors.New("a put needs a presigned request and a part")
	}
	c, err := s.recorded(req.Entry)
	if err != nil {
		return err
	}
	body := &source{from: c.Reader(req.Offset, req.Size)}
	err = send(ctx, s.client, *req.Put, body, req.Size)
	if fault := body.fault(); fault != nil {
		err = fmt.Errorf("reading %q: %w", req.Entry.Path, fault) // the store is not to blame for what it did not get
	}
	if changed := c.Unchanged(); changed != nil {
		err = changed
	}
	return errors.Join(err, c.Close())
}
