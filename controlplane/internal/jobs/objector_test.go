package jobs_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
	"github.com/ergon-hpc/ergon/controlplane/internal/audit"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore/storetest"
	"github.com/ergon-hpc/ergon/controlplane/internal/jobs"
	"github.com/ergon-hpc/ergon/controlplane/internal/principal"
)

// acts remembers audit rows, or fails.
type acts struct {
	rows []string
	err  error
}

func (a *acts) Record(_ context.Context, e audit.Event) error {
	a.rows = append(a.rows, fmt.Sprint(e.Action, " ", e.Subject, " ", e.Detail["uid"], " ", e.Outcome))
	return a.err
}

// agentOf is a call of an agent of the site.
func agentOf(clusterID string) principal.Principal {
	return principal.Principal{
		Kind: principal.Agent, ID: uuid.NewString(), ClusterID: clusterID, AgentKind: principal.AgentSystem, Scopes: []principal.Scope{principal.ScopeIdentityAssert},
	}
}

// people are five jobs of alice (uid 1007) and five of bob (uid 1008).
func people(t *testing.T, s *gormstore.Store) (*gormstore.Jobs, jobs.Cluster) {
	t.Helper()
	g := gormstore.NewJobs(s)
	imported(t, g, strings.NewReplacer("|7|alice|", "|1007|alice|", "|8|bob|", "|1008|bob|").Replace(objecting(1, 10)))
	c, _, err := g.ClusterByName(context.Background(), "c", false)
	if err != nil {
		t.Fatal(err)
	}
	return g, c
}

// lateHider does some pages of two jobs, and then nothing until time is up.
type lateHider struct {
	jobs.Objections
	pages int
}

func (l *lateHider) HideObjected(ctx context.Context, now time.Time, _ int) (int, error) {
	if l.pages--; l.pages < 0 {
		<-ctx.Done()
		return 0, ctx.Err()
	}
	return l.Objections.HideObjected(context.WithoutCancel(ctx), now, 2)
}

func TestACallThatRunsOutOfTimeAnswersAndLeavesTheRest(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *gormstore.Store) {
		g, c := people(t, s)
		log, hinted := &acts{}, 0
		o := jobs.NewObjector(&lateHider{g, 2}, log, time.Now, func(context.Context) { hinted++ })
		o.Within(time.Nanosecond)
		ctx := principal.With(context.Background(), agentOf(c.ID))
		if st, err := o.Standing(ctx, 1007); err != nil || st.Since != nil || st.Named != 5 {
			t.Errorf("before: %+v, %v", st, err)
		}
		first, err := o.Object(ctx, 1007)
		if err != nil || first.Since == nil || first.Hidden != 4 || first.Named != 1 || first.Linked || hinted != 1 {
			t.Fatalf("%+v, %v, hinted %d times", first, err, hinted)
		}
		if n, err := jobs.Hide(context.Background(), g, time.Now()); n != 1 || err != nil { // the task
			t.Errorf("the task did %d, %v", n, err)
		}
		again, err := o.Object(ctx, 1007)
		if err != nil || !again.Since.Equal(*first.Since) || again.Hidden != 0 || again.Named != 0 || hinted != 1 {
			t.Errorf("again: %+v, %v, hinted %d times", again, err, hinted)
		}
		if text := dumped(t, s); strings.Contains(text, "alice") || !strings.Contains(text, "bobwork") {
			t.Errorf("stored: %s", text)
		}
		for range 2 { // there is none the second time, which is no act
			if st, err := o.TakeBack(ctx, 1007); err != nil || st.Since != nil {
				t.Errorf("taken back: %+v, %v", st, err)
			}
		}
		row := " " + c.ID + " 1007 ok"
		if want := []string{"objection.add" + row, "objection.add" + row, "objection.remove" + row}; fmt.Sprint(log.rows) != fmt.Sprint(want) {
			t.Errorf("audited %q", log.rows)
		}
	})
}

