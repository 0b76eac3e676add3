package tariff_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore/storetest"
	"github.com/ergon-hpc/ergon/controlplane/internal/tariff"
)

// world is a source of prices, and a fetcher that reads it at a fixed time.
type world struct {
	t       *testing.T
	store   *gormstore.Tariffs
	mux     *http.ServeMux
	srv     *httptest.Server
	now     time.Time
	asked   []string
	changed [][2]time.Time
}

func newWorld(t *testing.T, s *gormstore.Store) *world {
	t.Helper()
	w := &world{t: t, store: gormstore.NewTariffs(s), mux: http.NewServeMux(), now: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)}
	w.srv = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.asked = append(w.asked, r.URL.Path)
		w.mux.ServeHTTP(rw, r)
	}))
	t.Cleanup(w.srv.Close)
	return w
}

// fetch reads a source of prices.
func (w *world) fetch(path string) error {
	w.t.Helper()
	return w.fetchAll(tariff.Feed{Key: price, Unit: "EUR", URL: path})
}

// fetchAll reads feeds, whose URL is a path here.
func (w *world) fetchAll(feeds ...tariff.Feed) error {
	w.t.Helper()
	for i := range feeds {
		feeds[i].URL = w.srv.URL + feeds[i].URL
	}
	f, err := tariff.NewFetcher(tariff.New(w.store, func() time.Time { return w.now }), feeds, tariff.FetchDeps{
		Store: w.store, States: w.store, Now: func() time.Time { return w.now }, Log: slog.New(slog.DiscardHandler),
		Changed: func(_ context.Context, from, to time.Time) error {
			w.changed = append(w.changed, [2]time.Time{from, to})
			return nil
		},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return f.Run(context.Background())
}

var (
	price  = tariff.Key{Kind: tariff.Price}
	carbon = tariff.Key{Kind: tariff.Carbon}
)

func (w *world) state() tariff.State { return w.stateOf(price) }

func (w *world) stateOf(key tariff.Key) tariff.State {
	w.t.Helper()
	s, ok, err := w.store.FetchState(context.Background(), key)
	if err != nil || !ok {
		w.t.Fatalf("no state: %v", err)
	}
	return s
}

func (w *world) intervals() int { return len(w.values(price)) }

// values are what is stored of a tariff, in order.
func (w *world) values(key tariff.Key) []float64 {
	w.t.Helper()
	list, err := w.store.Intervals(context.Background(), key)
	if err != nil {
		w.t.Fatal(err)
	}
	out := make([]float64, 0, len(list))
	for _, iv := range list {
		out = append(out, iv.Value)
	}
	return out
}

func TestACSVIsFetchedOnceAndThenOnlyAskedFor(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *gormstore.Store) {
		w := newWorld(t, s)
		full := 0
		w.mux.HandleFunc("/p.csv", func(rw http.ResponseWriter, r *http.Request) {
			rw.Header().Set("ETag", `"v1"`)
			if r.Header.Get("If-None-Match") == `"v1"` {
				rw.WriteHeader(http.StatusNotModified)
				return
			}
			full++
			fmt.Fprint(rw, "start,price\n2026-11-24T00:00:00Z,50\n2026-11-24T01:00:00Z,-5\n")
		})
		for range 3 {
			if err := w.fetch("/p.csv?key=sekret"); err != nil {
				t.Fatal(err)
			}
		}
		if st := w.state(); full != 1 || w.intervals() != 2 || len(w.changed) != 1 || st.Answered == nil || st.Error != "" || strings.Contains(st.URL, "sekret") {
			t.Errorf("%d full answers, %d intervals, changes %v, %+v", full, w.intervals(), w.changed, w.state())
		}
	})
}

