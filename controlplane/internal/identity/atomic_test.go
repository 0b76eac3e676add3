package identity_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/ergon-hpc/ergon/controlplane/internal/audit"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore/storetest"
	"github.com/ergon-hpc/ergon/controlplane/internal/identity"
)

var errBroken = errors.New("the database went away")

// breaking fails at one step, after having done it: a transaction undoes that, a row of its own would stay.
type breaking struct {
	*gormstore.Store
	at      string // the step; empty: none
	reached bool
}

func (b *breaking) step(name string, err error) error {
	if err != nil || b.at != name {
		return err
	}
	b.reached = true
	return errBroken
}

func (b *breaking) RevokeSessions(ctx context.Context, f identity.SessionFilter, now time.Time) (int64, error) {
	n, err := b.Store.RevokeSessions(ctx, f, now)
	return n, b.step("sessions", err)
}

func (b *breaking) ReplacePassword(ctx context.Context, c identity.PasswordChange) error {
	return b.step("password", b.Store.ReplacePassword(ctx, c))
}

func (b *breaking) UpdateUser(ctx context.Context, id string, c identity.UserChange) error {
	return b.step("account", b.Store.UpdateUser(ctx, id, c))
}

func (b *breaking) VoidEnrolments(ctx context.Context, userID string, now time.Time) error {
	return b.step("enrolments", b.Store.VoidEnrolments(ctx, userID, now))
}

func (b *breaking) RevokePersonal(ctx context.Context, userID, id string, now time.Time) error {
	return b.step("tokens", b.Store.RevokePersonal(ctx, userID, id, now))
}

func (b *breaking) RevokeAgent(ctx context.Context, id, owner string, now time.Time) error {
	return b.step("agents", b.Store.RevokeAgent(ctx, id, owner, now))
}

func (b *breaking) DeleteSubjects(ctx context.Context, userID string) error {
	return b.step("identities", b.Store.DeleteSubjects(ctx, userID))
}

func (b *breaking) AppendAudit(ctx context.Context, r audit.Row, h audit.Head) error {
	return b.step("audit", b.Store.AppendAudit(ctx, r, h))
}

func onBreaking(t *testing.T, b *breaking) *identity.Service {
	t.Helper()
	c := newClock()
	deps := depsFor(b.Store, c, testSecret)
	log, err := audit.New(b, c.now, testSecret)
	must(t, err)
	deps.Audit, deps.Stores.Users, deps.Stores.Sessions, deps.Stores.Enrolments = log, b, b, b
	deps.Stores.Personal, deps.Stores.Agents, deps.Stores.OIDC = b, b, b
	cfg := testConfig()
	withTokens(&cfg)
	s, err := identity.New(cfg, deps)
	must(t, err, s.Ready(ctx()))
	return s
}

// pictured are the tables of what an account acts by, and of who did what.
func pictured(t *testing.T, st *gormstore.Store) map[string][]string {
	t.Helper()
	out := map[string][]string{}
	must(t, st.Tx(ctx(), func(tx *gorm.DB) error {
		for _, table := range []string{"users", "sessions", "refresh_tokens", "personal_tokens", "agents", "enrolments", "oidc_subjects", "audit", "audit_heads"} {
			rows, err := tx.Raw("SELECT * FROM " + table + " ORDER BY 1, 2").Rows()
			if err != nil {
				return err
			}
			if out[table], err = texts(rows); err != nil {
				return err
			}
		}
		return nil
	}))
	return out
}

func texts(rows *sql.Rows) ([]string, error) {
	defer rows.Close()
	var out []string
	for rows.Next() {
		names, err := rows.Columns()
		if err != nil {
			return nil, err
		}
		cells := make([]any, len(names))
		for i := range cells {
			cells[i] = new(any)
		}
		if err := rows.Scan(cells...); err != nil {
			return nil, err
		}
		line := ""
		for i := range cells {
			line += fmt.Sprintf("%s=%v ", names[i], *cells[i].(*any))
		}
		out = append(out, line)
	}
	return out, rows.Err()
}

// Each of these takes several steps. Whatever fails between the first and the audit row, nothing of it happened; and the log
// goes on with rows that verify.
func TestAnActOfSeveralStepsHappensWholeOrNotAtAll(t *testing.T) {
	const next = "another good password"
	acts := map[string]struct {
		do    func(s *identity.Service, alice context.Context) error
		row   string
		steps []string
	}{
		"disable": {
			func(s *identity.Service, _ context.Context) error { return s.SetDisabled(ctx(), "alice", true) },
			"user.disable",
			[]string{"account", "sessions", "audit"},
		},
		"reset": {
			func(s *identity.Service, _ context.Context) error { return s.ResetPassword(ctx(), "alice", next) },
			"user.reset",
			[]string{"password", "enrolments", "tokens", "agents", "audit"},
		},
		"change": {
			func(s *identity.Service, alice context.Context) error {
				return s.ChangePassword(alice, testPassword, next)
			},
			"user.password",
			[]string{"password", "audit"},
		},
		"disconnect": {
			func(s *identity.Service, alice context.Context) error { return s.DisconnectOIDC(alice) },
			"oidc.disconnect",
			[]string{"identities", "sessions", "audit"},
		},
		"everything": {
			func(s *identity.Service, alice context.Context) error { return s.EndEverything(alice) },
			"session.logout",
			[]string{"sessions", "enrolments", "tokens", "agents", "audit"},
		},
	}
	for name, act := range acts {
		t.Run(name, func(t *testing.T) {
			storetest.Each(t, func(t *testing.T, st *gormstore.Store) {
				b := &breaking{Store: st}
				s := onBreaking(t, b)
				newMeans(t, s)
				pair := login(t, s, "alice")
				alice := as(t, s, pair.AccessToken)
				must(t, st.InsertSubject(ctx(), "https://idp.example", "42", pair.UserID, s.Now()))
				before := pictured(t, st)
				for _, step := range act.steps {
					b.at, b.reached = step, false
					if err := act.do(s, alice); !errors.Is(err, errBroken) || !b.reached {
						t.Fatalf("%s: %v, reached: %v", step, err, b.reached)
					}
					for table, rows := range pictured(t, st) {
						if !reflect.DeepEqual(rows, before[table]) {
							t.Errorf("%s failed, and %s is another:\n%v\n%v", step, table, before[table], rows)
						}
					}
				}
				b.at = ""
				must(t, act.do(s, alice))
				if n := count(t, st, "SELECT COUNT(*) FROM audit WHERE action = ? AND outcome = 'ok'", act.row); n != 1 {
					t.Errorf("%d audit rows", n)
				}
				_, err := audit.Verify(ctx(), st, testSecret)
				must(t, err)
			})
		})
	}
}
