package audit_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
	"github.com/ergon-hpc/ergon/controlplane/internal/audit"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore/storetest"
)

// An act and its row are there together, and after a failure of either the log goes on in the same chain.
func TestAnActAndItsRowAreThereTogetherOrNeither(t *testing.T) {
	storetest.Each(t, func(t *testing.T, st *gormstore.Store) {
		broken := errors.New("broken")
		f := &failing{Store: st}
		log := newLog(t, f, time.Now)
		e := audit.Event{Action: "x.y", Outcome: audit.OK}
		act := func(person string, err error) func(ctx context.Context) error {
			return func(ctx context.Context) error {
				return errors.Join(st.InsertAuditKey(ctx, person, "k", time.Now()), err)
			}
		}
		for _, c := range []struct {
			person string
			act    error
			row    error
			done   bool // the row was written before the answer said that it was not
		}{{"a", nil, nil, false}, {"b", broken, nil, false}, {"c", nil, broken, false}, {"d", nil, broken, true}, {"e", nil, nil, false}} {
			f.next, f.done = c.row, c.done
			want := errors.Join(c.act, c.row) == nil
			if err := log.RecordWith(asUser("u1"), e, act(c.person, c.act)); (err == nil) != want || !want && !errors.Is(err, broken) {
				t.Errorf("%s: %v", c.person, err)
			}
			if _, err := st.AuditKey(t.Context(), c.person); (err == nil) != want || !want && !apperr.Is(err, apperr.NotFound) {
				t.Errorf("%s: what was done: %v", c.person, err)
			}
		}
		if v, err := audit.Verify(t.Context(), st, secret); err != nil || v.Rows != 2 || v.Chains != 1 {
			t.Errorf("%+v, %v", v, err)
		}
	})
}

func TestACallerThatGoesAwayUndoesTheActAndItsRow(t *testing.T) {
	storetest.Each(t, func(t *testing.T, st *gormstore.Store) {
		log := newLog(t, st, time.Now)
		ctx, cancel := context.WithCancel(t.Context())
		err := log.RecordWith(ctx, audit.Event{Action: "x.y", Outcome: audit.OK}, func(ctx context.Context) error {
			defer cancel()
			return st.InsertAuditKey(ctx, "a", "k", time.Now())
		})
		if err == nil {
			t.Error("it was answered with success")
		}
		if _, err := st.AuditKey(t.Context(), "a"); !apperr.Is(err, apperr.NotFound) {
			t.Errorf("what was done: %v", err)
		}
		if err := log.Record(t.Context(), audit.Event{Action: "x.y", Outcome: audit.OK}); err != nil {
			t.Error(err)
		}
		if v, err := audit.Verify(t.Context(), st, secret); err != nil || v.Rows != 1 {
			t.Errorf("%+v, %v", v, err)
		}
	})
}

// Whoever gave up before the turn came begins nothing: neither the act nor a chain. An act that fails leaves no key of a person.
func TestWhatNeverBeganLeavesNothing(t *testing.T) {
	storetest.Each(t, func(t *testing.T, st *gormstore.Store) {
		log := newLog(t, st, time.Now)
		e := audit.Event{Actor: "nobody", Action: "x.y", Subject: "nobody", Outcome: audit.OK}
		if err := log.Record(asUser("u1"), e); err != nil {
			t.Fatal(err)
		}
		gone, cancel := context.WithCancel(asUser("u1"))
		cancel()
		for range 3 {
			err := log.RecordWith(gone, e, func(context.Context) error { t.Error("it was done"); return nil })
			if !apperr.Is(err, apperr.Busy) {
				t.Errorf("got %v, want that it is to be tried again", err)
			}
		}
		broken := errors.New("broken")
		e.Private = map[string]string{"name": "somebody"}
		e.Subject = "u2"
		if err := log.RecordWith(asUser("u2"), e, func(context.Context) error { return broken }); !errors.Is(err, broken) {
			t.Error(err)
		}
		if _, err := st.AuditKey(t.Context(), "u2"); !apperr.Is(err, apperr.NotFound) {
			t.Errorf("a key of somebody of whom nothing is recorded: %v", err)
		}
		if err := log.Record(asUser("u1"), e); err != nil {
			t.Fatal(err)
		}
		if v, err := audit.Verify(t.Context(), st, secret); err != nil || v.Rows != 2 || v.Chains != 1 {
			t.Errorf("%+v, %v", v, err)
		}
	})
}
