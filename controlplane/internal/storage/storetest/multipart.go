package storetest

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"testing"

	"github.com/ergon-hpc/ergon/controlplane/internal/storage"
)

const partBytes = 5 << 20 // the least that S3 takes for a part that is not the last

// begin creates a multipart of two full parts and a rest, and sends them.
func (s Suite) begin(t *testing.T, key string) (id string, content []byte) {
	t.Helper()
	id, err := s.Store.Create(t.Context(), key, "application/x-hdf5")
	if err != nil {
		t.Fatal(err)
	}
	content = bytes.Repeat([]byte("abcdefghijklmnop"), (2*partBytes+48)/16)
	for n := int32(1); n <= 3; n++ {
		s.part(t, key, id, n, content[int(n-1)*partBytes:min(int(n)*partBytes, len(content))])
	}
	return id, content
}

func (s Suite) part(t *testing.T, key, id string, n int32, content []byte) {
	t.Helper()
	signed, err := s.Store.SignPart(t.Context(), storage.PartOrder{
		Key: key, StoreUploadID: id, Number: n, SizeBytes: int64(len(content)), SHA256: sha256.Sum256(content), Lifetime: urlLife,
	})
	if err != nil {
		t.Fatal(err)
	}
	if status, text := Send(t, signed, content, nil); status != http.StatusOK {
		t.Fatalf("part %d: %d %s", n, status, text)
	}
}

func (s Suite) parts(t *testing.T, key, id string) []storage.Part {
	t.Helper()
	parts, err := s.Store.Parts(t.Context(), key, id)
	if err != nil {
		t.Fatal(err)
	}
	return parts
}

func (s Suite) multipart(t *testing.T) {
	key := s.key(t)
	id, content := s.begin(t, key)
	parts := s.parts(t, key, id)
	if len(parts) != 3 || parts[0].SizeBytes != partBytes || parts[2].SizeBytes != 48 {
		t.Fatalf("parts %+v", parts)
	}
	s.absent(t, key)
	if err := s.Store.Complete(t.Context(), key, id, parts); err != nil {
		t.Fatal(err)
	}
	info, err := s.Store.Head(t.Context(), key)
	if err != nil || info.SizeBytes != int64(len(content)) || info.Checksum != storage.Composite(parts) {
		t.Errorf("head %+v, %v; want %d bytes and %s", info, err, len(content), storage.Composite(parts))
	}
	if !bytes.Equal(s.read(t, key), content) {
		t.Error("the bytes differ")
	}
}

func (s Suite) completeTwice(t *testing.T) {
	key := s.key(t)
	id, _ := s.begin(t, key)
	parts := s.parts(t, key, id)
	if err := s.Store.Complete(t.Context(), key, id, parts); err != nil {
		t.Fatal(err)
	}
	// Stores differ: success, no such upload, or an object is there. All mean that a HEAD decides.
	err := s.Store.Complete(t.Context(), key, id, parts)
	if err != nil && !errors.Is(err, storage.ErrNoUpload) && !errors.Is(err, storage.ErrExists) {
		t.Errorf("the second time: %v", err)
	}
	if info, err := s.Store.Head(t.Context(), key); err != nil || info.Checksum != storage.Composite(parts) {
		t.Errorf("head %+v, %v", info, err)
	}
}

func (s Suite) multipartOverwrite(t *testing.T) {
	key := s.key(t)
	id, _ := s.begin(t, key)
	s.put(t, key, []byte("was here first"))
	if err := s.Store.Complete(t.Context(), key, id, s.parts(t, key, id)); !errors.Is(err, storage.ErrExists) {
		t.Errorf("completing over an object: %v", err)
	}
	if got := s.read(t, key); string(got) != "was here first" {
		t.Errorf("the object now has %d bytes", len(got))
	}
	if err := s.Store.Abort(t.Context(), key, id); err != nil {
		t.Error(err)
	}
}

func (s Suite) abort(t *testing.T) {
	key := s.key(t)
	id, _ := s.begin(t, key)
	for range 2 {
		if err := s.Store.Abort(t.Context(), key, id); err != nil {
			t.Error(err)
		}
	}
	if _, err := s.Store.Parts(t.Context(), key, id); !errors.Is(err, storage.ErrNoUpload) {
		t.Errorf("parts after the abort: %v", err)
	}
	err := s.Store.Complete(t.Context(), key, id, []storage.Part{{Number: 1, ETag: "x"}})
	if !errors.Is(err, storage.ErrNoUpload) && !errors.Is(err, storage.ErrParts) { // versitygw looks at the parts first
		t.Errorf("completing after the abort: %v", err)
	}
	s.absent(t, key)
}

// abortAll: a multipart whose id was lost is found again by its key; those of other keys stay.
func (s Suite) abortAll(t *testing.T) {
	key := s.key(t)
	other := key + "y"
	for range 2 {
		if _, err := s.Store.Create(t.Context(), key, "text/plain"); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := s.Store.Create(t.Context(), other, "text/plain")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []int{2, 0} {
		if n, err := s.Store.AbortAll(t.Context(), key); err != nil || n != want {
			t.Errorf("%d were ended, want %d, %v", n, want, err)
		}
	}
	if _, err := s.Store.Parts(t.Context(), other, kept); err != nil {
		t.Errorf("that of another key: %v", err)
	}
	if err := s.Store.Abort(t.Context(), other, kept); err != nil {
		t.Error(err)
	}
}

// erase empties one prefix and no other.
func (s Suite) erase(t *testing.T) {
	dir, beside := s.prefix+"erase/", s.prefix+"erase_/x"
	for i := range 5 {
		s.put(t, fmt.Sprintf("%s%d_/x", dir, i), []byte("x"))
	}
	s.put(t, beside, []byte("x"))
	total := 0
	for {
		n, err := s.Store.Erase(t.Context(), dir, 2)
		if err != nil || n > 2 {
			t.Fatalf("%d of at most 2, %v", n, err)
		}
		if n == 0 {
			break
		}
		total += n
	}
	if left, err := s.Store.List(t.Context(), dir, "", 10); err != nil || len(left) > 0 || total != 5 {
		t.Errorf("%d erased, %d left, %v", total, len(left), err)
	}
	if got := s.read(t, beside); string(got) != "x" {
		t.Errorf("the neighbour holds %q", got)
	}
	if _, err := s.Store.AbortBelow(t.Context(), dir); err != nil {
		t.Error(err)
	}
}
