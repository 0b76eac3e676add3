package integration

import (
	"crypto/sha256"
	"testing"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
	"github.com/ergon-hpc/ergon/controlplane/internal/storage"
	"github.com/ergon-hpc/ergon/shared/api"
)

// The other client may be logged in too and complete everything that it sees: no checksum says what to hold these bytes against.
func TestCompletingAnUnannouncedUploadNeitherBooksNorRemovesIt(t *testing.T) {
	const most = 5
	s := newStack(t, nil)
	user := s.user()
	files := storage.NewUnannounced(s.svc, s.store, s.db.Storage(), most)
	for _, content := range []string{"four", "five!"} { // shorter than what was reserved, and just as long
		u, put, err := files.Presign(t.Context(), user, content)
		if err != nil {
			t.Fatal(err)
		}
		if status, _ := send(t, api.PresignedRequest{Method: api.PresignedRequestMethod(put.Method), Url: put.URL.Reveal(), Headers: put.Headers}, []byte(content), nil); status != 200 {
			t.Fatalf("the PUT answers %d", status)
		}
		if o, err := s.svc.Complete(t.Context(), storage.Caller{UserID: user}, u.ID); !apperr.Is(err, apperr.Conflict) {
			t.Errorf("completing %q gives %+v, %v", content, o, err)
		}
		o, err := files.Settle(t.Context(), u.ID)
		if err != nil || o.SHA256 != storage.Digest(sha256.Sum256([]byte(content))) || o.SizeBytes != int64(len(content)) {
			t.Errorf("%q is booked as %+v, %v", content, o, err)
		}
	}
	s.wantQuota(user, 9, 2, 0, 0)
}
