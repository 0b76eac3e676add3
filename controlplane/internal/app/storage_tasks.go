package app

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ergon-hpc/ergon/controlplane/internal/queue"
	"github.com/ergon-hpc/ergon/controlplane/internal/storage"
)

// When the upkeep of stored files is done.
const (
	sweepEvery    = 5 * time.Minute
	expireEvery   = time.Hour
	recountAt     = 3*time.Hour + 17*time.Minute // UTC
	sweepTimeout  = time.Hour
	expireTimeout = time.Hour
	recountLimit  = 12 * time.Hour
)

// addStorageTasks registers sweeping, retention and the nightly recount, with what they count.
func (b *builder) addStorageTasks(svc *storage.Service) error {
	m, err := newStorageMetrics(b.metrics)
	if err != nil {
		return err
	}
	b.tasks = append(
		b.tasks,
		queue.Task{Name: "uploads", Every: sweepEvery, Timeout: sweepTimeout, Run: func(ctx context.Context) error {
			done, err := svc.Sweep(ctx)
			m.swept(done)
			return err
		}},
		queue.Task{Name: "retention", Every: expireEvery, Timeout: expireTimeout, Run: func(ctx context.Context) error {
			n, err := svc.Expire(ctx)
			m.expired.Add(float64(n))
			if n > 0 {
				b.deps.Log.InfoContext(ctx, "files older than their class is kept were removed", "files", n)
			}
			return err
		}},
		queue.Task{Name: "recount", DailyAt: recountAt, Timeout: recountLimit, Run: func(ctx context.Context) error {
			d, err := svc.Recount(ctx)
			if err == nil {
				m.recounted(d, b.deps.Now())
			}
			return err
		}},
	)
	return nil
}

// storageMetrics are of the process that does the upkeep; others show nothing.
type storageMetrics struct {
	uploads *prometheus.CounterVec
	expired prometheus.Counter
	bytes   *prometheus.GaugeVec
	objects *prometheus.GaugeVec
	when    *prometheus.GaugeVec // shows nothing before the first
}

func newStorageMetrics(reg prometheus.Registerer) (storageMetrics, error) {
	const kinds = " ledger: sums that differed from their rows; stray: given up or deleted, and still in the store; " +
		"unknown: in the store and never in the books; missing: in the books and not in the store; changed: of another length."
	m := storageMetrics{
		uploads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ergon_storage_swept_uploads_total", Help: "Uploads that the sweeper dealt with, by outcome.",
		}, []string{"outcome"}),
		expired: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "ergon_storage_expired_files_total", Help: "Files that were removed because their class is kept no longer.",
		}),
		bytes: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "ergon_storage_drift_bytes", Help: "Bytes by which books and store differed at the last recount." + kinds,
		}, []string{"kind"}),
		objects: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "ergon_storage_drift_objects", Help: "Objects by which books and store differed at the last recount." + kinds,
		}, []string{"kind"}),
		when: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "ergon_storage_recount_timestamp_seconds", Help: "When the last recount of this process ended.",
		}, nil),
	}
	for _, c := range []prometheus.Collector{m.uploads, m.expired, m.bytes, m.objects, m.when} {
		if err := reg.Register(c); err != nil {
			return m, err
		}
	}
	return m, nil
}

func (m storageMetrics) swept(s storage.Swept) {
	for outcome, n := range map[string]int{
		"settled": s.Settled, "expired": s.Expired, "purged": s.Purged, "closed": s.Closed, "failed": s.Failed,
	} {
		m.uploads.WithLabelValues(outcome).Add(float64(n))
	}
}

func (m storageMetrics) recounted(d storage.Drift, now time.Time) {
	m.bytes.WithLabelValues("ledger").Set(float64(d.OffBytes))
	m.bytes.WithLabelValues("stray").Set(float64(d.StrayBytes))
	m.bytes.WithLabelValues("unknown").Set(float64(d.UnknownBytes))
	m.bytes.WithLabelValues("missing").Set(float64(d.MissingBytes))
	m.objects.WithLabelValues("ledger").Set(float64(d.OffObjects))
	m.objects.WithLabelValues("stray").Set(float64(d.StrayObjects))
	m.objects.WithLabelValues("unknown").Set(float64(d.UnknownObjects))
	m.objects.WithLabelValues("missing").Set(float64(d.MissingObjects))
	m.objects.WithLabelValues("changed").Set(float64(d.ChangedObjects))
	m.when.WithLabelValues().Set(float64(now.Unix()))
}
