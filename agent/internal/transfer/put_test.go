package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ergon-hpc/ergon/agent/internal/outbound"
	"github.com/ergon-hpc/ergon/shared/api"
)

func TestFilesOfEverySizeArriveAsTheyAre(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 1, 4095, 1<<20 - 1, 1 << 20, 1<<20 + 1, 5<<20 + 17} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			t.Parallel()
			f, data := newFake(t), content(size)
			m := f.mover(t.TempDir())
			object, err := m.Put(t.Context(), fileOf(t, data), "a/b.bin", api.FileClassUpload)
			if err != nil {
				t.Fatal(err)
			}
			if digestOf(f.objects[f.files[object.Id].Key]) != digestOf(data) || object.Name != "a/b.bin" {
				t.Error("other bytes or another name are stored")
			}
			if got := m.Progress.(*tally); got.bytes != int64(size) || len(got.ends) != 1 || got.ends[0] != nil {
				t.Errorf("progress of %d bytes, ends %v", got.bytes, got.ends)
			}
		})
	}
}

func TestAFaultOfTheStoreIsTriedAgain(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]func(w http.ResponseWriter, r *http.Request){
		"503":        func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) },
		"429":        func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTooManyRequests) },
		"expired":    func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) },
		"connection": func(w http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) },
		"cut in the middle": func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.CopyN(io.Discard, r.Body, 1000)
			panic(http.ErrAbortHandler)
		},
	} {
		for _, size := range []int{5000, 3 << 20} {
			t.Run(fmt.Sprintf("%s %d", name, size), func(t *testing.T) {
				t.Parallel()
				f := newFake(t)
				f.onPut = func(n int, w http.ResponseWriter, r *http.Request) bool {
					if n == 1 {
						fault(w, r)
					}
					return n == 1
				}
				if _, err := f.mover(t.TempDir()).Put(t.Context(), fileOf(t, content(size)), "x", ""); err != nil {
					t.Fatal(err)
				}
			})
		}
	}
}

func TestWhatLastsIsNotTriedForEverAndTellsNoSecret(t *testing.T) {
	t.Parallel()
	for status, most := range map[int]int{http.StatusForbidden: 2, http.StatusBadRequest: 1, http.StatusInternalServerError: 4, http.StatusFound: 1} {
		f := newFake(t)
		f.onPut = func(_ int, w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Location", f.store.URL+"/elsewhere?"+secretQuery)
			w.WriteHeader(status)
			_, _ = io.WriteString(w, "<Error><Code>Denied</Code><Url>"+secretQuery+"</Url></Error>")
			return true
		}
		m := f.mover(t.TempDir())
		_, err := m.Put(t.Context(), fileOf(t, content(500)), "x", "")
		var store *StoreError
		if !errors.As(err, &store) || store.Status != status || f.puts != most {
			t.Errorf("%d: %d requests, %v", status, f.puts, err)
		}
		withoutSecrets(t, err)
		if m.Progress.(*tally).bytes != 0 {
			t.Error("progress counts bytes that did not arrive")
		}
	}
}

func TestWrongBytesAreNoSuccess(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.lie = func(o *api.FileObject) { o.Size++ }
	if _, err := f.mover(t.TempDir()).Put(t.Context(), fileOf(t, content(500)), "x", ""); err == nil || !strings.Contains(err.Error(), "stored 501 bytes") {
		t.Fatalf("got %v", err)
	}
}

func TestAPlanThatDoesNotFitIsRefused(t *testing.T) {
	t.Parallel()
	size := func(n int64) *int64 { return &n }
	count := func(n int32) *int32 { return &n }
	for name, plan := range map[string]func(*api.UploadTicket){
		"no parts":       func(u *api.UploadTicket) { u.PartCount = count(0) },
		"too few":        func(u *api.UploadTicket) { u.PartCount = count(1) },
		"too many":       func(u *api.UploadTicket) { u.PartCount = count(99) },
		"negative":       func(u *api.UploadTicket) { u.PartSize = size(-1) },
		"absent":         func(u *api.UploadTicket) { u.PartSize, u.PartCount = nil, nil },
		"overflow":       func(u *api.UploadTicket) { u.PartSize, u.PartCount = size(1<<62), count(4) },
		"no such status": func(u *api.UploadTicket) { u.Status = "magic" },
		"no id":          func(u *api.UploadTicket) { u.UploadId = nil },
	} {
		f := newFake(t)
		f.plan = plan
		if _, err := f.mover(t.TempDir()).Put(t.Context(), fileOf(t, content(3<<20)), "x", ""); err == nil || f.puts > 0 {
			t.Errorf("%s: %d puts, %v", name, f.puts, err)
		}
	}
}

