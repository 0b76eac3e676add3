package gormstore_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore/storetest"
	accounts "github.com/ergon-hpc/ergon/controlplane/internal/identity"
	"github.com/ergon-hpc/ergon/controlplane/internal/storage"
)

// An agent that lost an answer asks for its uploads again, in whatever order, while other calls finish, give up and recount them:
// none waits for another in a circle.
func TestUploadsAreAskedForAgainWhileTheyEnd(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *gormstore.Store) {
		user := newUser(t, s)
		id, _ := newJob(t, s, user)
		job := storage.JobRef{ID: id}
		for round := range 20 {
			drafts := make([]storage.Draft, 6)
			for i := range drafts {
				drafts[i] = draft(user, &job, fmt.Sprint(round, "/", i), 1, 1)
			}
			got := reserve(t, s, user, storage.Limit{Bytes: 1 << 20, Objects: 1 << 20}, drafts...)
			for i := range drafts { // the same files, under ids of the second call
				drafts[i] = draft(user, &job, fmt.Sprint(round, "/", i), 1, 1)
			}
			endWhileAskedAgain(t, s, user, drafts, got)
		}
		readBooks(t, s, user).check(t)
	})
}

func endWhileAskedAgain(t *testing.T, s *gormstore.Store, user string, drafts []storage.Draft, got []storage.Reservation) {
	t.Helper()
	ctx, ledger := context.Background(), s.Storage()
	calls := []func() error{
		func() error { _, _, err := ledger.Recount(ctx, user); return err },
	}
	for i := range drafts {
		u := *got[i].Upload
		calls = append(calls, func() error {
			_, err := ledger.Reserve(ctx, user, storage.Quotas{User: storage.Limit{Bytes: 1 << 20, Objects: 1 << 20}}, drafts[i:i+1])
			return err
		})
		if i%2 == 0 {
			calls = append(calls, func() error { _, err := ledger.Settle(ctx, objectOf(u), true); return err })
			continue
		}
		calls = append(calls, func() error { _, err := ledger.Release(ctx, u.ID, storage.Aborted, epoch); return err })
	}
	var wg sync.WaitGroup
	for _, call := range calls {
		wg.Go(func() {
			if err := call(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

// A link moves the uploads and the books of the account that a login by uid had made to another one, while these uploads end.
func TestAccountsAreJoinedWhileUploadsEnd(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *gormstore.Store) {
		for range 30 {
			from, to := newUser(t, s), newUser(t, s)
			execute(t, s, "UPDATE users SET origin = ? WHERE id = ?", accounts.OriginUnix, from)
			id, cluster := newJob(t, s, from)
			link(t, s, cluster, from)
			job := storage.JobRef{ID: id}
			room := storage.Limit{Bytes: 1 << 20, Objects: 1 << 20}
			drafts := make([]storage.Draft, 8)
			for i := range drafts {
				drafts[i] = draft(from, &job, fmt.Sprint(i), 1, 1)
			}
			reserve(t, s, to, room, draft(to, nil, "his", 1, 1))
			joinWhileTheyEnd(t, s, reserve(t, s, from, room, drafts...), cluster, to)
			readBooks(t, s, to).check(t)
			var left int
			row := s.SQL().QueryRowContext(t.Context(), "SELECT (SELECT COUNT(*) FROM uploads WHERE user_id = '"+from+"') + (SELECT COUNT(*) FROM objects WHERE user_id = '"+from+"')")
			if err := row.Scan(&left); err != nil || left != 0 {
				t.Fatalf("%d files stayed behind, %v", left, err)
			}
		}
	})
}

// joinWhileTheyEnd: a call that comes after the join may be refused, for it is about another account by then; none waits in a circle.
func joinWhileTheyEnd(t *testing.T, s *gormstore.Store, got []storage.Reservation, cluster, to string) {
	t.Helper()
	ctx, hash := context.Background(), uuid.NewString()
	if err := s.InsertChallenge(ctx, hash, to, cluster, epoch.Add(time.Hour), epoch); err != nil {
		t.Fatal(err)
	}
	agent := uuid.NewString()
	execute(t, s, "INSERT INTO agents (id, cluster_id, kind, name, public_key, scopes, created_at) VALUES (?, ?, 'system', ?, ?, '', ?)",
		agent, cluster, agent, agent, gormstore.At(epoch))
	var wg sync.WaitGroup
	wg.Go(func() {
		l := accounts.Link{ID: uuid.NewString(), AgentID: agent, ClusterID: cluster, UID: 1000, GID: 1000, UnixName: "u", CreatedAt: epoch}
		if joined, err := s.ConfirmChallenge(ctx, hash, l, epoch); err != nil || joined.UserID != to {
			t.Errorf("joined to %q, %v", joined.UserID, err)
		}
	})
	for i, r := range got {
		u := *r.Upload
		wg.Go(func() {
			var err error
			if i%2 == 0 {
				_, err = s.Storage().Settle(ctx, objectOf(u), true)
			} else {
				_, err = s.Storage().Release(ctx, u.ID, storage.Aborted, epoch)
			}
			if apperr.Is(err, apperr.Busy) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}
