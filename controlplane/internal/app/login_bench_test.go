package app

import (
	"context"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// 500 logins at once over HTTP with the default parameters of argon2id: how many got through, how much heap the process had in
// use at most, and the p99 of the server's own /livez beside them.
func BenchmarkLogin500AtOnce(b *testing.B) {
	a := boot(b, testConfig(b, "ERGON_AUTH_LOGIN_PER_MINUTE=100000", "ERGON_LIMIT_PER_ROUTE=0", "ERGON_LIMIT_PER_ADDRESS=0"))
	for b.Loop() {
		var done, busy atomic.Int64
		ctx, cancel := context.WithCancel(b.Context())
		waits, most := beside(ctx, a.URL()+"/livez")
		var wg sync.WaitGroup
		start := time.Now()
		for i := range 500 {
			wg.Go(func() {
				switch code := post(b.Context(), a.URL()+"/auth/login", fmt.Sprint("user", i)); code { // unknown: costs the same hash
				case http.StatusUnauthorized:
					done.Add(1)
				case http.StatusServiceUnavailable:
					busy.Add(1)
				default:
					b.Errorf("login: %d", code)
				}
			})
		}
		wg.Wait()
		took := time.Since(start)
		cancel()
		list := <-waits
		slices.Sort(list)
		b.ReportMetric(float64(done.Load())/took.Seconds(), "logins/s")
		b.ReportMetric(float64(busy.Load()), "told-to-wait")
		b.ReportMetric(float64(<-most)/(1<<20), "MiB-heap")
		b.ReportMetric(float64(list[len(list)*99/100].Microseconds())/1000, "livez-p99-ms")
	}
}

// beside asks a URL again and again, and looks at the heap, until ctx ends.
func beside(ctx context.Context, url string) (waits chan []time.Duration, most chan uint64) {
	waits, most = make(chan []time.Duration, 1), make(chan uint64, 1)
	client := &http.Client{Transport: &http.Transport{}}
	go func() {
		defer client.CloseIdleConnections()
		var list []time.Duration
		var peak uint64
		for len(list) == 0 || ctx.Err() == nil {
			start := time.Now()
			if resp, err := client.Get(url); err == nil {
				_ = resp.Body.Close()
			}
			list = append(list, time.Since(start))
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			peak = max(peak, m.HeapInuse)
			time.Sleep(time.Millisecond)
		}
		waits <- list
		most <- peak
	}()
	return waits, most
}
