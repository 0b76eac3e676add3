package transfer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/shared/api"
)

// ErrChanged says that a file changed while it was sent.
var ErrChanged = errors.New("the file changed while it was sent; put it again when nothing writes to it")

// sending is one file on its way up.
type sending struct {
	*Mover
	file *os.File
	cut  cut // what is known of the file, and its upload
	bar  Bar
}

// Put sends a regular file under a name of its own choice and gives the stored object. It resumes an upload of the same
// file that was cut off before, and it may be called again after any error.
func (m *Mover) Put(ctx context.Context, path, name string, class api.FileClass) (object *api.FileObject, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("opening the file: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	s := &sending{Mover: m, file: f}
	if s.cut, err = facts(f, path, name); err != nil {
		return nil, err
	}
	s.bar = m.Progress.Begin(name, s.cut.Size)
	defer func() { s.bar.End(err) }()
	return s.send(ctx, class)
}

func facts(f *os.File, path, name string) (cut, error) {
	st, err := f.Stat()
	if err != nil {
		return cut{}, fmt.Errorf("looking at the file: %w", err)
	}
	if !st.Mode().IsRegular() {
		return cut{}, errors.New("it is no regular file")
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return cut{}, fmt.Errorf("looking at the file: %w", err)
	}
	return cut{Path: abs, Name: name, Size: st.Size(), ModNano: st.ModTime().UnixNano()}, nil
}

func (s *sending) send(ctx context.Context, class api.FileClass) (*api.FileObject, error) {
	plan, object, err := s.resume(ctx)
	if err != nil || object != nil {
		return object, err
	}
	if object := s.known(); object != nil {
		return s.checked(object)
	}
	if plan == nil {
		ticket, err := s.reserve(ctx, class)
		if err != nil {
			return nil, err
		}
		switch ticket.Status {
		case api.UploadTicketStatusStored:
			return s.checked(ticket.File)
		case api.UploadTicketStatusPut:
			if err := s.single(ctx, ticket, class); err != nil {
				return nil, err
			}
		case api.UploadTicketStatusMultipart:
			plan = &partPlan{size: value(ticket.PartSize), count: value(ticket.PartCount)}
		default:
			return nil, fmt.Errorf("the server answered with an unknown kind of ticket %q", ticket.Status)
		}
		s.cut.UploadID = value(ticket.UploadId)
	}
	if plan != nil {
		if err := s.multipart(ctx, *plan); err != nil {
			return nil, err
		}
	}
	return s.complete(ctx)
}

// known finds the file among those that are stored.
func (s *sending) known() *api.FileObject {
	for _, o := range s.Stored[s.cut.Name] {
		if o.Size == s.cut.Size && o.Sha256 == s.cut.SHA256 {
			s.bar.Add(o.Size)
			return &o
		}
	}
	return nil
}

// resume asks what became of an upload of this file that was cut off. Whatever does not fit any more is begun anew.
func (s *sending) resume(ctx context.Context) (*partPlan, *api.FileObject, error) {
	before, found := s.Memory.recall(s.cut)
	if !found {
		return nil, nil, s.hash(ctx)
	}
	status, err := ask(ctx, s.Mover, func() (*api.UploadStatus, error) { return s.Server.Status(ctx, before.UploadID) })
	_, temporary := retryable(err)
	switch {
	case err != nil && (temporary || ctx.Err() != nil):
		return nil, nil, fmt.Errorf("asking for the upload that was cut off: %w", err)
	case err != nil, status.Size != s.cut.Size, value(status.Sha256) != before.SHA256, status.Status == api.UploadStatusStatusAborted,
		status.Status == api.UploadStatusStatusExpired, status.PartSize == nil && status.Status != api.UploadStatusStatusStored:
		return nil, nil, s.hash(ctx)
	}
	s.cut = before
	if status.Status == api.UploadStatusStatusStored {
		object, err := s.checked(status.File)
		return nil, object, err
	}
	plan := &partPlan{size: value(status.PartSize), count: value(status.PartCount), held: map[int32]api.PartDigest{}}
	for _, p := range value(status.Parts) {
		plan.held[p.Number] = p
	}
	return plan, nil, nil
}

// hash reads the whole file once.
func (s *sending) hash(ctx context.Context) error {
	sum, err := s.digest(ctx, 0, s.cut.Size)
	s.cut.SHA256 = sum
	return err
}

func (s *sending) digest(ctx context.Context, offset, size int64) (string, error) {
	h := sha256.New()
	n, err := io.Copy(h, &stoppable{ctx, io.NewSectionReader(s.file, offset, size)})
	if err != nil {
		return "", fmt.Errorf("reading the file: %w", err)
	}
	if n != size {
		return "", ErrChanged
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// stoppable ends a long read when its context does.
type stoppable struct {
	ctx context.Context //nolint:containedctx // lives as long as one read of a file
	r   io.Reader
}

// Read checks before each piece.
func (s *stoppable) Read(p []byte) (int, error) {
	if s.ctx.Err() != nil {
		return 0, context.Cause(s.ctx)
	}
	return s.r.Read(p)
}

func (s *sending) reserve(ctx context.Context, class api.FileClass) (*api.UploadTicket, error) {
	want := api.UploadRequest{Name: s.cut.Name, Size: s.cut.Size, Sha256: s.cut.SHA256}
	if class != "" {
		want.Class = &class
	}
	ticket, err := ask(ctx, s.Mover, func() (*api.UploadTicket, error) { return s.Server.Presign(ctx, want) })
	if err != nil {
		return nil, fmt.Errorf("asking for an upload: %w", err)
	}
	if ticket.Status == api.UploadTicketStatusRefused {
		return nil, refusal(ticket)
	}
	if ticket.UploadId == nil && ticket.Status != api.UploadTicketStatusStored {
		return nil, errEmpty
	}
	return ticket, nil
}

// complete lets the server verify what the store holds.
func (s *sending) complete(ctx context.Context) (*api.FileObject, error) {
	if err := s.unchanged(); err != nil {
		return nil, err
	}
	object, err := ask(ctx, s.Mover, func() (*api.FileObject, error) { return s.Server.Complete(ctx, s.cut.UploadID) })
	if err != nil {
		return nil, fmt.Errorf("the bytes were sent, but the server does not confirm them: %w", err)
	}
	return s.checked(object)
}

func (s *sending) unchanged() error {
	now, err := facts(s.file, s.cut.Path, s.cut.Name)
	if err != nil {
		return err
	}
	if now.Size != s.cut.Size || now.ModNano != s.cut.ModNano {
		return ErrChanged
	}
	return nil
}

// checked holds the server to what was sent, and forgets the upload.
func (s *sending) checked(object *api.FileObject) (*api.FileObject, error) {
	if object == nil || object.Id == uuid.Nil {
		return nil, errEmpty
	}
	if object.Size != s.cut.Size || object.Sha256 != s.cut.SHA256 {
		return nil, fmt.Errorf("the server stored %d bytes with checksum %.12s… instead of %d with %.12s…; tell your administrators",
			object.Size, object.Sha256, s.cut.Size, s.cut.SHA256)
	}
	return object, s.Memory.forget(s.cut.Path, s.cut.Name)
}

func value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}
