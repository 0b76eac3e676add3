package integration

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/controlplane/internal/storage"
)

// unlisted is a store that does not find multiparts by their key: what is ended was ended by the id that was written down.
type unlisted struct {
	storage.Multiparts
	key, id string
}

func (u *unlisted) Create(ctx context.Context, key, contentType string) (string, error) {
	id, err := u.Multiparts.Create(ctx, key, contentType)
	u.key, u.id = key, id
	return id, err
}

func (*unlisted) AbortAll(context.Context, string) (int, error) { return 0, nil }

func TestAStaleMultipartIsEndedByItsStoredID(t *testing.T) {
	for name, give := range map[string]func(s *stack, user string, id uuid.UUID){
		"nobody went on": func(s *stack, _ string, _ uuid.UUID) {
			s.sweepAfter(60*24*time.Hour, storage.Swept{Examined: 1, Expired: 1})
		},
		"its owner gave it up": func(s *stack, user string, id uuid.UUID) {
			s.want(http.StatusNoContent, user, http.MethodPost, "/files/uploads/"+id.String()+"/abort", nil, nil)
		},
	} {
		t.Run(name, func(t *testing.T) {
			store := &unlisted{}
			s := newStack(t, func(c *storage.Config) { store.Multiparts, c.Multiparts = c.Multiparts, store })
			user := s.user()
			b := big{size: storage.SingleMaxBytes + 1, count: storage.SingleMaxBytes/partBytes + 1, sum: sum([]byte(name))}
			ticket := b.begin(s, user)
			b.send(s, user, ticket, 1)
			if parts, err := s.store.Parts(t.Context(), store.key, store.id); err != nil || len(parts) != 1 {
				t.Fatalf("before: %v, %v", parts, err)
			}
			give(s, user, *ticket.UploadId)
			if parts, err := s.store.Parts(t.Context(), store.key, store.id); !errors.Is(err, storage.ErrNoUpload) {
				t.Errorf("the store still has %d parts, %v", len(parts), err)
			}
			s.wantQuota(user, 0, 0, 0, 0)
		})
	}
}
