package identity_test

import (
	"fmt"
	"sync"
	"testing"
	"time"
)

// 64 clients, each with a family of its own, rotate as fast as they can.
func BenchmarkRefresh64Clients(b *testing.B) {
	st := openSQLite(b)
	s := replica(b, st, &clock{at: time.Now()}, nil)
	tokens := make([]string, 64)
	for i := range tokens {
		tokens[i] = login(b, s, fmt.Sprint("client", i)).RefreshToken
	}
	for b.Loop() {
		var wg sync.WaitGroup
		start := time.Now()
		for i := range tokens {
			wg.Go(func() {
				pair, err := s.Refresh(ctx(), tokens[i])
				if err != nil {
					b.Error(err)
					return
				}
				tokens[i] = pair.RefreshToken
			})
		}
		wg.Wait()
		b.ReportMetric(float64(len(tokens))/time.Since(start).Seconds(), "refreshes/s")
	}
}
