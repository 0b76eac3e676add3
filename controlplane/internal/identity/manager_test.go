package identity_test

import (
	"fmt"
	"testing"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore/storetest"
	"github.com/ergon-hpc/ergon/controlplane/internal/identity"
)

var physics = identity.ManagedAccount{Cluster: "hpc", Account: "physics"}

// coordinated is a cluster where alice, linked as uid 1000, coordinates physics, bob has a job in it, and carol one in chemistry.
type coordinated struct {
	linking
	st    *gormstore.Store
	link  identity.Link
	carol identity.TokenPair
}

func newCoordinated(t *testing.T, st *gormstore.Store, change func(*identity.Config)) coordinated {
	t.Helper()
	l := newLinking(t, st)
	l.s = replica(t, st, l.c, func(cfg *identity.Config) {
		cfg.Coordinators = true
		change(cfg)
	})
	w := coordinated{linking: l, st: st, carol: login(t, l.s, "carol")}
	var err error
	w.link, err = l.s.ConfirmLink(l.agent(), confirmation(l.challenge(t, l.alice), 1000, "alice"))
	must(t, err)
	w.coordinators(t, identity.Coordinator{Account: "physics", UnixName: "alice"}, identity.Coordinator{Account: "physics", UnixName: "zoe"})
	w.job(t, l.bob, "physics")
	w.job(t, w.carol, "chemistry")
	return w
}

func (w coordinated) coordinators(t *testing.T, list ...identity.Coordinator) {
	t.Helper()
	if applied, err := w.s.ReportCoordinators(w.agent(), list); err != nil || !applied {
		t.Fatalf("%v %v", applied, err)
	}
}

func (w coordinated) job(t *testing.T, owner identity.TokenPair, account string) {
	t.Helper()
	at := gormstore.At(w.c.now())
	must(t, w.st.Tx(t.Context(), func(tx *gorm.DB) error {
		return tx.Exec(`INSERT INTO jobs (id, cluster_id, user_id, slurm_job_id, job_id_raw, account, state, slurm_state, submit_at, created_at, updated_at)
			VALUES (?, ?, ?, '1', '1', ?, 'DONE', 'COMPLETED', ?, ?, ?)`, uuid.NewString(), w.link.ClusterID, owner.UserID, account, at, at, at).Error
	}))
}

// admit asks as somebody for the sums of an account, of single persons or not.
func (w coordinated) admit(t *testing.T, who identity.TokenPair, persons bool) error {
	t.Helper()
	return w.s.AdmitManager(as(t, w.s, who.AccessToken), physics, persons)
}

func (w coordinated) looks(t *testing.T, who identity.TokenPair) []identity.Look {
	t.Helper()
	list, err := w.s.Looks(as(t, w.s, who.AccessToken))
	must(t, err)
	return list
}

func (w coordinated) manages(t *testing.T, who identity.TokenPair) string {
	t.Helper()
	list, err := w.s.ManagedAccounts(as(t, w.s, who.AccessToken))
	must(t, err)
	return fmt.Sprint(list)
}

const onlyPhysics = "[{hpc physics}]"

func TestManagersSeeSumsAndPersonsOnlyWhereTheSiteSaysSo(t *testing.T) {
	storetest.Each(t, func(t *testing.T, st *gormstore.Store) {
		w := newCoordinated(t, st, func(*identity.Config) {})
		must(t, w.admit(t, w.alice, false))
		wantCode(t, "single persons", w.admit(t, w.alice, true), apperr.Forbidden)
		wantCode(t, "who coordinates nothing", w.admit(t, w.bob, false), apperr.NotFound)
		if n := count(t, st, "SELECT count(*) FROM looks"); n != 0 || len(w.looks(t, w.bob)) != 0 {
			t.Errorf("%d looks at sums", n)
		}
	})
}

func TestALookAtPersonsIsWrittenDownAndThePersonsSeeIt(t *testing.T) {
	storetest.Each(t, func(t *testing.T, st *gormstore.Store) {
		w := newCoordinated(t, st, func(cfg *identity.Config) { cfg.ManagersSeePersons = true })
		must(t, w.admit(t, w.alice, false), w.admit(t, w.alice, true))
		wantCode(t, "who coordinates nothing", w.admit(t, w.bob, true), apperr.NotFound)
		list := w.looks(t, w.bob)
		if len(list) != 1 || list[0].Viewer != "alice" || list[0].ManagedAccount != physics || !list[0].At.Equal(w.c.now()) {
			t.Fatalf("what bob, who was looked at, sees: %+v", list)
		}
		if len(w.looks(t, w.carol)) != 0 || len(w.looks(t, w.alice)) != 0 {
			t.Error("somebody sees a look at others, or their own")
		}
		n := count(t, st, "SELECT count(*) FROM audit WHERE action = ? AND outcome = ? AND actor_id = ? AND subject = ?", "account.look", "ok", w.alice.UserID, list[0].ID)
		if n != 1 || count(t, st, "SELECT count(*) FROM audit WHERE action = ?", "account.look") != 1 {
			t.Errorf("%d audit rows", n)
		}
	})
}

func TestWhoCoordinatesFollowsSlurmAndTheLink(t *testing.T) {
	storetest.Each(t, func(t *testing.T, st *gormstore.Store) {
		w := newCoordinated(t, st, func(*identity.Config) {})
		if got := w.manages(t, w.alice); got != onlyPhysics {
			t.Errorf("at first: %s", got)
		}
		must(t, w.s.SuspendLink(ctx(), w.link.ID))
		if got := w.manages(t, w.alice); got != "[]" {
			t.Errorf("with a suspended link: %s", got)
		}
		wantCode(t, "with a suspended link", w.admit(t, w.alice, false), apperr.NotFound)
		_, err := w.s.ConfirmLink(w.agent(), confirmation(w.challenge(t, w.alice), 1000, "alice"))
		must(t, err)
		if got := w.manages(t, w.alice); got != onlyPhysics {
			t.Errorf("confirmed anew: %s", got)
		}
		w.coordinators(t, identity.Coordinator{Account: "physics", UnixName: "zoe"})
		if got := w.manages(t, w.alice); got != "[]" {
			t.Errorf("taken out by sacctmgr: %s", got)
		}
		wantCode(t, "taken out by sacctmgr", w.admit(t, w.alice, false), apperr.NotFound)
		w.coordinators(t)
		if n := count(t, st, "SELECT count(*) FROM coordinators"); n != 0 {
			t.Errorf("%d coordinators of none", n)
		}
		off := replica(t, st, w.c, nil)
		if applied, err := off.ReportCoordinators(w.agent(), []identity.Coordinator{{Account: "physics", UnixName: "alice"}}); err != nil || applied {
			t.Errorf("where the site has not turned it on: %v %v", applied, err)
		}
	})
}
