package badinput

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ergon-hpc/ergon/e2e/harness"
	"github.com/ergon-hpc/ergon/e2e/site"
)

// ticket is what the server answers to a wish to upload.
type ticket struct {
	UploadID string `json:"upload_id"`
	Put      struct {
		URL     string
		Headers map[string]string
	}
}

// TestDiskOfTheServerFull fills the file system that database and objects share, while a user uploads and an agent reports.
func TestDiskOfTheServerFull(t *testing.T) {
	harness.Need(t, world)
	world.LogOnFailure(t)
	dir := alice.Mkdir(t)
	kept, late, during := strings.Repeat("kept ", 200_000), strings.Repeat("late ", 400_000), strings.Repeat("during ", 300_000)
	alice.Must(t, "ergon", "files", "put", alice.WriteIn(t, dir, "kept.bin", kept, 0o600))
	reserved := reserve(t, "late.bin", late)
	running, end := submitOpen(t)
	alice.WaitJob(t, running, "RUNNING", func(j site.Job) bool { return j.State == "RUNNING" })
	processes, logged := world.Processes("ergon-server"), world.Logged()

	filler := filepath.Join(world.DataDir(), "filler")
	fillServer(t, filler)
	defer os.Remove(filler)
	refusesWhatItCannotStore(t, late, reserved)
	answersWhatItHas(t, dir, kept)
	end()
	other, _ := submitShort(t, 0)
	sending := put(t, alice.WriteIn(t, dir, "during.bin", during, 0o600))
	harness.Eventually(t, site.Patience, func() (bool, string) {
		out := alice.Must(t, "ergon", "status")
		return strings.Contains(out, "Outbox"), "the agent keeps nothing: " + out
	})
	waitSlurm(t, other, "COMPLETED")
	time.Sleep(5 * time.Second) // what the log says of a disk that stays full
	saysSoOnce(t, logged())

	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	freed := time.Now()
	if err := world.Alive(t.Context()); err != nil {
		t.Fatal(err)
	}
	if now := world.Processes("ergon-server"); !slices.Equal(now, processes) {
		t.Errorf("processes %v, they were %v before the disk was full", now, processes)
	}
	if status := send(t, reserved, late); status != http.StatusOK {
		t.Errorf("the PUT that had found no room answers %d", status)
	}
	if a := post(t, alice.Client, "/files/uploads/"+reserved.UploadID+"/complete", nil); a.Status != http.StatusOK {
		t.Errorf("completing it: %d %s", a.Status, a.Body)
	}
	if err := <-sending; err != nil {
		t.Errorf("an upload that was under way: %v", err)
	}
	complete(t, running)
	complete(t, other)
	t.Logf("all is well %v after there was room again", time.Since(freed).Round(time.Second))
	for name, content := range map[string]string{"kept.bin": kept, "late.bin": late, "during.bin": during} {
		storedOnce(t, dir, name, content)
	}
	sound(t)
}

// fillServer leaves no room for a transaction either: a WAL that is empty has to grow for it.
func fillServer(t *testing.T, filler string) {
	t.Helper()
	harness.Eventually(t, site.Patience, func() (bool, string) {
		_ = os.Remove(filler)
		database(t, "PRAGMA wal_checkpoint(TRUNCATE)")
		fill(t, filler)
		a := post(t, world.Anonymous(), "/auth/login", map[string]string{"username": "alice", "password": alice.Password()})
		return a.Status == http.StatusServiceUnavailable, "logins go on: " + string(a.Body)
	})
	harness.Eventually(t, site.Patience, func() (bool, string) {
		a, err := world.Anonymous().Send(t.Context(), http.MethodGet, "/readyz", nil)
		return err == nil && a.Status == http.StatusServiceUnavailable, "the server calls itself ready: " + string(a.Body)
	})
}

// refusesWhatItCannotStore: a problem that says why and when to come again, never a success.
func refusesWhatItCannotStore(t *testing.T, late string, reserved ticket) {
	t.Helper()
	refused := map[string]site.Answer{
		"a login":   post(t, world.Anonymous(), "/auth/login", map[string]string{"username": "alice", "password": alice.Password()}),
		"an upload": post(t, alice.Client, "/files/presign/upload", map[string]any{"name": "refused.bin", "size": 1, "sha256": site.Sum([]byte("x"))}),
	}
	for what, a := range refused {
		var p struct{ Code, Detail string }
		if err := json.Unmarshal(a.Body, &p); err != nil || a.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %v %q", what, err, a.Body)
		}
		if a.Status != http.StatusServiceUnavailable || p.Code != "busy" || a.Header.Get("Retry-After") == "" ||
			!strings.Contains(p.Detail, "disk") || !strings.Contains(p.Detail, "nothing of this request was stored") {
			t.Errorf("%s on a full disk: %d, Retry-After %q, %s", what, a.Status, a.Header.Get("Retry-After"), a.Body)
		}
	}
	if status := send(t, reserved, late); status != http.StatusInsufficientStorage {
		t.Errorf("a PUT of %d bytes on a full disk answers %d", len(late), status)
	}
	if a := post(t, alice.Client, "/files/uploads/"+reserved.UploadID+"/complete", nil); a.Status != http.StatusConflict && a.Status != http.StatusServiceUnavailable {
		t.Errorf("completing what was not stored: %d %s", a.Status, a.Body)
	}
}