func TestASourceThatIsAwayIsNotedAndTakesNothingAway(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	answer := func(rw http.ResponseWriter) {
		fmt.Fprint(rw, "start,price\n2026-11-24T00:00:00Z,50\n2026-11-24T01:00:00Z,60\n")
	}
	w.mux.HandleFunc("/p.csv", func(rw http.ResponseWriter, _ *http.Request) { answer(rw) })
	if err := w.fetch("/p.csv?key=sekret"); err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string]func(http.ResponseWriter){
		"an error":        func(rw http.ResponseWriter) { rw.WriteHeader(http.StatusBadGateway) },
		"a page of HTML":  func(rw http.ResponseWriter) { fmt.Fprint(rw, "<html><body>maintenance</body></html>") },
		"nothing":         func(http.ResponseWriter) {},
		"useless numbers": func(rw http.ResponseWriter) { fmt.Fprint(rw, "start,price\n2026-11-24T00:00:00Z,cheap\n") },
		"a broken line":   func(rw http.ResponseWriter) { rw.Header().Set("Content-Length", "100"); fmt.Fprint(rw, "start") },
	} {
		t.Run(name, func(t *testing.T) {
			before := w.state().Failures
			answer = bad
			err := w.fetch("/p.csv?key=sekret")
			st := w.state()
			if err == nil || strings.Contains(err.Error()+st.Error, "sekret") || st.Failures != before+1 || st.Error == "" || st.Answered == nil || w.intervals() != 2 {
				t.Errorf("%v, %+v, %d intervals", err, st, w.intervals())
			}
		})
	}
	w.srv.Close()
	if err := w.fetch("/p.csv?key=sekret"); err == nil || strings.Contains(err.Error(), "sekret") || w.intervals() != 2 {
		t.Errorf("nobody there: %v", err)
	}
}

func TestAnAnswerThatCannotBeUsedIsAskedForAgain(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	w.mux.HandleFunc("/p.csv", func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("ETag", `"v1"`)
		if r.Header.Get("If-None-Match") == `"v1"` {
			rw.WriteHeader(http.StatusNotModified)
			return
		}
		fmt.Fprint(rw, "start,price\n2026-11-24T00:00:00Z,cheap\n")
	})
	for n := range int64(2) {
		err := w.fetch("/p.csv")
		if st := w.state(); err == nil || st.Failures != n+1 || st.Error == "" || st.Answered != nil {
			t.Errorf("try %d: %v, %+v", n, err, st)
		}
	}
}

func TestSMARDIsReadWeekByWeek(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	const base = "/app/chart_data/4169/DE-LU"
	week := func(back int) int64 {
		return time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC).AddDate(0, 0, -7*back).UnixMilli()
	}
	w.mux.HandleFunc(base+"/index_hour.json", func(rw http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(rw, `{"timestamps":[%d,%d,%d,%d]}`, week(52), week(2), week(1), week(0))
	})
	for _, back := range []int{0, 1, 2} {
		w.mux.HandleFunc(fmt.Sprintf("%s/4169_DE-LU_hour_%d.json", base, week(back)), func(rw http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(rw, `{"series":[[%d,%d],[%d,7.5],[%d,null]]}`, week(back), 10*back, week(back)+3600_000, week(back)+7200_000)
		})
	}
	if err := w.fetch(base); err != nil {
		t.Fatal(err)
	}
	if w.intervals() != 6 || len(w.asked) != 4 {
		t.Errorf("%d intervals; asked for %v", w.intervals(), w.asked)
	}
	w.asked = nil
	if err := w.fetch(base); err != nil || len(w.asked) != 4 || w.intervals() != 6 {
		t.Errorf("again: %v, %v", err, w.asked)
	}
}

func TestOnlySafeAddressesAreFetched(t *testing.T) {
	for address, ok := range map[string]bool{
		"https://example.org/p.csv": true, "http://127.0.0.1:8/p.csv": true, "http://localhost/p": true, "http://example.org/p.csv": false,
		"file:///etc/passwd": false, "p.csv": false, "": false, "https://": false,
	} {
		_, err := tariff.NewFetcher(nil, []tariff.Feed{{Key: price, Unit: "EUR", URL: address}}, tariff.FetchDeps{})
		if (err == nil) != ok {
			t.Errorf("%q: %v", address, err)
		}
		if err != nil && address != "" && strings.Contains(err.Error(), address) {
			t.Errorf("the error shows the address: %v", err)
		}
	}
}

