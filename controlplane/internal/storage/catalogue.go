package storage

import (
	"context"
	"encoding/base64"
	"io"
	"regexp"
	"strings"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
)

// Listing selects a user's own objects.
type Listing struct {
	Prefix     string // below the user's own prefix
	JobID      *uuid.UUID
	Class      Class
	Name       string // the original name, exactly
	NamePrefix string // what the original name begins with
	Cursor     string // of the page before
	Limit      int    // 1 to 1000; default 100
}

// Page is a page of objects in byte order of their keys. Next is empty on the last page.
type Page struct {
	Objects []Object
	Next    string
}

const (
	defaultPage = 100
	maxPage     = 1000
)

var keyAlphabet = regexp.MustCompile(`^[A-Za-z0-9._/-]*$`)

// List gives a page of the user's own objects. A prefix that no key can have gives an empty page.
func (s *Service) List(ctx context.Context, userID string, l Listing) (Page, error) {
	q := Query{
		UserID: userID, Prefix: userID + "/" + l.Prefix, JobID: l.JobID, Class: l.Class, Name: l.Name, NamePrefix: l.NamePrefix, Limit: l.Limit,
	}
	if q.Limit <= 0 {
		q.Limit = defaultPage
	}
	q.Limit = min(q.Limit, maxPage)
	var err error
	if q.After, err = afterOf(userID, l.Cursor); err != nil {
		return Page{}, err
	}
	if !keyAlphabet.MatchString(l.Prefix) {
		return Page{}, nil
	}
	limit := q.Limit
	q.Limit++ // one more tells whether there is a next page
	objects, err := s.Catalogue.Objects(ctx, q)
	if err != nil {
		return Page{}, err
	}
	for i := range objects {
		objects[i] = *s.dated(objects[i])
	}
	p := Page{Objects: objects}
	if len(objects) > limit {
		p.Objects = objects[:limit]
		p.Next = base64.RawURLEncoding.EncodeToString([]byte(objects[limit-1].Key))
	}
	return p, nil
}

func afterOf(userID, cursor string) (string, error) {
	if cursor == "" {
		return "", nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(cursor)
	key := string(raw)
	if err != nil || !strings.HasPrefix(key, userID+"/") || !keyAlphabet.MatchString(key) {
		return "", invalid("cursor", "not a cursor of this list; begin without one")
	}
	return key, nil
}

// Get finds one of the user's own objects; those of others are not found.
func (s *Service) Get(ctx context.Context, userID string, id uuid.UUID) (Object, error) {
	o, err := s.Catalogue.Object(ctx, id)
	if apperr.Is(err, apperr.NotFound) || err == nil && o.UserID != userID {
		return Object{}, unknownFile()
	}
	return *s.dated(o), err
}

func unknownFile() error { return apperr.New(apperr.NotFound, "there is no such file") }

// Download presigns a GET of one of the user's own objects, as an attachment.
func (s *Service) Download(ctx context.Context, userID string, id uuid.UUID) (Object, Presigned, error) {
	o, err := s.Get(ctx, userID, id)
	if err != nil {
		return Object{}, Presigned{}, err
	}
	p, err := s.Signer.SignGet(ctx, GetOrder{Key: o.Key, FileName: o.Name, Lifetime: s.URLLifetime})
	return o, p, err
}

// Delete removes one of the user's own objects from the books and then from the store. When the store does not answer, the
// sweeper removes the bytes later; the object is gone for everyone at once.
func (s *Service) Delete(ctx context.Context, userID string, id uuid.UUID) error {
	o, err := s.Ledger.Remove(ctx, userID, id, s.Now())
	if apperr.Is(err, apperr.NotFound) {
		return unknownFile()
	}
	if err != nil {
		return err
	}
	if err := s.Bytes.Delete(ctx, o.Key); err != nil {
		s.Log.WarnContext(ctx, "deleting an object's bytes; the sweeper will", "object_id", id, "error", err)
	}
	return nil
}

// ForJob gives the objects of one class of a job's attempt, oldest first; where a path was stored twice the younger counts.
func (s *Service) ForJob(ctx context.Context, job JobRef, class Class) ([]Object, error) {
	return s.Catalogue.JobObjects(ctx, job, class)
}

// Open reads an object in the server, for analysis: at most maxBytes, TooLarge beyond. The caller closes it.
func (s *Service) Open(ctx context.Context, o Object, maxBytes int64) (io.ReadCloser, error) {
	if o.SizeBytes > maxBytes {
		return nil, apperr.Newf(apperr.TooLarge, "the object has %d bytes, %d are allowed here", o.SizeBytes, maxBytes)
	}
	body, err := s.Bytes.Open(ctx, o.Key)
	if err != nil {
		return nil, storeErr(err)
	}
	return bounded{io.LimitReader(body, o.SizeBytes), body}, nil
}

type bounded struct {
	io.Reader
	io.Closer
}
