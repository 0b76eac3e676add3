package gormstore_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore/storetest"
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