func TestCarbonIsFetchedBesideThePrices(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *gormstore.Store) {
		w := newWorld(t, s)
		feeds := func() []tariff.Feed {
			return []tariff.Feed{{Key: price, Unit: "EUR", URL: "/p.csv"}, {Key: carbon, Unit: tariff.Gram, URL: "/c.csv"}}
		}
		w.mux.HandleFunc("/p.csv", func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusBadGateway) })
		full := 0
		w.mux.HandleFunc("/c.csv", func(rw http.ResponseWriter, r *http.Request) {
			rw.Header().Set("ETag", `"v1"`)
			if r.Header.Get("If-None-Match") == `"v1"` {
				rw.WriteHeader(http.StatusNotModified)
				return
			}
			full++
			// A price may be negative, the carbon of a kilowatt hour may not: that line alone is left out.
			fmt.Fprint(rw, "start,end,value\n2026-11-24T00:00:00Z,2026-11-24T01:00:00Z,400\n2026-11-24T01:00:00Z,2026-11-24T02:00:00Z,-1\n2026-11-24T02:00:00Z,2026-11-24T03:00:00Z,380.5\n")
		})
		for range 2 {
			if err := w.fetchAll(feeds()...); err == nil || !strings.Contains(err.Error(), "fetching price ") || strings.Contains(err.Error(), "fetching carbon ") {
				t.Errorf("the prices are away, the carbon is there: %v", err)
			}
		}
		if got := fmt.Sprint(w.values(carbon), w.values(price)); got != "[400 380.5] []" || full != 1 {
			t.Errorf("carbon and prices %s after %d full answers", got, full)
		}
		midnight := time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)
		if len(w.changed) != 1 || !w.changed[0][0].Equal(midnight) || !w.changed[0][1].Equal(midnight.Add(3*time.Hour)) {
			t.Errorf("jobs of %v are to be looked at again", w.changed)
		}
		if c, p := w.stateOf(carbon), w.stateOf(price); c.Error != "" || c.Failures != 0 || c.Answered == nil || p.Failures != 2 || p.Error == "" {
			t.Errorf("carbon %+v, price %+v", c, p)
		}
	})
}

func TestCarbonThatCannotBeUsedTakesNothingAway(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	body := "start,value\n2026-11-24T00:00:00Z,400\n2026-11-24T01:00:00Z,380\n"
	w.mux.HandleFunc("/c.csv", func(rw http.ResponseWriter, _ *http.Request) { fmt.Fprint(rw, body) })
	fetch := func() error { return w.fetchAll(tariff.Feed{Key: carbon, Unit: tariff.Gram, URL: "/c.csv"}) }
	if err := fetch(); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"only negative": "start,value\n2026-11-24T00:00:00Z,-400\n2026-11-24T01:00:00Z,-1\n", "a page of HTML": "<html><body>maintenance</body></html>", "nothing": "",
	} {
		t.Run(name, func(t *testing.T) {
			before := w.stateOf(carbon).Failures
			body = text
			err := fetch()
			if st := w.stateOf(carbon); err == nil || st.Failures != before+1 || st.Error == "" || fmt.Sprint(w.values(carbon)) != "[400 380]" || len(w.changed) != 1 {
				t.Errorf("%v, %+v, %v, changed %v", err, st, w.values(carbon), w.changed)
			}
		})
	}
}

func TestAFeedOfCarbonIsInGram(t *testing.T) {
	if _, err := tariff.NewFetcher(nil, []tariff.Feed{{Key: carbon, Unit: "EUR", URL: "https://example.org/c.csv"}}, tariff.FetchDeps{}); err == nil {
		t.Error("carbon in EUR was taken")
	}
}
