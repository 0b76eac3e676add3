package s3store

import (
	"crypto/sha256"
	"net/http"
	"net/url"
	"strconv"
	"testing"
	"time"

	"github.com/ergon-hpc/ergon/controlplane/internal/storage"
)

const benchKey = "u/jobs/j/0/output/k"

// BenchmarkSign presigns as the API does, and with plain minio-go: with the same headers and query, and with nothing bound.
func BenchmarkSign(b *testing.B) {
	s, sum := offline(b), storage.Digest(sha256.Sum256(nil))
	put := http.Header{
		"Content-Length": {strconv.Itoa(7)}, "Content-Type": {"text/plain"}, "If-None-Match": {"*"}, "X-Amz-Checksum-Sha256": {sum.Checksum()},
	}
	get := url.Values{"response-content-disposition": {attachment("k")}, "response-content-type": {"application/octet-stream"}}
	for _, c := range []struct {
		name string
		sign func() error
	}{
		{"put/ergon", func() error {
			_, err := s.SignPut(b.Context(), storage.PutOrder{Key: benchKey, ContentType: "text/plain", SizeBytes: 7, SHA256: sum, Lifetime: time.Minute})
			return err
		}},
		{"put/minio-go", func() error {
			_, err := s.put.PresignHeader(b.Context(), http.MethodPut, "ergon", benchKey, time.Minute, nil, put)
			return err
		}},
		{"put/minio-go_with_nothing_bound", func() error {
			_, err := s.put.PresignedPutObject(b.Context(), "ergon", benchKey, time.Minute)
			return err
		}},
		{"get/ergon", func() error {
			_, err := s.SignGet(b.Context(), storage.GetOrder{Key: benchKey, FileName: "k", Lifetime: time.Minute})
			return err
		}},
		{"get/minio-go", func() error {
			_, err := s.get.PresignedGetObject(b.Context(), "ergon", benchKey, time.Minute, get)
			return err
		}},
	} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				if err := c.sign(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "urls/s")
		})
	}
}
