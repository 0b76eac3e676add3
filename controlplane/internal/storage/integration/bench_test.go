package integration

import (
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/controlplane/internal/storage"
	"github.com/ergon-hpc/ergon/shared/api"
)

// newBench is newStack as it is in production: nobody holds the calls against the OpenAPI document, the log is short, and a
// commit survives a power cut. The one connection is the one that was told so.
func newBench(b *testing.B) *stack {
	b.Helper()
	s := newStack(b, func(c *storage.Config) { c.Quota = storage.Limit{Bytes: 1 << 50, Objects: 1 << 40} })
	s.db.SQL().SetMaxOpenConns(1)
	if _, err := s.db.SQL().Exec("PRAGMA synchronous = FULL"); err != nil {
		b.Fatal(err)
	}
	s.listen(s.handler(slog.New(slog.DiscardHandler)))
	return s
}

// times reports the median and the 99th percentile of what took so long.
func times(b *testing.B, took []time.Duration) {
	b.Helper()
	slices.Sort(took)
	at := func(q float64) float64 { return float64(took[int(q*float64(len(took)-1))].Microseconds()) / 1000 }
	b.ReportMetric(at(0.5), "p50-ms")
	b.ReportMetric(at(0.99), "p99-ms")
}

// BenchmarkPresignBatch1000 reserves, writes and presigns 1000 outputs of a job in one call, as an agent does.
func BenchmarkPresignBatch1000(b *testing.B) {
	s := newBench(b)
	user := s.user()
	job, agent := s.job(user)
	entries := make([]api.JobUploadEntry, 1000)
	for i := range entries {
		entries[i] = entry(fmt.Sprintf("out/%d", i), api.FileClassOutput, fmt.Append(nil, i))
	}
	attempt := int32(0)
	for b.Loop() {
		attempt++
		s.presignJob(agent, job, attempt, entries...)
	}
	b.ReportMetric(float64(b.N*len(entries))/b.Elapsed().Seconds(), "urls/s")
}

// BenchmarkPresignUpload reserves and presigns one file in one call.
func BenchmarkPresignUpload(b *testing.B) {
	s := newBench(b)
	user := s.user()
	var took []time.Duration
	for b.Loop() {
		begun := time.Now()
		s.want(http.StatusCreated, user, http.MethodPost, "/files/presign/upload", request(uuid.NewString(), nil), nil)
		took = append(took, time.Since(begun))
	}
	times(b, took)
}

// BenchmarkDurableCommit is the least that a call can take that remembers something: one row in one transaction.
func BenchmarkDurableCommit(b *testing.B) {
	s := newBench(b)
	user := s.user()
	var took []time.Duration
	for b.Loop() {
		begun := time.Now()
		s.exec("UPDATE users SET created_at = created_at + 1 WHERE id = ?", user)
		took = append(took, time.Since(begun))
	}
	times(b, took)
}

// BenchmarkPresignDownload looks for a stored file and presigns it in one call.
func BenchmarkPresignDownload(b *testing.B) {
	s := newBench(b)
	user := s.user()
	f := s.put(user, "results.csv", []byte("1,2,3"))
	var took []time.Duration
	for b.Loop() {
		begun := time.Now()
		s.want(http.StatusOK, user, http.MethodGet, "/files/presign/download?id="+f.Id.String(), nil, nil)
		took = append(took, time.Since(begun))
	}
	times(b, took)
}
