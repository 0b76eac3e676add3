package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ergon-hpc/ergon/shared/api"
	"github.com/google/uuid"
)

// keep stores a file at the site, and gives its id. What the store sends may be another text than was stored.
func (s *site) keep(name, stored, sent string, created time.Time) uuid.UUID {
	id, sum := uuid.New(), sha256.Sum256([]byte(stored))
	s.files = append(s.files, api.FileObject{Id: id, Name: name, Size: int64(len(stored)), Sha256: hex.EncodeToString(sum[:]), CreatedAt: created})
	s.data[id.String()] = []byte(sent)
	return id
}

// stageAt brings inputs into a new directory.
func (d *desk) stageAt(inputs ...string) (dir string, err error) {
	d.t.Helper()
	dir = d.t.TempDir()
	return dir, d.stager(300*time.Millisecond).stage(d.t.Context(), dir, inputs)
}

// stager is an app that waits so long for a byte.
func (d *desk) stager(silence time.Duration) *app {
	return &app{
		In: strings.NewReader(""), Out: &bytes.Buffer{}, Err: &d.err, Env: func(name string) string { return d.env[name] }, Now: func() time.Time { return now },
		silence: silence,
	}
}

func inDir(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestInputsAreBroughtByNameAndByIDAndTheNewestOfANameCounts(t *testing.T) {
	d := newDesk(t)
	s := d.login()
	s.keep("mesh.h5", "old", "old", now.Add(-time.Hour))
	s.keep("mesh.h5", "new", "new", now)
	s.keep("mesh.h5", "older", "older", now.Add(-2*time.Hour))
	id := s.keep("deep/er/start.cfg", "by id", "by id", now)
	dir := t.TempDir()
	err := d.stager(0).stage(t.Context(), dir, []string{"mesh.h5", id.String()})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"mesh.h5": "new", "start.cfg": "by id"} {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != want {
			t.Errorf("%s is %q, %v; want %q", name, got, err, want)
		}
	}
	if got := inDir(t, dir); !slices.Equal(got, []string{"mesh.h5", "start.cfg"}) {
		t.Errorf("the directory holds %q", got)
	}
}

func TestAnInputThatCannotBeBroughtIsNamedAndLeavesNothing(t *testing.T) {
	for name, test := range map[string]struct {
		stored, sent string
		ask, want    string
	}{
		"no such name":       {"x", "x", "nowhere.h5", "ergon files ls"},
		"no such id":         {"x", "x", uuid.NewString(), "no such file"},
		"another content":    {"right", "wrong", "mesh.h5", "length or checksum differs"},
		"the end is missing": {"right", "righ", "mesh.h5", "length or checksum differs"},
		"more than stored":   {"right", "righteous", "mesh.h5", "length or checksum differs"},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t)
			d.login().keep("mesh.h5", test.stored, test.sent, now)
			dir, err := d.stageAt(test.ask)
			if err == nil || !strings.Contains(err.Error(), test.ask) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q and which input", err, test.want)
			}
			if err != nil && strings.Contains(err.Error(), "sekret") {
				t.Errorf("the error holds the signature: %v", err)
			}
			if left := inDir(t, dir); len(left) != 0 {
				t.Errorf("left in the directory: %q", left)
			}
		})
	}
}

func TestInputsNeedALogin(t *testing.T) {
	d := newDesk(t)
	d.env["ERGON_CONFIG_DIR"] = t.TempDir()
	if _, err := d.stageAt("mesh.h5"); err == nil || !strings.Contains(err.Error(), "ergon login") {
		t.Errorf("got %v", err)
	}
}

// store has the site answer for the contents of its files in another way.
func (s *site) store(answer http.HandlerFunc) {
	inner := s.Config.Handler
	s.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/store/") {
			answer(w, r)
			return
		}
		inner.ServeHTTP(w, r)
	})
}

// hung answers nothing more until the client gives up.
func hung(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

func stalled(w http.ResponseWriter, r *http.Request) {
	_, _ = w.Write([]byte("ri"))
	_ = http.NewResponseController(w).Flush()
	hung(w, r)
}

func TestAStoreThatGoesSilentHoldsNoSubmissionForLong(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]http.HandlerFunc{"at once": hung, "in the middle": stalled} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t)
			s := d.login()
			s.keep("mesh.h5", "right", "right", now)
			s.store(answer)
			began := time.Now()
			dir, err := d.stageAt("mesh.h5")
			if err == nil || !strings.Contains(err.Error(), `input "mesh.h5": the store has sent less than 64 KiB in 300ms`) {
				t.Errorf("got %v", err)
			}
			if took := time.Since(began); took > stageSilence {
				t.Errorf("it took %s", took)
			}
			if left := inDir(t, dir); len(left) != 0 {
				t.Errorf("left in the directory: %q", left)
			}
		})
	}
}

// A store that is slow but goes on is waited for, however long the whole takes.
func TestASlowStoreIsWaitedFor(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	s := d.login()
	piece := strings.Repeat("x", stageLeast)
	s.keep("mesh.h5", strings.Repeat(piece, 25), "", now)
	s.store(func(w http.ResponseWriter, _ *http.Request) {
		for range 25 {
			time.Sleep(100 * time.Millisecond)
			_, _ = w.Write([]byte(piece))
			_ = http.NewResponseController(w).Flush()
		}
	})
	if err := d.stager(2*time.Second).stage(t.Context(), t.TempDir(), []string{"mesh.h5"}); err != nil {
		t.Error(err)
	}
}

// A byte now and then is no progress: the whole would take hours.
func TestAStoreThatTricklesHoldsNoSubmissionForLong(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	s := d.login()
	s.keep("mesh.h5", strings.Repeat("x", 10*stageLeast), "", now)
	s.store(func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			time.Sleep(20 * time.Millisecond)
			_, _ = w.Write([]byte("x"))
			_ = http.NewResponseController(w).Flush()
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), stageSilence)
	defer cancel()
	dir := t.TempDir()
	if err := d.stager(300*time.Millisecond).stage(ctx, dir, []string{"mesh.h5"}); err == nil || !strings.Contains(err.Error(), "less than 64 KiB in 300ms") {
		t.Errorf("got %v", err)
	}
	if left := inDir(t, dir); len(left) != 0 {
		t.Errorf("left in the directory: %q", left)
	}
}

func TestAServerThatIsDeadOrGoesSilentHoldsNoSubmissionForLong(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*site){
		"dead":   func(s *site) { s.Close() },
		"silent": func(s *site) { s.Config.Handler = http.HandlerFunc(hung) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t)
			s := d.login()
			s.keep("mesh.h5", "right", "right", now)
			spoil(s)
			began := time.Now()
			if _, err := d.stageAt("mesh.h5"); err == nil || !strings.Contains(err.Error(), `input "mesh.h5": cannot reach the server`) {
				t.Errorf("got %v", err)
			}
			if took := time.Since(began); took > stageSilence {
				t.Errorf("it took %s", took)
			}
		})
	}
}

func TestStagingEndsWhenItIsToldTo(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	s := d.login()
	s.keep("mesh.h5", "right", "right", now)
	ctx, cancel := context.WithCancel(t.Context())
	s.store(func(w http.ResponseWriter, r *http.Request) { cancel(); stalled(w, r) })
	dir := t.TempDir()
	if err := d.stager(time.Minute).stage(ctx, dir, []string{"mesh.h5"}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if left := inDir(t, dir); len(left) != 0 {
		t.Errorf("left in the directory: %q", left)
	}
}
