package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sys/unix"

	"github.com/ergon-hpc/ergon/shared/api"
)

// terminal makes a pseudo terminal on which somebody types.
func terminal(t *testing.T, typed string) *os.File {
	t.Helper()
	master, slave := pty(t)
	if _, err := master.WriteString(typed); err != nil {
		t.Fatal(err)
	}
	return slave
}

// pty makes a pseudo terminal (pty(7)).
func pty(t *testing.T) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = master.Close() })
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = slave.Close() })
	return master, slave
}

func (d *seat) runAtTerminal(typed string, args ...string) int {
	d.t.Helper()
	d.out.Reset()
	d.err.Reset()
	a := &app{In: terminal(d.t, typed), Out: &d.out, Err: &d.err, Env: func(n string) string { return d.env[n] }, Now: time.Now}
	return a.execute(d.t.Context(), args)
}

func TestDeletingAnAccountNeedsItsNameAtATerminal(t *testing.T) {
	d := newSeat(t)
	d.login()
	deleted := 0
	d.routes["DELETE /me"] = func(w http.ResponseWriter, _ *http.Request) {
		deleted++
		d.answer(w, 202, api.Erasure{ReceiptId: uuid.MustParse("6f1ed002-ab9d-4a3e-8f0e-0d1a2b3c4d5e"), Status: api.UnderWay})
	}
	d.in = "alice\n"
	if code := d.run("account", "delete"); code != exitUsage || deleted != 0 {
		t.Errorf("from a pipe: code %d, deleted %d times: %s", code, deleted, d.err.String())
	}
	for _, wrong := range []string{"\n", "yes\n", "Alice\n", "alice \n"} {
		if code := d.runAtTerminal(wrong, "account", "delete"); code == exitOK || deleted != 0 {
			t.Errorf("typed %q: code %d, deleted %d times", wrong, code, deleted)
		}
	}
	if code := d.runAtTerminal("alice\n", "account", "delete"); code != exitOK || deleted != 1 {
		t.Fatalf("code %d, deleted %d times: %s", code, deleted, d.err.String())
	}
	if !strings.Contains(d.out.String(), "6f1ed002-ab9d-4a3e-8f0e-0d1a2b3c4d5e") {
		t.Errorf("no receipt: %s", d.out.String())
	}
	if code := d.run("whoami"); code != exitNotLoggedIn {
		t.Errorf("still logged in here: %d", code)
	}
}

func TestDeletingSaysWhenTheLoginIsTooOld(t *testing.T) {
	d := newSeat(t)
	d.login()
	d.routes["DELETE /me"] = func(w http.ResponseWriter, _ *http.Request) {
		detail := "this needs a login of the last 5m0s; log in again, then repeat it"
		d.answer(w, 403, api.Problem{Code: "forbidden", Status: 403, Detail: &detail})
	}
	if code := d.runAtTerminal("alice\n", "account", "delete"); code == exitOK || !strings.Contains(d.err.String(), "log in again") {
		t.Errorf("code %d: %s", code, d.err.String())
	}
	if code := d.run("whoami"); code != exitOK {
		t.Errorf("a refusal logs out: %d", code)
	}
}

func TestAnExportIsAwaitedAndCheckedBeforeItIsKept(t *testing.T) {
	d := newSeat(t)
	d.login()
	content := []byte("PK the archive")
	sum := sha256.Sum256(content)
	digest, size := hex.EncodeToString(sum[:]), int64(len(content))
	id, asked := uuid.New(), 0
	link := api.PresignedRequest{Method: "GET", Url: d.server.URL + "/archive", Headers: map[string]string{"X-Signed": "yes"}}
	d.routes["POST /me/export"] = func(w http.ResponseWriter, _ *http.Request) {
		d.answer(w, 202, api.Export{ExportId: id, Status: api.Due})
	}
	d.routes["GET /me/exports/"+id.String()] = func(w http.ResponseWriter, _ *http.Request) {
		if asked++; asked == 1 {
			d.answer(w, 200, api.Export{ExportId: id, Status: api.Due})
			return
		}
		d.answer(w, 200, api.Export{ExportId: id, Status: api.Ready, Size: &size, Sha256: &digest, Get: &link})
	}
	d.routes["GET /archive"] = func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			t.Error("the token goes to the object store")
		}
		if r.Header.Get("X-Signed") != "yes" {
			t.Error("a header that is signed is not sent")
		}
		_, _ = w.Write(content)
	}
	out := filepath.Join(t.TempDir(), "mine.zip")
	if code := d.run("account", "export", "-o", out); code != exitOK {
		t.Fatalf("code %d: %s", code, d.err.String())
	}
	if got, err := os.ReadFile(out); err != nil || string(got) != string(content) {
		t.Errorf("it holds %q, %v", got, err)
	}
	content = []byte("PK another one")
	bad := filepath.Join(t.TempDir(), "bad.zip")
	if code := d.run("account", "export", "-o", bad); code == exitOK {
		t.Error("other bytes than the server made are kept")
	}
	if left, err := os.ReadDir(filepath.Dir(bad)); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	link.Url = "http://store.example.org/archive"
	if code := d.run("account", "export", "-o", bad); code != exitFailed || !strings.Contains(d.err.String(), "not https") {
		t.Errorf("a link that anybody on the way can read: code %d: %s", code, d.err.String())
	}
}
