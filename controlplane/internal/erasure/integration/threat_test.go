package integration

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
	"github.com/ergon-hpc/ergon/controlplane/internal/erasure"
	"github.com/ergon-hpc/ergon/controlplane/internal/storage"
)

// finish resumes a saga until it is done, over the time that URLs may be in use.
func (w *world) finish(p *person, id string) erasure.Erasure {
	w.t.Helper()
	svc := w.saga(nil)
	w.runSaga(svc)
	e, err := svc.Receipt(context.Background(), id)
	if err != nil || e.Step != erasure.StepLastLook {
		w.t.Fatalf("with URLs in use it is at %+v, %v", e, err)
	}
	w.put(*p.late.Put, []byte("late")) // a URL that was given out before works on until it ends
	before := w.ahead
	w.ahead += urlLife + time.Minute
	w.runSaga(svc)
	w.ahead = before
	e, err = svc.Receipt(context.Background(), id)
	if err != nil || e.Step != erasure.StepDone || e.FinishedAt == nil {
		w.t.Fatalf("it ends as %+v, %v", e, err)
	}
	return e
}

func (w *world) runSaga(svc *erasure.Service) {
	w.t.Helper()
	if err := svc.Run(context.Background()); err != nil {
		w.t.Fatal(err)
	}
}

func TestThreat_T33_DeletionLeavesNothingBehindAndOthersUntouched(t *testing.T) {
	each(t, func(w *world) {
		p, other := w.person(), w.person()
		svc := w.saga(nil)
		e, err := svc.Begin(t.Context(), p.id, "self")
		if err != nil {
			t.Fatal(err)
		}
		if again, err := svc.Begin(t.Context(), p.id, "self"); err != nil || again.ID != e.ID {
			t.Errorf("begun again it has another receipt: %+v, %v", again, err)
		}
		if _, err := w.files.PresignUpload(t.Context(), p.id, storage.Request{Name: "x", SizeBytes: 1}); !apperr.Is(err, apperr.Forbidden) {
			t.Errorf("a frozen account reserves: %v", err)
		}
		done := w.finish(p, e.ID)
		w.nothingLeft(p)
		if done.Objects != 2 || done.Jobs != 2 || done.LastError != "" {
			t.Errorf("receipt %+v", done)
		}
		if again, err := svc.Begin(t.Context(), p.id, "self"); err != nil || again.ID != e.ID || again.Step != erasure.StepDone {
			t.Errorf("after the end: %+v, %v", again, err)
		}
		w.sumsStay(p, other)
	})
}

// sumsStay: what the cluster's sums are made of stays, and another person's things do.
func (w *world) sumsStay(p, other *person) {
	w.t.Helper()
	for query, want := range map[string]int64{
		"SELECT COUNT(*) FROM jobs WHERE id = '" + p.job.String() + "' AND cpus = 4 AND account = 'physics' AND unix_user = '' AND uid IS NULL": 1,
		"SELECT COUNT(*) FROM attempts WHERE job_id = '" + p.job.String() + "'":                                                                 1,
		"SELECT COUNT(*) FROM jobs WHERE id = '" + p.own.String() + "'":                                                                         0,
		"SELECT COUNT(*) FROM looks WHERE id = '" + p.job.String() + "' AND viewer_id = ''":                                                     1, // others see that somebody looked
		"SELECT COUNT(*) FROM objects WHERE user_id = '" + other.id + "'":                                                                       2,
		"SELECT COUNT(*) FROM accounting_rows WHERE job_id = '" + other.job.String() + "'":                                                      1,
		"SELECT COUNT(*) FROM users WHERE id = '" + other.id + "'":                                                                              1,
	} {
		var n int64
		if err := w.db.SQL().QueryRow(query).Scan(&n); err != nil || n != want {
			w.t.Errorf("%s gives %d, want %d, %v", query, n, want, err)
		}
	}
	if left, err := w.store.List(context.Background(), other.id+"/", "", 10); err != nil || len(left) != 3 {
		w.t.Errorf("the other person has %d files in the store, %v", len(left), err)
	}
}

func TestAnExportHoldsEverythingAboutThePersonAndNothingOfOthers(t *testing.T) {
	each(t, func(w *world) {
		p, other := w.person(), w.person()
		svc := w.saga(nil)
		e, err := svc.RequestExport(t.Context(), p.id)
		if err != nil || e.Status != erasure.Due {
			t.Fatalf("%+v, %v", e, err)
		}
		if again, err := svc.RequestExport(t.Context(), p.id); err != nil || again.ID != e.ID {
			t.Errorf("asked again: %+v, %v", again, err)
		}
		if _, err := svc.ExportOf(t.Context(), other.id, e.ID); !apperr.Is(err, apperr.NotFound) {
			t.Errorf("a stranger sees it: %v", err)
		}
		for range 2 { // the second time there is nothing to do
			if err := svc.RunExports(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if e, err = svc.ExportOf(t.Context(), p.id, e.ID); err != nil || e.Status != erasure.Ready || e.SizeBytes == 0 || len(e.SHA256) != 64 {
			t.Fatalf("%+v, %v", e, err)
		}
		w.checkArchive(e, p, other)
		w.ahead = 8 * 24 * time.Hour
		if err := svc.RunExports(t.Context()); err != nil {
			t.Fatal(err)
		}
		if e, err = svc.ExportOf(t.Context(), p.id, e.ID); err != nil || e.Status != erasure.Removed {
			t.Errorf("after its time: %+v, %v", e, err)
		}
		if _, err := w.store.Head(t.Context(), e.Key); !errors.Is(err, storage.ErrNoObject) {
			t.Errorf("the archive is still there: %v", err)
		}
	})
}

func (w *world) checkArchive(e erasure.Export, p, other *person) {
	w.t.Helper()
	body, err := w.store.Open(context.Background(), e.Key)
	if err != nil {
		w.t.Fatal(err)
	}
	defer body.Close()
	raw, err := io.ReadAll(body)
	if err != nil || int64(len(raw)) != e.SizeBytes {
		w.t.Fatalf("%d bytes, %v", len(raw), err)
	}
	z, err := zip.NewReader(bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		w.t.Fatal(err)
	}
	lines := map[string]int{}
	for _, f := range z.File {
		text := readAll(w.t, f)
		lines[f.Name] = strings.Count(text, "\n")
		if strings.Contains(text, other.id) || strings.Contains(text, other.name) || strings.Contains(text, "pw_hash") || strings.Contains(text, "X-Amz-") {
			w.t.Errorf("%s holds what it should not", f.Name)
		}
		if strings.HasSuffix(f.Name, ".jsonl") && !json.Valid([]byte(strings.SplitN(text, "\n", 2)[0])) {
			w.t.Errorf("%s is no JSON", f.Name)
		}
	}
	for name, want := range map[string]int{
		"users.jsonl": 1, "sessions.jsonl": 1, "links.jsonl": 1, "agents.jsonl": 1, "objects.jsonl": 2, "jobs.jsonl": 2, "accounting_rows.jsonl": 2, "reports.jsonl": 2,
	} {
		if lines[name] != want {
			w.t.Errorf("%s has %d lines, want %d", name, lines[name], want)
		}
	}
}

func readAll(t *testing.T, f *zip.File) string {
	t.Helper()
	r, err := f.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
