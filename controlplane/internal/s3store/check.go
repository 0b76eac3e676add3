package s3store

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/ergon-hpc/ergon/controlplane/internal/storage"
	"github.com/ergon-hpc/ergon/shared/secret"
)

// probePrefix is where checks write; no user's key begins so.
const probePrefix = "_ergon/check/"

// Check asks whether maintenance reaches the bucket.
func (s *Store) Check(ctx context.Context) error {
	ok, err := s.core.BucketExists(ctx, s.bucket)
	if err != nil {
		return fmt.Errorf("asking for the bucket %q: %w", s.bucket, secret.StripURL(err))
	}
	if !ok {
		return fmt.Errorf("the store has no bucket %q, or maintenance may not see it; make it and grant access", s.bucket)
	}
	return nil
}

// Finding is one line of the check: what was tried, what came of it.
type Finding struct {
	Name string
	OK   bool
	Text string
}

// CheckIdentities tries out what the three identities can do, on objects below _ergon/check/ that it removes again. Every
// finding that is not OK makes the set-up unsafe or unusable: refuse to start. An error means that trying was not possible.
func (s *Store) CheckIdentities(ctx context.Context) ([]Finding, error) {
	probe, err := s.newProbe(ctx)
	if err != nil {
		return nil, err
	}
	defer probe.remove(context.WithoutCancel(ctx))
	// Deleting comes last: where it works the probe is gone, and the others would find nothing to copy or overwrite.
	put, get := s.signer(s.cfg.PutSigner), s.signer(s.cfg.GetSigner)
	return append(
		probe.signedPuts(ctx),
		s.mayNot(ctx, "put signer cannot read", put, probe.read),
		s.mayNot(ctx, "put signer cannot list", put, s.list),
		s.mayNot(ctx, "get signer cannot write", get, probe.write),
		s.mayNot(ctx, "get signer cannot list", get, s.list),
		s.mayNot(ctx, "put signer cannot delete", put, probe.drop),
		s.mayNot(ctx, "get signer cannot delete", get, probe.drop),
	), nil
}

type attempt func(ctx context.Context, c *minio.Client) error

// signer is a client of an identity on the server's own URL: the public one may not be reachable from here.
func (s *Store) signer(id Identity) *minio.Client {
	c, err := client(s.cfg, s.cfg.URL, id)
	if err != nil {
		return nil
	}
	return c
}

func (s *Store) mayNot(ctx context.Context, name string, c *minio.Client, try attempt) Finding {
	err := try(ctx, c)
	if err == nil {
		return Finding{Name: name, Text: "it can: give this identity a policy that allows nothing but " + strings.ToUpper(name[:3]) + " of objects"}
	}
	if code := minio.ToErrorResponse(err).Code; code != "AccessDenied" {
		return Finding{Name: name, Text: "the store answers " + code + " where AccessDenied was expected; are the keys right?"}
	}
	return Finding{Name: name, OK: true, Text: "refused by the store"}
}

func (s *Store) list(ctx context.Context, c *minio.Client) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for o := range c.ListObjectsIter(ctx, s.bucket, minio.ListObjectsOptions{Prefix: probePrefix, MaxKeys: 1}) {
		return o.Err
	}
	return nil
}

// probe is an object of maintenance, and the keys of others that the check writes.
type probe struct {
	s    *Store
	key  string
	keys []string
}

const probeText = "ergon check"

func (s *Store) newProbe(ctx context.Context) (*probe, error) {
	p := &probe{s: s, key: probePrefix + rand.Text()}
	p.keys = []string{p.key}
	_, err := s.core.Client.PutObject(ctx, s.bucket, p.key, strings.NewReader(probeText), int64(len(probeText)),
		minio.PutObjectOptions{DisableContentSha256: true, SendContentMd5: true, DisableMultipart: true})
	if err != nil {
		return nil, fmt.Errorf("writing a probe object as maintenance: %w", secret.StripURL(err))
	}
	return p, nil
}

func (p *probe) newKey() string {
	key := probePrefix + rand.Text()
	p.keys = append(p.keys, key)
	return key
}

func (p *probe) remove(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for _, key := range p.keys {
		_ = p.s.Delete(ctx, key) // what is left lies below _ergon/check/ and harms nobody
	}
}

func (p *probe) read(ctx context.Context, c *minio.Client) error {
	_, err := c.StatObject(ctx, p.s.bucket, p.key, minio.StatObjectOptions{})
	if err == nil {
		return nil
	}
	// HEAD has no body to name the reason, so ask with GET, which has.
	body, _, _, err := minio.Core{Client: c}.GetObject(ctx, p.s.bucket, p.key, minio.GetObjectOptions{})
	if err == nil {
		err = body.Close()
	}
	return err
}

