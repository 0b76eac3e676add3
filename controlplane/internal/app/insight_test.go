package app

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/ergon-hpc/ergon/controlplane/internal/config"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore"
	"github.com/ergon-hpc/ergon/controlplane/internal/tariff"
)

func TestPricesAreFetchedByTheServer(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "start,price\n2026-11-24T00:00:00Z,50\n2026-11-24T01:00:00Z,-5\n")
	}))
	defer srv.Close()
	cfg := testConfig(t)
	cfg.Insight.PricesURL, cfg.Insight.PricesCurrency, cfg.Insight.FetchEvery = config.Secret(srv.URL+"/prices.csv"), "EUR", time.Hour
	a := boot(t, cfg)
	store := gormstore.NewTariffs(a.store)
	deadline := time.Now().Add(2 * time.Minute)
	for {
		list, err := store.Intervals(t.Context(), tariff.Key{Kind: tariff.Price})
		if err == nil && len(list) == 2 && list[1].Value == -5 {
			return
		}
		if time.Now().After(deadline) {
			states, _ := store.FetchStates(t.Context())
			t.Fatalf("intervals %v, %v; states %+v", list, err, states)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func TestAnAddressThatCannotBeFetchedStopsTheStart(t *testing.T) {
	cfg := testConfig(t)
	cfg.Insight.PricesURL, cfg.Insight.PricesCurrency, cfg.Insight.FetchEvery = "ftp://example.org/p", "EUR", time.Hour
	if a, err := New(t.Context(), cfg, testDeps()); err == nil {
		_ = a.Close()
		t.Error("it started")
	}
}
