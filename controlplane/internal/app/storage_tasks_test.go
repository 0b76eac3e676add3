package app

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"gorm.io/gorm"

	"github.com/ergon-hpc/ergon/controlplane/internal/config"
	"github.com/ergon-hpc/ergon/controlplane/internal/storage"
)

// wired is a server with everything joined, of which nothing runs.
func wired(t *testing.T, cfg config.Config) *builder {
	t.Helper()
	b, err := prepare(t.Context(), cfg, testDeps())
	if err != nil {
		t.Fatal(err)
	}
	err = b.wire(t.Context())
	a := &App{cfg: cfg, store: b.store, dir: b.dir, parts: b.parts}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestAServerKeepsFilesByTheDaysOfItsSite(t *testing.T) {
	b := wired(t, testConfig(t, "ERGON_RETENTION_OUTPUT_DAYS=1", "ERGON_RETENTION_PROFILE_DAYS=2", "ERGON_RETENTION_INPUT_DAYS=3", "ERGON_RETENTION_UPLOAD_DAYS=4"))
	for class, days := range map[storage.Class]int{
		storage.ClassOutput: 1, storage.ClassStdout: 1, storage.ClassStderr: 1, storage.ClassProfile: 2, storage.ClassInput: 3, storage.ClassUpload: 4,
	} {
		if got := b.storage.Retention[class]; got != time.Duration(days)*24*time.Hour {
			t.Errorf("files of the class %s are kept %s, want %d days", class, got, days)
		}
	}
	for class, keep := range wired(t, testConfig(t)).storage.Retention {
		if keep != 0 {
			t.Errorf("where the site says nothing, files of the class %s are kept %s", class, keep)
		}
	}
}

func TestAServerDoesTheUpkeepOfFiles(t *testing.T) {
	b := wired(t, testConfig(t))
	falsify(t, b)
	for name, every := range map[string]time.Duration{"uploads": sweepEvery, "retention": expireEvery, "recount": 0} {
		found := 0
		for _, task := range b.tasks {
			if task.Name != name {
				continue
			}
			found++
			if task.Every != every || task.Timeout == 0 || every == 0 && task.DailyAt != recountAt {
				t.Errorf("%s: %+v", name, task)
			}
			if err := task.Run(t.Context()); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if found != 1 {
			t.Errorf("%d tasks are called %s, want 1", found, name)
		}
	}
	got := metricsOf(t, b.metrics)
	if got["ergon_storage_recount_timestamp_seconds"] == 0 {
		t.Errorf("the recount left no time: %v", got)
	}
	if got["ergon_storage_drift_bytes ledger"] != 12 || got["ergon_storage_drift_objects ledger"] != 5 {
		t.Errorf("books that were off by 12 bytes and 5 objects are told as %v", got)
	}
	recountAgain(t, b)
	if got := metricsOf(t, b.metrics); got["ergon_storage_drift_bytes ledger"] != 0 || got["ergon_storage_drift_objects ledger"] != 0 {
		t.Errorf("after they were mended: %v", got)
	}
}

// falsify makes an account that stores nothing, with books that say otherwise.
func falsify(t *testing.T, b *builder) {
	t.Helper()
	err := b.store.Tx(t.Context(), func(tx *gorm.DB) error {
		return errors.Join(
			tx.Exec("INSERT INTO users (id, username, created_at) VALUES ('u', 'u', 1)").Error,
			tx.Exec(`INSERT INTO quotas (user_id, limit_bytes, limit_objects, used_bytes, used_objects, reserved_bytes, reserved_objects)
				VALUES ('u', 100, 100, 7, 2, 5, 3)`).Error,
		)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func recountAgain(t *testing.T, b *builder) {
	t.Helper()
	for _, task := range b.tasks {
		if task.Name == "recount" {
			if err := task.Run(t.Context()); err != nil {
				t.Error(err)
			}
		}
	}
}

// metricsOf are the values of storage, as name or name{label}.
func metricsOf(t *testing.T, reg *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), "ergon_storage_") {
			continue
		}
		for _, m := range f.GetMetric() {
			name := f.GetName()
			for _, l := range m.GetLabel() {
				name += " " + l.GetValue()
			}
			got[name] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	return got
}

func TestWhatSweepAndRecountFoundIsCountedByItsKind(t *testing.T) {
	reg := prometheus.NewRegistry()
	m, err := newStorageMetrics(reg)
	if err != nil {
		t.Fatal(err)
	}
	if got := metricsOf(t, reg); len(got) != 1 || got["ergon_storage_expired_files_total"] != 0 {
		t.Errorf("before anything was done it shows %v", got)
	}
	for range 2 { // counters add up, gauges tell the last
		m.swept(storage.Swept{Settled: 1, Expired: 2, Purged: 3, Closed: 4, Failed: 5, Examined: 15})
		m.recounted(storage.Drift{
			OffBytes: 1, StrayBytes: 2, UnknownBytes: 3, MissingBytes: 4,
			OffObjects: 5, StrayObjects: 6, UnknownObjects: 7, MissingObjects: 8, ChangedObjects: 9,
		}, time.Unix(77, 0))
	}
	want := map[string]float64{
		"ergon_storage_expired_files_total":         0,
		"ergon_storage_swept_uploads_total settled": 2, "ergon_storage_swept_uploads_total expired": 4, "ergon_storage_swept_uploads_total purged": 6,
		"ergon_storage_swept_uploads_total closed": 8, "ergon_storage_swept_uploads_total failed": 10,
		"ergon_storage_drift_bytes ledger": 1, "ergon_storage_drift_bytes stray": 2, "ergon_storage_drift_bytes unknown": 3, "ergon_storage_drift_bytes missing": 4,
		"ergon_storage_drift_objects ledger": 5, "ergon_storage_drift_objects stray": 6, "ergon_storage_drift_objects unknown": 7,
		"ergon_storage_drift_objects missing": 8, "ergon_storage_drift_objects changed": 9,
		"ergon_storage_recount_timestamp_seconds": 77,
	}
	got := metricsOf(t, reg)
	for name, n := range want {
		if got[name] != n {
			t.Errorf("%s is %v, want %v", name, got[name], n)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d values, want %d: %v", len(got), len(want), got)
	}
}