func (p *probe) write(ctx context.Context, c *minio.Client) error {
	_, err := c.PutObject(ctx, p.s.bucket, p.newKey(), strings.NewReader(probeText), int64(len(probeText)),
		minio.PutObjectOptions{DisableContentSha256: true, SendContentMd5: true, DisableMultipart: true})
	return err
}

func (p *probe) drop(ctx context.Context, c *minio.Client) error {
	return c.RemoveObject(ctx, p.s.bucket, p.key, minio.RemoveObjectOptions{})
}

// signedPuts tries what a holder of a presigned PUT could try.
func (p *probe) signedPuts(ctx context.Context) []Finding {
	source := "/" + p.s.bucket + "/" + p.key
	return []Finding{
		p.lie(ctx, "presigned PUT works", http.StatusOK, nil),
		p.lie(ctx, "presigned PUT refuses an unsigned copy source", 0, func(r *http.Request) { r.Header.Set("X-Amz-Copy-Source", source) }),
		p.lie(ctx, "presigned PUT refuses another content", 0, func(r *http.Request) { setBody(r, strings.ToUpper(probeText)) }),
		p.lie(ctx, "presigned PUT refuses another length", 0, func(r *http.Request) { setBody(r, probeText+"!") }),
		p.overwrite(ctx),
	}
}

func setBody(r *http.Request, text string) {
	body := strings.NewReader(text)
	r.Body, r.ContentLength = readCloser{body}, int64(len(text))
}

type readCloser struct{ *strings.Reader }

func (readCloser) Close() error { return nil }

// lie sends a presigned PUT, changed by change; want 0 means any refusal.
func (p *probe) lie(ctx context.Context, name string, want int, change func(*http.Request)) Finding {
	key := p.newKey()
	status, err := p.send(ctx, key, change)
	switch {
	case err != nil && want != 0:
		return Finding{Name: name, Text: "the store cannot be reached at its own URL: " + err.Error()}
	case want != 0 && status != want:
		return Finding{Name: name, Text: fmt.Sprintf("the store answers %d; is its clock right, and may the put signer put?", status)}
	case want == 0 && err == nil && status < http.StatusMultipleChoices:
		return Finding{Name: name, Text: "the store accepts it: this store cannot be used safely"}
	}
	if _, err := p.s.Head(ctx, key); want == 0 && !errors.Is(err, storage.ErrNoObject) {
		return Finding{Name: name, Text: "the store refuses it but keeps an object: this store cannot be used safely"}
	}
	return Finding{Name: name, OK: true, Text: "as it should be"}
}

func (p *probe) overwrite(ctx context.Context) Finding {
	const name = "presigned PUT does not overwrite"
	status, err := p.send(ctx, p.key, nil)
	if err == nil && status < http.StatusMultipleChoices {
		return Finding{Name: name, Text: "the store ignores if-none-match: this store cannot be used safely"}
	}
	return Finding{Name: name, OK: true, Text: "as it should be"}
}

func (p *probe) send(ctx context.Context, key string, change func(*http.Request)) (int, error) {
	own := &Store{bucket: p.s.bucket, put: p.s.signer(p.s.cfg.PutSigner)}
	signed, err := own.SignPut(ctx, storage.PutOrder{
		Key: key, ContentType: "text/plain", SizeBytes: int64(len(probeText)), SHA256: sha256.Sum256([]byte(probeText)), Lifetime: time.Minute,
	})
	if err != nil {
		return 0, err
	}
	return p.sendSigned(ctx, signed, change)
}

func (p *probe) sendSigned(ctx context.Context, signed storage.Presigned, change func(*http.Request)) (int, error) {
	req, err := newRequest(ctx, signed)
	if err != nil {
		return 0, err
	}
	setBody(req, probeText)
	if change != nil {
		change(req)
	}
	resp, err := p.s.transport().RoundTrip(req)
	if err != nil {
		return 0, fmt.Errorf("sending a presigned request: %w", secret.StripURL(err))
	}
	return resp.StatusCode, resp.Body.Close()
}

func newRequest(ctx context.Context, signed storage.Presigned) (*http.Request, error) {
	u, err := url.Parse(signed.URL.Reveal())
	if err != nil {
		return nil, errors.New("a presigned URL cannot be parsed")
	}
	req := (&http.Request{Method: signed.Method, URL: u, Host: u.Host, Header: http.Header{}, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}).WithContext(ctx)
	for name, value := range signed.Headers {
		if name != "Content-Length" {
			req.Header.Set(name, value)
		}
	}
	return req, nil
}
