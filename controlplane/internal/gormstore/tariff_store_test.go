package gormstore_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore/storetest"
	"github.com/ergon-hpc/ergon/controlplane/internal/tariff"
	"github.com/ergon-hpc/ergon/shared/efficiency"
)

var hours = []efficiency.Interval{{From: 0, To: 3600, Value: 80.5}, {From: 3600, To: 7200, Value: -3}, {From: 10800, To: 14400, Value: 90}}

func prices(zone, unit string, list ...efficiency.Interval) tariff.Series {
	return tariff.Series{Head: tariff.Head{Key: tariff.Key{Kind: tariff.Price, Zone: zone}, Unit: unit}, Intervals: list}
}

func TestTariffsComeBackAsTheyWereImported(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *gormstore.Store) {
		store := gormstore.NewTariffs(s)
		svc := tariff.New(store, time.Now)
		changes, err := svc.Import(t.Context(), prices("", "EUR", hours...))
		if err != nil || changes.Added != 3 {
			t.Fatalf("%+v, %v", changes, err)
		}
		got, err := store.Intervals(t.Context(), tariff.Key{Kind: tariff.Price})
		if diff := cmp.Diff(hours, got); diff != "" || err != nil {
			t.Errorf("%v\n%s", err, diff)
		}
		price, carbon, err := svc.Tariffs(t.Context(), "any", time.Unix(1800, 0), time.Unix(5400, 0))
		want := &efficiency.Tariff{Unit: "EUR", Intervals: []efficiency.Interval{{From: 1800, To: 3600, Value: 80.5}, {From: 3600, To: 5400, Value: -3}}}
		if diff := cmp.Diff(want, price); diff != "" || err != nil || carbon != nil {
			t.Errorf("%v, carbon %v\n%s", err, carbon, diff)
		}
	})
}

func TestImportingAgainChangesNothing(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *gormstore.Store) {
		store := gormstore.NewTariffs(s)
		at := time.Unix(1000, 0)
		svc := tariff.New(store, func() time.Time { return at })
		if _, err := svc.Import(t.Context(), prices("", "EUR", hours...)); err != nil {
			t.Fatal(err)
		}
		before, err := store.Heads(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		at = time.Unix(2000, 0)
		changes, err := svc.Import(t.Context(), prices("", "EUR", hours...))
		if err != nil || changes != (tariff.Changes{Unchanged: 3}) {
			t.Errorf("%+v, %v", changes, err)
		}
		after, err := store.Heads(t.Context())
		if diff := cmp.Diff(before, after); diff != "" || err != nil {
			t.Errorf("%v\n%s", err, diff)
		}
		changes, err = svc.Import(t.Context(), prices("", "EUR", efficiency.Interval{From: 1800, To: 5400, Value: 1}))
		if err != nil || changes != (tariff.Changes{Added: 1, Replaced: 2}) {
			t.Errorf("%+v, %v", changes, err)
		}
		if price, _, err := svc.Tariffs(t.Context(), "", time.Unix(0, 0), time.Unix(7200, 0)); err != nil || len(price.Intervals) != 3 {
			t.Errorf("a new version is seen at once: %+v, %v", price, err)
		}
	})
}

func TestAClustersOwnTariffComesBeforeTheCommonOne(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *gormstore.Store) {
		svc := tariff.New(gormstore.NewTariffs(s), time.Now)
		constant := 50.0
		common := prices("", "EUR")
		common.Constant = &constant
		for _, one := range []tariff.Series{prices("abroad", "CHF", hours...), common} {
			if _, err := svc.Import(t.Context(), one); err != nil {
				t.Fatal(err)
			}
		}
		for cluster, want := range map[string]efficiency.Tariff{
			"abroad": {Unit: "CHF", Intervals: hours[:1]},
			"here":   {Unit: "EUR", Intervals: []efficiency.Interval{{From: 0, To: 3600, Value: 50}}},
		} {
			price, _, err := svc.Tariffs(t.Context(), cluster, time.Unix(0, 0), time.Unix(3600, 0))
			if err != nil || !cmp.Equal(*price, want) {
				t.Errorf("%s: %+v, %v", cluster, price, err)
			}
		}
	})
}

func TestATariffHasOneCurrency(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *gormstore.Store) {
		svc := tariff.New(gormstore.NewTariffs(s), time.Now)
		if _, err := svc.Import(t.Context(), prices("", "EUR", hours...)); err != nil {
			t.Fatal(err)
		}
		if _, err := svc.Import(t.Context(), prices("", "USD", hours...)); !apperr.Is(err, apperr.Conflict) {
			t.Error(err)
		}
		if _, err := svc.Import(t.Context(), prices("", "euro", hours...)); !apperr.Is(err, apperr.InvalidRequest) {
			t.Error(err)
		}
	})
}

func TestImportsAtOnceAllCount(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *gormstore.Store) {
		store := gormstore.NewTariffs(s)
		var all sync.WaitGroup
		errs := make([]error, 8)
		for i := range errs {
			all.Go(func() {
				iv := efficiency.Interval{From: int64(i) * 10, To: int64(i)*10 + 10, Value: float64(i)}
				_, errs[i] = tariff.New(store, time.Now).Import(t.Context(), prices("", "EUR", iv))
			})
		}
		all.Wait()
		got, err := store.Intervals(t.Context(), tariff.Key{Kind: tariff.Price})
		if err := errors.Join(errors.Join(errs...), err); err != nil || len(got) != len(errs) {
			t.Errorf("%d intervals of %d, %v", len(got), len(errs), err)
		}
	})
}
