package main

import (
	"encoding/json"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/shared/api"
)

// intake takes uploads of one PUT each.
type intake struct {
	mu     sync.Mutex
	wants  map[string]api.UploadRequest // by upload
	broken map[string]int               // by name: how many PUTs are read and then answered with 503
	held   map[string][]byte            // by upload
}

func (s *site) takeUploads() *intake {
	s.uploads = &intake{wants: map[string]api.UploadRequest{}, broken: map[string]int{}, held: map[string][]byte{}}
	return s.uploads
}

func (s *site) presignUpload(w http.ResponseWriter, r *http.Request) {
	if s.uploads == nil {
		refuse(w, 404, api.NotFound, "this site takes no uploads")
		return
	}
	s.uploads.mu.Lock()
	defer s.uploads.mu.Unlock()
	var want api.UploadRequest
	if err := json.NewDecoder(r.Body).Decode(&want); err != nil {
		s.t.Error(err)
	}
	id := uuid.New()
	s.uploads.wants[id.String()] = want
	put := api.PresignedRequest{Method: api.PUT, Url: s.URL + "/store/" + id.String() + "?signature=sekret", ExpiresAt: now.Add(time.Minute)}
	reply(w, 201, api.UploadTicket{Name: want.Name, Status: api.UploadTicketStatusPut, UploadId: &id, Put: &put})
}

func (s *site) takePut(w http.ResponseWriter, r *http.Request) {
	data, err := io.ReadAll(r.Body)
	if err != nil || s.uploads == nil {
		w.WriteHeader(400)
		return
	}
	s.uploads.mu.Lock()
	defer s.uploads.mu.Unlock()
	id := r.PathValue("key")
	if name := s.uploads.wants[id].Name; s.uploads.broken[name] > 0 {
		s.uploads.broken[name]--
		w.WriteHeader(503)
		return
	}
	s.uploads.held[id] = data
}

func (s *site) completeUpload(w http.ResponseWriter, r *http.Request) {
	if s.uploads == nil {
		refuse(w, 404, api.NotFound, "this site takes no uploads")
		return
	}
	s.uploads.mu.Lock()
	defer s.uploads.mu.Unlock()
	id := r.PathValue("id")
	want, known := s.uploads.wants[id]
	if !known || int64(len(s.uploads.held[id])) != want.Size {
		refuse(w, 409, api.UploadIncomplete, "bytes are missing")
		return
	}
	reply(w, 200, api.FileObject{Id: uuid.MustParse(id), Name: want.Name, Size: want.Size, Sha256: want.Sha256, Class: api.FileClassUpload, CreatedAt: now, Key: "k"})
}

// crowd holds up requests until so many stand beside each other, and counts the most that ever did.
type crowd struct {
	t    *testing.T
	want int
	full chan struct{} // closed when they are there
	once sync.Once     // closes it

	mu        sync.Mutex
	now, most int
}

func newCrowd(t *testing.T, want int) *crowd {
	t.Helper()
	return &crowd{t: t, want: want, full: make(chan struct{})}
}

// enter waits for the crowd; what it gives is called at the end of a request.
func (c *crowd) enter() (leave func()) {
	c.mu.Lock()
	c.now++
	if c.most = max(c.most, c.now); c.now == c.want {
		c.once.Do(func() { close(c.full) })
	}
	c.mu.Unlock()
	select {
	case <-c.full:
	case <-time.After(time.Minute): // only ends a wait that would be for ever
		c.t.Errorf("%d requests never stood beside each other", c.want)
		c.once.Do(func() { close(c.full) })
	}
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.now--
	}
}

// seen is the most that stood beside each other.
func (c *crowd) seen() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.most
}