func TestThreat_T23_OnlyAnAgentOfTheSiteSaysWhoObjects(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *gormstore.Store) {
		g, c := people(t, s)
		log := &acts{}
		o := jobs.NewObjector(g, log, time.Now, nil)
		system := agentOf(c.ID)
		own, narrow := system, system
		own.AgentKind, own.OwnerUserID = principal.AgentUser, uuid.NewString()
		narrow.Scopes = []principal.Scope{principal.ScopeJobsLinked, principal.ScopeAccountingCluster}
		for name, one := range map[string]struct {
			who  principal.Principal
			uid  int64
			code apperr.Code
		}{
			"a user's own agent":          {own, 1007, apperr.Forbidden},
			"an agent without the scope":  {narrow, 1007, apperr.Forbidden},
			"a uid of the system":         {system, 999, apperr.Forbidden},
			"an administrator's login":    {principal.Principal{Kind: principal.User, ID: uuid.NewString(), Role: principal.RoleAdmin}, 1007, apperr.Forbidden},
			"nobody":                      {principal.Principal{}, 1007, apperr.Unauthorized},
			"root, who is no person here": {system, 0, apperr.Forbidden},
		} {
			ctx := principal.With(context.Background(), one.who)
			_, asked := o.Standing(ctx, one.uid)
			_, added := o.Object(ctx, one.uid)
			_, removed := o.TakeBack(ctx, one.uid)
			for call, err := range map[string]error{"standing": asked, "object": added, "take back": removed} {
				if !apperr.Is(err, one.code) {
					t.Errorf("%s of %s: %v, want %s", call, name, err, one.code)
				}
			}
		}
		if len(log.rows) != 0 {
			t.Errorf("audited %q", log.rows)
		}
		other, _, err := g.ClusterByName(context.Background(), "other", true)
		if err != nil {
			t.Fatal(err)
		}
		if st, err := o.Object(principal.With(context.Background(), agentOf(other.ID)), 1007); err != nil || st.Hidden != 0 {
			t.Errorf("another cluster's agent: %+v, %v", st, err)
		}
		if st, err := o.Standing(principal.With(context.Background(), system), 1007); err != nil || st.Since != nil || st.Named != 5 {
			t.Errorf("what another cluster's agent did reaches this one: %+v, %v", st, err)
		}
	})
}

func TestAnObjectionOfALinkedUIDIsRefusedAndAudited(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *gormstore.Store) {
		g, c := people(t, s)
		linkAlice(t, s, 1007)
		log := &acts{}
		o := jobs.NewObjector(g, log, time.Now, nil)
		ctx := principal.With(context.Background(), agentOf(c.ID))
		if _, err := o.Object(ctx, 1007); !apperr.Is(err, apperr.Conflict) {
			t.Errorf("%v", err)
		}
		if st, err := o.Standing(ctx, 1007); err != nil || !st.Linked || st.Since != nil {
			t.Errorf("%+v, %v", st, err)
		}
		if want := "objection.add " + c.ID + " 1007 conflict"; len(log.rows) != 1 || log.rows[0] != want {
			t.Errorf("audited %q", log.rows)
		}
		log.err = errors.New("the disk is full")
		if _, err := o.Object(ctx, 1008); err == nil {
			t.Error("an act that is not audited was answered with success")
		}
	})
}

// linkAlice gives alice, who has the uid, an account on the one cluster.
func linkAlice(t *testing.T, s *gormstore.Store, uid int64) {
	t.Helper()
	for _, statement := range []string{
		"INSERT INTO users (id, username, pw_hash, role, created_at) SELECT '" + uuid.NewString() + "', 'a', '', 'user', created_at FROM clusters",
		fmt.Sprintf("INSERT INTO links (id, cluster_id, uid, gid, unix_name, user_id, created_at) SELECT 'l', c.id, %d, 7, 'alice', u.id, c.created_at FROM clusters c, users u", uid),
	} {
		if _, err := s.SQL().ExecContext(context.Background(), statement); err != nil {
			t.Fatal(err)
		}
	}
}
