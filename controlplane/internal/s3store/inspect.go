package s3store

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/ergon-hpc/ergon/controlplane/internal/storage"
)

// exportsPrefix is where archives for users lie for some days.
const exportsPrefix = "_ergon/exports/"

// Answer is yes, no, or not known.
type Answer string

// The answers.
const (
	Yes     Answer = "yes"
	No      Answer = "no"
	Unknown Answer = "unknown"
)

// Feature is one line of what a store supports and what is in force on our bucket. Needed: without it the store cannot be
// used safely.
type Feature struct {
	Name      string
	Supported Answer
	InForce   Answer
	Needed    bool
	Text      string
}

// Inspect tries out what the store does, on objects below _ergon/check/ that it removes again. An error means that trying
// was not possible.
func (s *Store) Inspect(ctx context.Context) ([]Feature, error) {
	findings, err := s.CheckIdentities(ctx)
	if err != nil {
		return nil, err
	}
	list := []Feature{
		s.inspectVersioning(ctx), s.inspectEncryption(ctx), s.inspectLifecycle(ctx), s.inspectCORS(ctx),
		s.inspectChecksum(ctx), s.inspectComposite(ctx), s.inspectUploadListing(ctx), s.inspectDeletion(ctx),
	}
	for _, f := range findings {
		list = append(list, fromFinding(f))
	}
	return list, nil
}

// AtRest says whether versions are kept and whether objects are encrypted.
func (s *Store) AtRest(ctx context.Context) []Feature {
	return []Feature{s.inspectVersioning(ctx), s.inspectEncryption(ctx)}
}

func fromFinding(f Finding) Feature {
	answer := Yes
	if !f.OK {
		answer = No
	}
	return Feature{Name: f.Name, Supported: answer, InForce: answer, Needed: true, Text: f.Text}
}

// byError names a question that the store did not answer.
func byError(name string, err error) Feature {
	switch {
	case unsupported(err):
		return Feature{Name: name, Supported: No, InForce: No, Text: "the store does not have it"}
	case denied(err):
		return Feature{Name: name, Supported: Unknown, InForce: Unknown, Text: "maintenance may not ask"}
	}
	return Feature{Name: name, Supported: Unknown, InForce: Unknown, Text: "the store answers " + minio.ToErrorResponse(err).Code}
}

func (s *Store) inspectVersioning(ctx context.Context) Feature {
	const name = "versioning"
	c, err := s.core.GetBucketVersioning(ctx, s.bucket)
	if err != nil {
		return byError(name, err)
	}
	if c.Enabled() {
		return Feature{Name: name, Supported: Yes, InForce: Yes, Text: "deleting removes all versions"}
	}
	return Feature{Name: name, Supported: Yes, InForce: No, Text: "off"}
}

// inspectEncryption believes no setting: it writes an object and asks how it is stored.
func (s *Store) inspectEncryption(ctx context.Context) Feature {
	const name = "encryption"
	f := Feature{Name: name, Supported: Yes, InForce: No, Text: "new objects are stored in plain"}
	if _, err := s.core.GetBucketEncryption(ctx, s.bucket); err != nil {
		if unsupported(err) || denied(err) {
			f = byError(name, err)
		}
	}
	p, err := s.newProbe(ctx)
	if err != nil {
		return byError(name, err)
	}
	defer p.remove(context.WithoutCancel(ctx))
	info, err := s.core.StatObject(ctx, s.bucket, p.key, minio.StatObjectOptions{})
	if err != nil {
		return byError(name, err)
	}
	if kind := info.Metadata.Get("X-Amz-Server-Side-Encryption"); kind != "" {
		return Feature{Name: name, Supported: Yes, InForce: Yes, Text: "the store says " + kind}
	}
	f.InForce = No
	return f
}

func (s *Store) inspectLifecycle(ctx context.Context) Feature {
	const name = "lifecycle"
	c, err := s.core.GetBucketLifecycle(ctx, s.bucket)
	if err != nil && minio.ToErrorResponse(err).Code != "NoSuchLifecycleConfiguration" {
		return byError(name, err)
	}
	var ours []string
	if c != nil {
		for _, r := range c.Rules {
			if strings.HasPrefix(r.ID, rulePrefix) {
				ours = append(ours, strings.TrimPrefix(r.ID, rulePrefix))
			}
		}
	}
	if len(ours) == 0 {
		return Feature{Name: name, Supported: Yes, InForce: No, Text: "no rule of Ergon; the sweeper does all of it"}
	}
	return Feature{Name: name, Supported: Yes, InForce: Yes, Text: "rules: " + strings.Join(ours, ", ")}
}

// inspectCORS asks as a browser would before a presigned PUT.
func (s *Store) inspectCORS(ctx context.Context) Feature {
	const name, origin = "CORS", "https://ergon-check.invalid"
	f := Feature{Name: name, Supported: Yes, InForce: No, Text: "browsers of other origins are refused; the CLI and agents do not need it"}
	if _, err := s.core.GetBucketCors(ctx, s.bucket); err != nil && unsupported(err) {
		f.Supported, f.Text = No, f.Text+"; no setting for a bucket"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodOptions, s.core.EndpointURL().String()+"/"+s.bucket+"/"+probePrefix+"x", http.NoBody)
	if err != nil {
		return byError(name, err)
	}
	req.Header.Set("Origin", origin)
	req.Header.Set("Access-Control-Request-Method", http.MethodPut)
	resp, err := s.transport().RoundTrip(req)
	if err != nil {
		return byError(name, err)
	}
	_ = resp.Body.Close() // nothing of it is wanted
	if allowed := resp.Header.Get("Access-Control-Allow-Origin"); allowed == "*" || allowed == origin {
		f.InForce, f.Text = Yes, "any origin may use presigned URLs"
	}
	return f
}

