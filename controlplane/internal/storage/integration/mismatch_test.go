package integration

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ergon-hpc/ergon/controlplane/internal/storage"
	"github.com/ergon-hpc/ergon/shared/api"
)

// wrong are bytes that somebody got below a reserved key past the signature: none of them is what was declared ("content").
var wrong = map[string]string{"same length": "CONTENT", "shorter": "conten", "longer": "content.", "nothing": ""}

// T12: the signature makes other bytes impossible; where they are there all the same, no file comes of them.
func TestThreat_T12_OtherBytesThanDeclaredAreRefusedRemovedAndNotBilled(t *testing.T) {
	each(t, nil, func(t *testing.T, s *stack) {
		for name, text := range wrong {
			user := s.user()
			ticket := s.reserve(user, "f", "content")
			s.plant(s.keyOf(ticket), text)
			s.wantMismatch(user, ticket)
			s.wantQuota(user, 0, 0, 0, 0)
			s.wantNoBytes(user)
			if len(s.seen.list) != 0 {
				t.Errorf("%s: a file was told of: %+v", name, s.seen.list)
			}
			s.wantCode(api.UploadExpired, user, http.MethodPost, "/files/uploads/"+ticket.UploadId.String()+"/complete", nil)
		}
	})
}

func (s *stack) reserve(user, name, content string) (ticket api.UploadTicket) {
	s.t.Helper()
	s.want(http.StatusCreated, user, http.MethodPost, "/files/presign/upload", request(name, []byte(content)), &ticket)
	return ticket
}

func (s *stack) keyOf(ticket api.UploadTicket) string {
	s.t.Helper()
	return s.upload(ticket).Key
}

func (s *stack) upload(ticket api.UploadTicket) storage.Upload {
	s.t.Helper()
	u, err := s.db.Storage().Upload(s.t.Context(), *ticket.UploadId)
	if err != nil {
		s.t.Fatal(err)
	}
	return u
}

func (s *stack) wantMismatch(user string, ticket api.UploadTicket) {
	s.t.Helper()
	p := s.wantCode(api.ChecksumMismatch, user, http.MethodPost, "/files/uploads/"+ticket.UploadId.String()+"/complete", nil)
	if p.Status != http.StatusUnprocessableEntity {
		s.t.Errorf("it answers %d", p.Status)
	}
}

// Nobody called complete: the sweeper finds the bytes and believes them no more.
func TestSweeperExpiresUploadsWhoseBytesAreOthers(t *testing.T) {
	each(t, nil, func(t *testing.T, s *stack) {
		user := s.user()
		for name, text := range wrong {
			s.plant(s.keyOf(s.reserve(user, name, "content")), text)
		}
		n := len(wrong)
		s.sweepAfter(2*time.Hour, storage.Swept{Examined: n, Expired: n})
		s.wantQuota(user, 0, 0, 0, 0)
		s.wantNoBytes(user)
		if len(s.seen.list) != 0 {
			t.Errorf("files were told of: %+v", s.seen.list)
		}
	})
}

// stretching is a store that answers the right checksum with a wrong length.
type stretching struct {
	storage.Bytes
	by atomic.Int64
}

func (b *stretching) Head(ctx context.Context, key string) (storage.Info, error) {
	info, err := b.Bytes.Head(ctx, key)
	info.SizeBytes += b.by.Load()
	return info, err
}

// Nothing is billed by a length that the store does not confirm, even if the checksum is right.
func TestAWrongLengthUnderTheRightChecksumIsNotStored(t *testing.T) {
	lie := &stretching{}
	s := newStack(t, func(c *storage.Config) { lie.Bytes, c.Bytes = c.Bytes, lie })
	user := s.user()
	called, swept := s.reserve(user, "called", "content"), s.reserve(user, "swept", "content")
	for _, ticket := range []api.UploadTicket{called, swept} {
		if status, _ := send(t, *ticket.Put, []byte("content"), nil); status != http.StatusOK {
			t.Fatal(status)
		}
	}
	lie.by.Store(1)
	s.wantMismatch(user, called)
	s.sweepAfter(2*time.Hour, storage.Swept{Examined: 2, Expired: 1, Purged: 1})
	s.wantQuota(user, 0, 0, 0, 0)
	s.wantNoBytes(user)
}

// An object that came below the key of a multipart before its parts were joined: the store keeps it, and the answer is no.
func TestThreat_T12_AMultipartWhoseKeyHoldsOtherBytesIsRefused(t *testing.T) {
	each(t, nil, func(t *testing.T, s *stack) {
		user := s.user()
		b := newBig(65 << 20)
		ticket := b.begin(s, user)
		b.send(s, user, ticket, b.numbers(1, b.count)...)
		u := s.upload(ticket)
		s.plant(u.Key, "other bytes")
		s.wantMismatch(user, ticket)
		s.wantQuota(user, 0, 0, 0, 0)
		s.wantNoBytes(user)
		s.sweepAfter(2*time.Hour, storage.Swept{Examined: 1, Purged: 1})
		if _, err := s.store.Parts(t.Context(), u.Key, u.StoreUploadID); !errors.Is(err, storage.ErrNoUpload) {
			t.Errorf("its parts are still there: %v", err)
		}
	})
}

// What was written down before the parts were joined is what the object must answer after a crash: other bytes do not, whether
// the parts are all gone or some of them.
func TestOtherBytesAreNotTakenForACompletionWhoseAnswerWasLost(t *testing.T) {
	each(t, nil, func(t *testing.T, s *stack) {
		for _, length := range []int{11, 65 << 20} {
			user := s.user()
			b := newBig(65 << 20)
			ticket := b.begin(s, user)
			b.send(s, user, ticket, 1)
			u := s.upload(ticket)
			if err := s.db.Storage().ExpectChecksum(t.Context(), u.ID, strings.Repeat("A", 43)+"=-5"); err != nil {
				t.Fatal(err)
			}
			s.plant(u.Key, strings.Repeat("x", length))
			path := "/files/uploads/" + ticket.UploadId.String() + "/complete"
			s.wantCode(api.UploadIncomplete, user, http.MethodPost, path, nil) // some are there
			if err := s.store.Abort(t.Context(), u.Key, u.StoreUploadID); err != nil {
				t.Fatal(err)
			}
			s.wantCode(api.UploadExpired, user, http.MethodPost, path, nil) // none is
			s.wantQuota(user, 0, 0, 0, 0)
			s.sweepAfter(2*time.Hour, storage.Swept{Examined: 1, Purged: 1})
			s.wantNoBytes(user)
		}
	})
}
