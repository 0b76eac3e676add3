package storetest

import (
	"bytes"
	"crypto/sha256"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/ergon-hpc/ergon/controlplane/internal/storage"
)

// lie is one way to misuse a presigned PUT.
type lie struct {
	name   string
	change func(*http.Request)
}

func body(text string) func(*http.Request) {
	return func(r *http.Request) {
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(text)), int64(len(text))
	}
}

func header(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

func without(name string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Del(name) }
}

func query(name, value string) func(*http.Request) {
	return func(r *http.Request) {
		q := r.URL.Query()
		q.Set(name, value)
		r.URL.RawQuery = q.Encode()
	}
}

func both(a, b func(*http.Request)) func(*http.Request) {
	return func(r *http.Request) { a(r); b(r) }
}

const truth, falsehood = "the declared content", "the invented content"

func sum(text string) string { return storage.Digest(sha256.Sum256([]byte(text))).Checksum() }

// commonLies fit whole objects and parts whose content is signed.
func commonLies(victim, foreignKey string) []lie {
	return append(urlLies(victim, foreignKey), []lie{
		{"longer body", body(truth + "!")},
		{"shorter body", body(truth[1:])},
		{"empty body", body("")},
		{"body of unknown length", func(r *http.Request) {
			r.Body, r.ContentLength = io.NopCloser(strings.NewReader(truth)), -1
		}},
		{"other content of the same length", body(falsehood)},
		{"other content with its own checksum", both(body(falsehood), header("X-Amz-Checksum-Sha256", sum(falsehood)))},
		{"other checksum", header("X-Amz-Checksum-Sha256", sum(falsehood))},
		{"no checksum", without("X-Amz-Checksum-Sha256")},
		{"checksum of another kind instead", both(without("X-Amz-Checksum-Sha256"), header("X-Amz-Checksum-Crc32", "AAAAAA=="))},
	}...)
}

// urlLies fit every presigned PUT, whatever it says of its content.
func urlLies(victim, foreignKey string) []lie {
	return []lie{
		{"copy source", header("X-Amz-Copy-Source", victim)},
		{"copy source without a body", both(body(""), header("X-Amz-Copy-Source", victim))},
		{"foreign key", func(r *http.Request) { r.URL.Path, r.URL.RawPath = foreignKey, "" }},
		{"GET instead", func(r *http.Request) { r.Method, r.Body, r.ContentLength = http.MethodGet, nil, 0 }},
		{"HEAD instead", func(r *http.Request) { r.Method, r.Body, r.ContentLength = http.MethodHead, nil, 0 }},
		{"DELETE instead", func(r *http.Request) { r.Method, r.Body, r.ContentLength = http.MethodDelete, nil, 0 }},
		{"POST instead", func(r *http.Request) { r.Method = http.MethodPost }},
		{"longer life", query("X-Amz-Expires", "604800")},
		{"fewer signed headers", query("X-Amz-SignedHeaders", "host")},
		{"no signature", func(r *http.Request) { r.URL.RawQuery = "" }},
		{"more in the query", query("tagging", "")},
		{"acl in the query", query("acl", "")},
	}
}

func (s Suite) putLies(t *testing.T) {
	victim := s.key(t)
	s.put(t, victim, []byte("another tenant's secret"))
	key := s.key(t)
	signed, err := s.Store.SignPut(t.Context(), s.order(key, []byte(truth)))
	if err != nil {
		t.Fatal(err)
	}
	foreign := s.key(t)
	bucket := bucketPath(t, signed, key)
	lies := append(
		commonLies(bucket+victim, bucket+foreign),
		lie{"other type", header("Content-Type", "text/html")},
		lie{"no type", without("Content-Type")},
		lie{"may overwrite", without("If-None-Match")},
		lie{"overwrites a certain one", header("If-None-Match", `"x"`)},
		lie{"as a part", both(query("partNumber", "1"), query("uploadId", "x"))},
	)
	for _, l := range lies {
		t.Run(l.name, func(t *testing.T) {
			refused(t, signed, l.change)
			s.absent(t, key)
			s.absent(t, foreign)
		})
	}
	t.Run("expired", s.expired)
	t.Run("the truth still works afterwards", func(t *testing.T) {
		if status, text := Send(t, signed, []byte(truth), nil); status != http.StatusOK {
			t.Errorf("%d: %s", status, text)
		}
		if got := s.read(t, key); string(got) != truth {
			t.Errorf("it holds %q", got)
		}
		if got := s.read(t, victim); string(got) != "another tenant's secret" {
			t.Errorf("the victim now holds %q", got)
		}
	})
}

