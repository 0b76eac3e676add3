package integration

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/controlplane/internal/erasure"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore"
)

// slowArchive stands in Put until it is let go.
type slowArchive struct {
	erasure.Archive
	there, goOn chan struct{}
}

func (a slowArchive) Put(ctx context.Context, key string, body io.ReadSeeker, sizeBytes int64, contentType string) error {
	close(a.there)
	<-a.goOn
	return a.Archive.Put(ctx, key, body, sizeBytes, contentType)
}

// unsaved dies before it writes down that an archive is there.
type unsaved struct{ erasure.ExportStore }

func (unsaved) SaveExport(context.Context, erasure.Export) error { return errCrash }

// bare makes an account with nothing, whose deletion waits for no URL.
func (w *world) bare() string {
	w.t.Helper()
	id := uuid.NewString()
	w.exec("INSERT INTO users (id, username, pw_hash, created_at) VALUES (?, ?, 'x', ?)", id, "name-"+id, gormstore.At(w.now()))
	return id
}

// lateExport is an export that another replica makes, and has not put into the store yet.
type lateExport struct {
	archive slowArchive
	ended   chan error
}

func (w *world) lateExport(userID string, change func(*erasure.Config)) lateExport {
	w.t.Helper()
	l := lateExport{archive: slowArchive{Archive: w.store, there: make(chan struct{}), goOn: make(chan struct{})}, ended: make(chan error, 1)}
	svc := w.saga(func(c *erasure.Config) {
		c.Archive = l.archive
		change(c)
	})
	if _, err := svc.RequestExport(context.Background(), userID); err != nil {
		w.t.Fatal(err)
	}
	go func() { l.ended <- svc.RunExports(context.Background()) }()
	select {
	case <-l.archive.there:
	case err := <-l.ended:
		w.t.Fatalf("it made no archive: %v", err)
	}
	return l
}

// arrive lets the archive come, and gives what became of the run.
func (l lateExport) arrive() error {
	close(l.archive.goOn)
	return <-l.ended
}

// deleteBare runs a deletion as far as it goes; quiet: with what may still come out of the way.
func (w *world) deleteBare(userID string) (quiet func() erasure.Erasure) {
	w.t.Helper()
	svc := w.saga(nil)
	e, err := svc.Begin(context.Background(), userID, "self")
	if err != nil {
		w.t.Fatal(err)
	}
	w.runSaga(svc)
	w.wantStep(e.ID, erasure.StepLastLook)
	return func() erasure.Erasure {
		w.t.Helper()
		w.ahead += urlLife + time.Minute
		w.runSaga(svc)
		e, err := svc.Receipt(context.Background(), e.ID)
		if err != nil || e.Step != erasure.StepDone {
			w.t.Fatalf("it ends as %+v, %v", e, err)
		}
		return e
	}
}

func (w *world) noArchive(userID string) {
	w.t.Helper()
	if left, err := w.store.List(context.Background(), erasure.Prefix(userID), "", 10); err != nil || len(left) > 0 {
		w.t.Errorf("after the deletion the store has %v, %v", left, err)
	}
}

func TestThreat_T33_AnArchiveThatComesAfterTheLastLookIsRemoved(t *testing.T) {
	each(t, func(w *world) {
		id := w.bare()
		late := w.lateExport(id, func(*erasure.Config) {})
		w.deleteBare(id)()
		if err := late.arrive(); err != nil {
			t.Errorf("an export that its account did not wait for fails: %v", err)
		}
		w.noArchive(id)
	})
}

// Whoever made the archive dies before it finds its row gone: the last look has to have waited for it.
func TestThreat_T33_TheLastLookWaitsForAnExportUnderWay(t *testing.T) {
	w := smallWorld(t)
	id := w.bare()
	late := w.lateExport(id, func(c *erasure.Config) { c.Exports = unsaved{c.Exports} })
	quiet := w.deleteBare(id)
	if err := late.arrive(); !errors.Is(err, errCrash) {
		t.Errorf("it did not die: %v", err)
	}
	quiet()
	w.noArchive(id)
}

// Without uploads and exports there is nothing to wait for.
func TestADeletionThatNothingCanComeAfterIsDoneAtOnce(t *testing.T) {
	w := smallWorld(t)
	id := w.bare()
	svc := w.saga(nil)
	e, err := svc.Begin(t.Context(), id, "self")
	if err != nil {
		t.Fatal(err)
	}
	w.runSaga(svc)
	if e, err = svc.Receipt(t.Context(), e.ID); err != nil || e.Step != erasure.StepDone {
		t.Errorf("%+v, %v", e, err)
	}
}
