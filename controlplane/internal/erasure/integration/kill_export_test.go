package integration

import (
	"context"
	"errors"
	"io"
	"os"
	"testing"
	"time"

	"github.com/ergon-hpc/ergon/controlplane/internal/erasure"
)

// crashingExports and crashingArchive are the ports of an export with a fuse. Their calls are Put and SaveExport.
type crashingExports struct {
	fuse
	erasure.ExportStore
}

func (c crashingExports) SaveExport(ctx context.Context, e erasure.Export) error {
	return c.at(func() error { return c.ExportStore.SaveExport(ctx, e) })
}

type crashingArchive struct {
	fuse
	erasure.Archive
}

func (c crashingArchive) Put(ctx context.Context, key string, body io.ReadSeeker, sizeBytes int64, contentType string) error {
	return c.at(func() error { return c.Archive.Put(ctx, key, body, sizeBytes, contentType) })
}

// failingArchive takes nothing.
type failingArchive struct{ erasure.Archive }

func (failingArchive) Put(context.Context, string, io.ReadSeeker, int64, string) error {
	return errCrash
}

func (w *world) request(p *person) erasure.Export {
	w.t.Helper()
	e, err := w.saga(nil).RequestExport(context.Background(), p.id)
	if err != nil || e.Status != erasure.Due {
		w.t.Fatalf("%+v, %v", e, err)
	}
	return e
}

// ready runs what there is to do, and expects the whole archive.
func (w *world) ready(e erasure.Export, p, other *person) {
	w.t.Helper()
	if err := w.saga(nil).RunExports(context.Background()); err != nil {
		w.t.Fatal(err)
	}
	e, err := w.saga(nil).ExportOf(context.Background(), p.id, e.ID)
	if err != nil || e.Status != erasure.Ready || e.LastError != "" {
		w.t.Fatalf("%+v, %v", e, err)
	}
	w.checkArchive(e, p, other)
	if left, err := w.store.List(context.Background(), e.Key, "", 10); err != nil || len(left) != 1 {
		w.t.Errorf("the store has %v, %v", left, err)
	}
}

// What is in the archive is about a person: a kill leaves neither half an export nor a file beside the store.
func TestAnExportWhoseWorkerIsKilledIsMadeByTheNext(t *testing.T) {
	each(t, func(w *world) {
		other := w.person()
		for _, d := range []struct {
			deadline

			want erasure.Status
		}{
			{deadline{Calls: 1, After: false}, erasure.Due}, // before Put
			{deadline{Calls: 1, After: true}, erasure.Due},  // the archive is there, and nobody knows
			{deadline{Calls: 2, After: false}, erasure.Due},
			{deadline{Calls: 2, After: true}, erasure.Ready},
		} {
			p, temp := w.person(), w.t.TempDir()
			e := w.request(p)
			if !w.start(order{Exports: true, Deadline: &d.deadline}, temp).killed() {
				w.t.Fatalf("the worker was not killed at %+v", d)
			}
			if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
				w.t.Errorf("killed at %+v it leaves %v, %v", d, left, err)
			}
			if got, err := w.saga(nil).ExportOf(context.Background(), p.id, e.ID); err != nil || got.Status != d.want {
				w.t.Errorf("killed at %+v it is left as %+v, %v", d, got, err)
			}
			w.ready(e, p, other)
		}
	})
}

func TestAnExportThatTheStoreDoesNotTakeSaysSoAndIsMadeLater(t *testing.T) {
	w := smallWorld(t)
	p, other := w.person(), w.person()
	e := w.request(p)
	svc := w.saga(func(c *erasure.Config) { c.Archive = failingArchive{c.Archive} })
	if err := svc.RunExports(t.Context()); !errors.Is(err, errCrash) {
		t.Errorf("%v", err)
	}
	got, err := svc.ExportOf(t.Context(), p.id, e.ID)
	if err != nil || got.Status != erasure.Due || got.LastError == "" {
		t.Errorf("it failed, and its row is %+v, %v", got, err)
	}
	w.ready(e, p, other)
	w.ahead = 8 * 24 * time.Hour
	if err := svc.RunExports(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, err := svc.ExportOf(t.Context(), p.id, e.ID); err != nil || got.Status != erasure.Removed {
		t.Errorf("%+v, %v", got, err)
	}
}
