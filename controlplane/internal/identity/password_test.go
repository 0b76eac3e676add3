package identity_test

import (
	"testing"

	"gorm.io/gorm"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore/storetest"
	"github.com/ergon-hpc/ergon/controlplane/internal/identity"
)

const nextPassword = "another good password"

// execute runs a statement as somebody can who owns the database.
func execute(t *testing.T, st *gormstore.Store, statement string) {
	t.Helper()
	must(t, st.Tx(t.Context(), func(tx *gorm.DB) error { return tx.Exec(statement).Error }))
}

func TestAChangedPasswordLeavesTheCallersOwnSessionAndNoOther(t *testing.T) {
	storetest.Each(t, func(t *testing.T, st *gormstore.Store) {
		s := replica(t, st, newClock(), nil)
		mine, other, bobs := login(t, s, "alice"), login(t, s, "alice"), login(t, s, "bob1")
		must(t, s.ChangePassword(as(t, s, mine.AccessToken), testPassword, nextPassword))
		refuses(t, s, "after a change", map[string]string{"the other session": other.AccessToken})
		_, err := s.Refresh(ctx(), other.RefreshToken)
		wantCode(t, "refreshing the other session", err, apperr.Unauthorized)
		for _, pair := range []identity.TokenPair{mine, bobs} {
			as(t, s, pair.AccessToken)
			next, err := s.Refresh(ctx(), pair.RefreshToken)
			must(t, err)
			as(t, s, next.AccessToken)
		}
	})
}

// What stops half way must not leave a new password beside sessions that were begun under the old one.
func TestThreat_T07_AChangeOfPasswordThatFailsChangesNothing(t *testing.T) {
	changes := map[string]func(t *testing.T, s *identity.Service, mine identity.TokenPair) error{
		"a change": func(t *testing.T, s *identity.Service, mine identity.TokenPair) error {
			return s.ChangePassword(as(t, s, mine.AccessToken), testPassword, nextPassword)
		},
		"a reset": func(_ *testing.T, s *identity.Service, _ identity.TokenPair) error {
			return s.ResetPassword(ctx(), "alice", nextPassword)
		},
	}
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			storetest.Each(t, func(t *testing.T, st *gormstore.Store) {
				s := replica(t, st, newClock(), nil)
				mine, other := login(t, s, "alice"), login(t, s, "alice")
				execute(t, st, "ALTER TABLE refresh_tokens RENAME TO gone")
				if err := change(t, s, mine); err == nil {
					t.Error("the failure was hidden")
				}
				execute(t, st, "ALTER TABLE gone RENAME TO refresh_tokens")
				as(t, s, other.AccessToken)
				login(t, s, "alice") // with the old password
				if n := count(t, st, "SELECT COUNT(*) FROM audit WHERE action IN ('user.password', 'user.reset') AND outcome = 'ok'"); n != 0 {
					t.Errorf("%d audit rows of what was not done", n)
				}
				must(t, change(t, s, mine))
				refuses(t, s, "then", map[string]string{"the other session": other.AccessToken})
				_, err := s.Login(ctx(), identity.Credentials{Username: "alice", Password: testPassword})
				wantCode(t, "the old password", err, apperr.InvalidCredentials)
			})
		})
	}
}
