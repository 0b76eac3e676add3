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

func TestPricesAndCarbonAreFetchedByTheServer(t *testing.T) {
	mux := http.NewServeMux()
	for path, values := range map[string][2]int{"/prices.csv": {50, -5}, "/carbon.csv": {400, 380}} {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(w, "start,value\n2026-11-24T00:00:00Z,%d\n2026-11-24T01:00:00Z,%d\n", values[0], values[1])
		})
	}
	srv := httptest.NewServer(mux)
	defer srv.Close()
	cfg := testConfig(t)
	cfg.Insight.PricesURL, cfg.Insight.PricesCurrency, cfg.Insight.FetchEvery = config.Secret(srv.URL+"/prices.csv"), "EUR", time.Hour
	cfg.Insight.CarbonURL = config.Secret(srv.URL + "/carbon.csv")
	a := boot(t, cfg)
	for kind, last := range map[tariff.Kind]float64{tariff.Price: -5, tariff.Carbon: 380} {
		awaitFetched(t, gormstore.NewTariffs(a.store), kind, last)
	}
}

func awaitFetched(t *testing.T, store *gormstore.Tariffs, kind tariff.Kind, last float64) {
	t.Helper()
	deadline := time.Now().Add(2 * time.Minute)
	for {
		list, err := store.Intervals(t.Context(), tariff.Key{Kind: kind})
		if err == nil && len(list) == 2 && list[1].Value == last {
			return
		}
		if time.Now().After(deadline) {
			states, _ := store.FetchStates(t.Context())
			t.Fatalf("%s: intervals %v, %v; states %+v", kind, list, err, states)
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