// answersWhatItHas: reading needs no room.
func answersWhatItHas(t *testing.T, dir, kept string) {
	t.Helper()
	if status, err := world.Anonymous().Get(t.Context(), "/livez", nil); err != nil || status != http.StatusOK {
		t.Errorf("/livez: %d, %v", status, err)
	}
	stored := alice.Files(t, "")
	if !slices.ContainsFunc(stored, func(f site.File) bool { return f.Name == "kept.bin" && f.SHA256 == site.Sum([]byte(kept)) }) {
		t.Errorf("the list lost a file: %+v", stored)
	}
}

// saysSoOnce looks at what the server logged while its disk was full. Each refused request has its own line, and none is
// an error that nobody foresaw.
func saysSoOnce(t *testing.T, log string) {
	t.Helper()
	if n := strings.Count(log, "until space is freed"); n != 1 {
		t.Errorf("the log says %d times what to do", n)
	}
	refused, complaints := map[string]int{}, 0
	for line := range strings.Lines(log) {
		var entry struct {
			Level, Msg, Route string
			Status            int
		}
		if json.Unmarshal([]byte(line), &entry) != nil {
			continue
		}
		switch {
		case entry.Msg == "request" && entry.Status == http.StatusInternalServerError:
			t.Errorf("not foreseen: %s", line)
		case entry.Msg == "request" && entry.Status == http.StatusServiceUnavailable:
			refused[entry.Route]++
		case entry.Level == "ERROR" || entry.Level == "WARN":
			complaints++
		}
	}
	t.Logf("refused: %v; %d other complaints", refused, complaints)
	if most := 20; complaints > most {
		t.Errorf("the log holds %d complaints beside the refused requests, want at most %d", complaints, most)
	}
	if refused["/agent/events"] == 0 {
		t.Error("no report of the agent came while the disk was full")
	}
}

// put sends a file as the user and gives the outcome.
func put(t *testing.T, path string) <-chan error {
	t.Helper()
	spec, done := alice.Spec("ergon", "files", "put", path), make(chan error, 1)
	ctx, cancel := context.WithTimeout(t.Context(), site.Patience)
	go func() {
		defer cancel()
		result, err := site.RunWithInput(ctx, spec, "")
		if err == nil && result.Code != 0 {
			err = errors.New(result.Stderr)
		}
		done <- err
	}()
	return done
}

func reserve(t *testing.T, name, content string) (got ticket) {
	t.Helper()
	a := post(t, alice.Client, "/files/presign/upload", map[string]any{"name": name, "size": len(content), "sha256": site.Sum([]byte(content))})
	if err := json.Unmarshal(a.Body, &got); err != nil || a.Status != http.StatusCreated || got.Put.URL == "" {
		t.Fatalf("reserving %s: %d %s, %v", name, a.Status, a.Body, err)
	}
	return got
}

// send does the PUT that a ticket allows.
func send(t *testing.T, to ticket, content string) (status int) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, to.Put.URL, strings.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range to.Put.Headers {
		req.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

func post(t *testing.T, c *site.Client, path string, body any) site.Answer {
	t.Helper()
	a, err := c.Send(t.Context(), http.MethodPost, path, body)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// storedOnce gets a file back and looks for a second one; then it removes the file.
func storedOnce(t *testing.T, dir, name, content string) {
	t.Helper()
	n := 0
	for _, f := range alice.Files(t, "") {
		if f.Name == name {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%s is stored %d times", name, n)
	}
	got := filepath.Join(dir, "got-"+name)
	alice.Must(t, "ergon", "files", "get", name, got)
	if site.SHA256(t, got) != site.Sum([]byte(content)) {
		t.Errorf("%s came back as other bytes", name)
	}
	alice.Must(t, "ergon", "files", "rm", name)
}

// sound looks at the whole database.
func sound(t *testing.T) {
	t.Helper()
	for _, pragma := range []string{"integrity_check", "foreign_key_check"} {
		if got := database(t, "PRAGMA "+pragma); got != "ok" && got != "" {
			t.Errorf("%s: %s", pragma, got)
		}
	}
}

// database runs a statement on the server's SQLite beside the server, and gives the first column.
func database(t *testing.T, statement string) string {
	t.Helper()
	const program = `import sqlite3, sys
for row in sqlite3.connect(sys.argv[1], timeout=10).execute(sys.argv[2]): print(row[0])`
	var errs bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "/usr/bin/python3", "-c", program, filepath.Join(world.DataDir(), "ergon.db"), statement)
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v: %s", statement, err, &errs)
	}
	return strings.TrimSpace(string(out))
}
