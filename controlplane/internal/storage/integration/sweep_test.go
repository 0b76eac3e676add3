package integration

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ergon-hpc/ergon/controlplane/internal/storage"
	"github.com/ergon-hpc/ergon/shared/api"
)

// flaky is a store that sometimes does not answer.
type flaky struct {
	storage.Bytes
	broken atomic.Bool
}

func (f *flaky) Head(ctx context.Context, key string) (storage.Info, error) {
	if f.broken.Load() {
		return storage.Info{}, errors.New("no route to host")
	}
	return f.Bytes.Head(ctx, key)
}

func (f *flaky) Delete(ctx context.Context, key string) error {
	if f.broken.Load() {
		return errors.New("no route to host")
	}
	return f.Bytes.Delete(ctx, key)
}

func TestSweepThatMeetsABrokenStoreChangesNothingAndIsDoneLater(t *testing.T) {
	store := &flaky{}
	s := newStack(t, func(c *storage.Config) { store.Bytes, c.Bytes = c.Bytes, store })
	user := s.user()
	s.put(user, "kept", []byte("kept"))
	deleted := s.put(user, "deleted", []byte("deleted"))
	var sent, lost api.UploadTicket
	s.want(http.StatusCreated, user, http.MethodPost, "/files/presign/upload", request("sent", []byte("sent")), &sent)
	s.want(http.StatusCreated, user, http.MethodPost, "/files/presign/upload", request("lost", []byte("lost")), &lost)
	send(t, *sent.Put, []byte("sent"), nil)
	store.broken.Store(true)
	s.want(http.StatusNoContent, user, http.MethodDelete, "/files/"+deleted.Id.String(), nil, nil)
	s.clock.Store(int64(2 * time.Hour))
	got, err := s.svc.Sweep(t.Context())
	if err == nil || got.Failed != 3 || got.Closed != 1 || got.Examined != 4 {
		t.Errorf("swept %+v, %v", got, err)
	}
	s.wantQuota(user, 4, 1, 8, 2) // nothing is released on no evidence
	store.broken.Store(false)
	s.sweepAfter(2*time.Hour, storage.Swept{Examined: 3, Settled: 1, Expired: 1, Purged: 1})
	s.wantQuota(user, 8, 2, 0, 0)
	left, err := s.store.List(t.Context(), user+"/", "", 10)
	if err != nil || len(left) != 2 {
		t.Errorf("the store has %+v, %v", left, err)
	}
}

func TestSweepersAtOnceDoEverythingOnce(t *testing.T) {
	s := newStack(t, nil)
	user := s.user()
	for _, name := range []string{"a", "b", "c", "d", "e", "f"} {
		var ticket api.UploadTicket
		s.want(http.StatusCreated, user, http.MethodPost, "/files/presign/upload", request(name, []byte(name)), &ticket)
		if name < "d" {
			send(t, *ticket.Put, []byte(name), nil)
		}
	}
	s.clock.Store(int64(2 * time.Hour))
	errs := make(chan error, 4)
	for range cap(errs) {
		go func() {
			_, err := s.svc.Sweep(context.Background())
			errs <- err
		}()
	}
	for range cap(errs) {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	s.wantQuota(user, 3, 3, 0, 0)
}