func (s Suite) expired(t *testing.T) {
	key := s.key(t)
	o := s.order(key, []byte(truth))
	o.Lifetime = time.Second
	signed, err := s.Store.SignPut(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(2100 * time.Millisecond) // the store's clock has whole seconds
	refused(t, signed, nil)
	s.absent(t, key)
}

func (s Suite) expiredPart(t *testing.T, key, id string) {
	signed, err := s.Store.SignPart(t.Context(), storage.PartOrder{
		Key: key, StoreUploadID: id, Number: 1, SizeBytes: int64(len(truth)), SHA256: sha256.Sum256([]byte(truth)), Lifetime: time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(2100 * time.Millisecond)
	refused(t, signed, nil)
	if parts, err := s.Store.Parts(t.Context(), key, id); err != nil || len(parts) > 0 {
		t.Errorf("the store has %d parts, %v", len(parts), err)
	}
}

// refused sends the truth by a signature that was changed, or has run out. 0 is a connection that the store broke off.
func refused(t *testing.T, signed storage.Presigned, change func(*http.Request)) {
	t.Helper()
	if status, _ := Send(t, signed, []byte(truth), change); status != 0 && status < 400 {
		t.Errorf("the store answers %d", status)
	}
}

// bucketPath is /bucket/, taken from a signed URL.
func bucketPath(t *testing.T, signed storage.Presigned, key string) string {
	t.Helper()
	u, err := url.Parse(signed.URL.Reveal())
	if err != nil {
		t.Fatal("the presigned URL cannot be parsed")
	}
	path, found := strings.CutSuffix(u.Path, key)
	if !found {
		t.Fatal("the presigned URL does not end in the key")
	}
	return path
}

func (s Suite) partLies(t *testing.T) {
	victim, key, foreign := s.key(t), s.key(t), s.key(t)
	s.put(t, victim, []byte("another tenant's secret"))
	id, err := s.Store.Create(t.Context(), key, "text/plain")
	if err != nil {
		t.Fatal(err)
	}
	signed, err := s.Store.SignPart(t.Context(), storage.PartOrder{
		Key: key, StoreUploadID: id, Number: 1, SizeBytes: int64(len(truth)), SHA256: sha256.Sum256([]byte(truth)), Lifetime: urlLife,
	})
	if err != nil {
		t.Fatal(err)
	}
	bucket := bucketPath(t, signed, key)
	lies := append(
		commonLies(bucket+victim, bucket+foreign),
		lie{"other part number", query("partNumber", "2")},
		lie{"as a whole object", func(r *http.Request) {
			q := r.URL.Query()
			q.Del("partNumber")
			q.Del("uploadId")
			r.URL.RawQuery = q.Encode()
		}},
	)
	for _, l := range lies {
		t.Run(l.name, func(t *testing.T) {
			refused(t, signed, l.change)
			if parts, err := s.Store.Parts(t.Context(), key, id); err != nil || len(parts) > 0 {
				t.Errorf("the store has %d parts, %v", len(parts), err)
			}
			s.absent(t, key)
			s.absent(t, foreign)
		})
	}
	t.Run("expired", func(t *testing.T) { s.expiredPart(t, key, id) })
	for range 2 { // sending a part again is harmless
		if status, text := Send(t, signed, []byte(truth), nil); status != http.StatusOK {
			t.Errorf("the truth: %d %s", status, text)
		}
	}
	parts, err := s.Store.Parts(t.Context(), key, id)
	if err != nil || len(parts) != 1 || !bytes.Equal(parts[0].SHA256[:], func() []byte { d := sha256.Sum256([]byte(truth)); return d[:] }()) {
		t.Errorf("parts %+v, %v", parts, err)
	}
	if err := s.Store.Abort(t.Context(), key, id); err != nil {
		t.Error(err)
	}
}