func (s *Store) transport() http.RoundTripper {
	if s.cfg.Transport != nil {
		return s.cfg.Transport
	}
	return http.DefaultTransport
}

// inspectChecksum: a file is only stored after the store confirmed its SHA-256.
func (s *Store) inspectChecksum(ctx context.Context) Feature {
	f := Feature{Name: "SHA-256 of objects", Supported: No, InForce: No, Needed: true, Text: "the store does not tell the checksum of an object"}
	p, err := s.newProbe(ctx)
	if err != nil {
		return byError(f.Name, err)
	}
	defer p.remove(context.WithoutCancel(ctx))
	key := p.newKey()
	if status, err := p.send(ctx, key, nil); err != nil || status != http.StatusOK {
		f.Text = fmt.Sprintf("a presigned PUT answers %d", status)
		return f
	}
	info, err := s.Head(ctx, key)
	if err == nil && info.Checksum == storage.Digest(sha256.Sum256([]byte(probeText))).Checksum() {
		f.Supported, f.InForce, f.Text = Yes, Yes, "checked on PUT, told by HEAD"
	}
	return f
}

// inspectComposite sends a multipart of one part and asks for its checksum.
func (s *Store) inspectComposite(ctx context.Context) Feature {
	f := Feature{Name: "SHA-256 of multipart objects", Supported: No, InForce: No, Needed: true}
	p := &probe{s: s}
	defer p.remove(context.WithoutCancel(ctx))
	if err := p.multipart(ctx, p.newKey()); err != nil {
		f.Text = err.Error()
		return f
	}
	f.Supported, f.InForce, f.Text = Yes, Yes, "composite, told by HEAD"
	return f
}

func (p *probe) multipart(ctx context.Context, key string) error {
	id, err := p.s.Create(ctx, key, "text/plain")
	if err != nil {
		return err
	}
	if err := p.sendPart(ctx, key, id); err != nil {
		return errors.Join(err, p.s.Abort(ctx, key, id))
	}
	parts, err := p.s.Parts(ctx, key, id)
	if err != nil {
		return errors.Join(err, p.s.Abort(ctx, key, id))
	}
	if err := p.s.Complete(ctx, key, id, parts); err != nil {
		return errors.Join(err, p.s.Abort(ctx, key, id))
	}
	info, err := p.s.Head(ctx, key)
	if err != nil {
		return err
	}
	if want := storage.Composite(parts); info.Checksum != want {
		return errors.New("the store does not tell the composite checksum of a multipart object")
	}
	return nil
}

func (p *probe) sendPart(ctx context.Context, key, id string) error {
	own := &Store{bucket: p.s.bucket, put: p.s.signer(p.s.cfg.PutSigner)}
	signed, err := own.SignPart(ctx, storage.PartOrder{
		Key: key, StoreUploadID: id, Number: 1, SizeBytes: int64(len(probeText)), SHA256: sha256.Sum256([]byte(probeText)), Lifetime: time.Minute,
	})
	if err != nil {
		return err
	}
	status, err := p.sendSigned(ctx, signed, nil)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("a presigned part answers %d", status)
	}
	return err
}

// inspectUploadListing: a multipart whose id nobody wrote down must be found again by its key.
func (s *Store) inspectUploadListing(ctx context.Context) Feature {
	f := Feature{Name: "multiparts found by key", Supported: No, InForce: No, Needed: true}
	p := &probe{s: s}
	defer p.remove(context.WithoutCancel(ctx))
	key := p.newKey()
	id, err := s.Create(ctx, key, "text/plain")
	if err != nil {
		f.Text = "beginning one fails: " + minio.ToErrorResponse(err).Code
		return f
	}
	found, err := s.AbortAll(ctx, key)
	switch {
	case err != nil:
		f.Text = "listing them fails: allow maintenance s3:ListBucketMultipartUploads and s3:AbortMultipartUpload on the bucket"
	case found != 1:
		f.Text = "the store does not list one by its key"
	default:
		f.Supported, f.InForce, f.Text = Yes, Yes, "those that a crash left behind are found and ended"
		return f
	}
	if err := s.Abort(ctx, key, id); err != nil {
		f.Text += "; one stays behind below " + probePrefix
	}
	return f
}

// inspectDeletion: what is deleted leaves no version.
func (s *Store) inspectDeletion(ctx context.Context) Feature {
	f := Feature{Name: "deletion leaves nothing", Supported: No, InForce: No, Needed: true}
	p, err := s.newProbe(ctx)
	if err != nil {
		return byError(f.Name, err)
	}
	on, err := s.versioned(ctx)
	if err == nil {
		err = s.Delete(ctx, p.key)
	}
	if err != nil {
		f.Text = "old versions cannot be removed: allow maintenance s3:ListBucketVersions and s3:DeleteObjectVersion"
		return f
	}
	left, err := s.entries(ctx, p.key, on, func(minio.ObjectInfo) bool { return true }, 1)
	if err == nil && len(left) == 0 {
		f.Supported, f.InForce, f.Text = Yes, Yes, "no object, version or marker"
		return f
	}
	f.Text = "something of a deleted object stays in the store"
	return f
}