func TestARefusalIsTheServersProblem(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	detail := "quota \x1b[31mfull"
	f.plan = func(u *api.UploadTicket) {
		u.Status, u.Problem = api.UploadTicketStatusRefused, &api.Problem{Code: api.QuotaExceeded, Status: 403, Detail: &detail}
	}
	_, err := f.mover(t.TempDir()).Put(t.Context(), fileOf(t, content(5)), "x", "")
	var p *outbound.Problem
	if !errors.As(err, &p) || p.Code != api.QuotaExceeded || strings.Contains(err.Error(), "\x1b") {
		t.Fatalf("got %v", err)
	}
}

// cutAfter ends the process's context after n PUTs, as a kill would.
func cutAfter(t *testing.T, f *fake, n int, path, memory string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	f.onPut = func(got int, w http.ResponseWriter, _ *http.Request) bool {
		if got > n {
			cancel()
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		return got > n
	}
	m := f.mover(memory)
	m.Parallel, m.slots = 1, make(chan struct{}, 1)
	if _, err := m.Put(ctx, path, "big", ""); err == nil {
		t.Fatal("the upload was not cut off")
	}
	f.onPut = nil
}

func TestASecondPutGoesOnWhereTheFirstWasKilled(t *testing.T) {
	t.Parallel()
	f, data, memory := newFake(t), content(5<<20), t.TempDir()
	path := fileOf(t, data)
	cutAfter(t, f, 6, path, memory)
	before := f.puts
	m := f.mover(memory)
	object, err := m.Put(t.Context(), path, "big", "")
	if err != nil || digestOf(f.objects[f.files[object.Id].Key]) != digestOf(data) {
		t.Fatalf("%v", err)
	}
	if sent := f.puts - before; sent != 4 || len(f.uploads) != 1 {
		t.Errorf("%d parts were sent in %d uploads, want 4 of 10 in 1", sent, len(f.uploads))
	}
	if m.Progress.(*tally).bytes != 5<<20 {
		t.Errorf("progress of %d bytes", m.Progress.(*tally).bytes)
	}
	if left, _ := filepath.Glob(filepath.Join(memory, "memory", "*")); len(left) != 0 {
		t.Errorf("memory is left: %q", left)
	}
}

func TestAnUploadOfOtherContentIsNotGoneOnWith(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(t *testing.T, f *fake, path, memory string){
		"the file changed": func(t *testing.T, _ *fake, path, _ string) {
			if err := os.WriteFile(path, content(5<<20+1), 0o600); err != nil {
				t.Fatal(err)
			}
		},
		"the upload expired": func(_ *testing.T, f *fake, _, _ string) {
			for _, u := range f.uploads {
				u.status = api.UploadStatusStatusExpired
			}
		},
		"the server forgot it": func(_ *testing.T, f *fake, _, _ string) { clear(f.uploads) },
		"the memory is damaged": func(t *testing.T, _ *fake, _, memory string) {
			names, err := filepath.Glob(filepath.Join(memory, "memory", "*.json"))
			if err != nil || len(names) != 1 {
				t.Fatalf("memory %q, %v", names, err)
			}
			if err := os.WriteFile(names[0], []byte("{"), 0o600); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, memory := newFake(t), t.TempDir()
			path := fileOf(t, content(5<<20))
			cutAfter(t, f, 3, path, memory)
			change(t, f, path, memory)
			object, err := f.mover(memory).Put(t.Context(), path, "big", "")
			if err != nil {
				t.Fatal(err)
			}
			data, err := os.ReadFile(path)
			if err != nil || object.Sha256 != digestOf(data) {
				t.Fatalf("other content is stored, %v", err)
			}
		})
	}
}

func TestAFileThatChangesWhileItIsSentIsNotCompleted(t *testing.T) {
	t.Parallel()
	f, path := newFake(t), fileOf(t, content(5000))
	f.onPut = func(_ int, _ http.ResponseWriter, _ *http.Request) bool {
		if err := os.WriteFile(path, content(6000), 0o600); err != nil {
			t.Error(err)
		}
		return false
	}
	if _, err := f.mover(t.TempDir()).Put(t.Context(), path, "x", ""); !errors.Is(err, ErrChanged) || len(f.files) > 0 {
		t.Fatalf("%d files, %v", len(f.files), err)
	}
}

func TestOnlyRegularFilesAreSent(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	for _, path := range []string{t.TempDir(), "/dev/null", filepath.Join(t.TempDir(), "absent")} {
		if _, err := f.mover(t.TempDir()).Put(t.Context(), path, "x", ""); err == nil || f.puts > 0 {
			t.Errorf("%s: %v", path, err)
		}
	}
}
