package transfer

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/ergon-hpc/ergon/shared/api"
)

// heldStore is a store without a socket: each request stays until somebody lets one go, so that a test sees all that are on their way.
type heldStore struct {
	letGo chan struct{}
	data  []byte // the answer to every GET

	mu    sync.Mutex
	now   int // requests on their way
	total int // requests that came so far
}

// RoundTrip takes a request at once and answers when it is let go.
func (h *heldStore) RoundTrip(r *http.Request) (*http.Response, error) {
	h.add(1)
	defer h.add(-1)
	<-h.letGo
	if r.Body != nil {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return nil, err
		}
	}
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(h.data)), Request: r}, nil
}

func (h *heldStore) add(n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now += n
	h.total += max(0, n)
}

func (h *heldStore) counts() (now, total int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.now, h.total
}

// plainServer answers as a server whose store takes everything; files of more than one part are cut into parts of partBytes.
type plainServer struct {
	Server
	partBytes int64
	files     map[uuid.UUID]api.FileObject
	mu        sync.Mutex
	wants     map[uuid.UUID]api.UploadRequest
}

func (p *plainServer) Presign(_ context.Context, want api.UploadRequest) (*api.UploadTicket, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	id := uuid.New()
	p.wants[id] = want
	if want.Size <= p.partBytes {
		put := signedFor(api.PUT)
		return &api.UploadTicket{Name: want.Name, UploadId: &id, Status: api.UploadTicketStatusPut, Put: &put}, nil
	}
	count := int32((want.Size + p.partBytes - 1) / p.partBytes)
	return &api.UploadTicket{Name: want.Name, UploadId: &id, Status: api.UploadTicketStatusMultipart, PartSize: &p.partBytes, PartCount: &count}, nil
}

func (*plainServer) Parts(_ context.Context, _ uuid.UUID, parts []api.PartDigest) (map[int32]api.PresignedRequest, error) {
	out := map[int32]api.PresignedRequest{}
	for _, part := range parts {
		out[part.Number] = signedFor(api.PUT)
	}
	return out, nil
}

func (p *plainServer) Complete(_ context.Context, upload uuid.UUID) (*api.FileObject, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	want := p.wants[upload]
	return &api.FileObject{Id: upload, Name: want.Name, Size: want.Size, Sha256: want.Sha256}, nil
}

func (p *plainServer) Download(_ context.Context, file uuid.UUID) (api.PresignedRequest, api.FileObject, error) {
	return signedFor(api.GET), p.files[file], nil
}

func signedFor(method api.PresignedRequestMethod) api.PresignedRequest {
	return api.PresignedRequest{Method: method, Url: "http://store.invalid/key"}
}

// The numbers are exact: synctest.Wait returns when whoever could send one more request is waiting for something.
func TestExactlyAsManyRequestsAreOnTheirWayAsWereAskedFor(t *testing.T) {
	t.Parallel()
	const requests, partBytes = 12, 100
	small, big := content(partBytes), content(requests/2*partBytes)
	for name, work := range map[string]func(t *testing.T, m *Mover, server *plainServer) func() error{
		"small files up": func(t *testing.T, m *Mover, _ *plainServer) func() error {
			return puts(t, m, small, requests)
		},
		"two large files up, in parts": func(t *testing.T, m *Mover, _ *plainServer) func() error {
			return puts(t, m, big, 2)
		},
		"files down": func(t *testing.T, m *Mover, server *plainServer) func() error {
			return gets(t, m, server, small, requests)
		},
	} {
		for _, parallel := range []int{1, 3, 5} {
			t.Run(fmt.Sprintf("%s, %d at once", name, parallel), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					store := &heldStore{letGo: make(chan struct{}), data: small}
					server := &plainServer{partBytes: partBytes, wants: map[uuid.UUID]api.UploadRequest{}, files: map[uuid.UUID]api.FileObject{}}
					m := NewMover(Mover{Server: server, Store: &http.Client{Transport: store}, Progress: &tally{}, Parallel: parallel})
					store.follow(t, parallel, requests, work(t, m, server))
				})
			})
		}
	}
}

// follow lets one request go after the other, and wants so many beside it as long as there are any.
func (h *heldStore) follow(t *testing.T, parallel, requests int, work func() error) {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- work() }()
	for gone := range requests {
		synctest.Wait()
		if now, _ := h.counts(); now != min(parallel, requests-gone) {
			t.Errorf("after %d of %d requests %d are on their way, want %d", gone, requests, now, min(parallel, requests-gone))
		}
		h.letGo <- struct{}{}
	}
	close(h.letGo) // none is left, or there is one too many
	if err := <-done; err != nil {
		t.Error(err)
	}
	if _, total := h.counts(); total != requests {
		t.Errorf("%d requests were sent, want %d", total, requests)
	}
}

// puts sends files of their own, all at once.
func puts(t *testing.T, m *Mover, data []byte, files int) func() error {
	t.Helper()
	path := fileOf(t, data)
	return func() error {
		var group errgroup.Group
		for i := range files {
			group.Go(func() error {
				_, err := m.Put(context.Background(), path, fmt.Sprint(i), api.FileClassUpload)
				return err
			})
		}
		return group.Wait()
	}
}

// gets fetches files of one content, all at once.
func gets(t *testing.T, m *Mover, server *plainServer, data []byte, files int) func() error {
	t.Helper()
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = root.Close() })
	for i := range files {
		id := uuid.New()
		server.files[id] = api.FileObject{Id: id, Name: fmt.Sprint(i), Size: int64(len(data)), Sha256: digestOf(data)}
	}
	return func() error {
		var group errgroup.Group
		for _, object := range server.files {
			group.Go(func() error {
				return m.Get(context.Background(), object, Target{Root: root, Path: object.Name})
			})
		}
		return group.Wait()
	}
}
