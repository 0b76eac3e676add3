package integration

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/controlplane/internal/erasure"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore"
	"github.com/ergon-hpc/ergon/controlplane/internal/s3store"
	"github.com/ergon-hpc/ergon/shared/secret"
)

// order is what a worker is told by its standard input.
type order struct {
	DB, DBURL           string
	URL, Bucket, Region string
	Keys                [3][2]string
	Deadline            *deadline
	Exports             bool // makes archives instead
}

// deadline is the call of a port at which a worker kills itself, before its effect or after it.
type deadline struct {
	Calls int64
	After bool
}

// worker goes on with sagas: once up to its deadline, or until somebody kills it.
func worker() error {
	var o order
	if err := json.NewDecoder(os.Stdin).Decode(&o); err != nil {
		return err
	}
	cfg, err := o.config()
	if err != nil {
		return err
	}
	if o.Deadline != nil {
		crash(&cfg, o.Deadline.Calls, o.Deadline.After, kill9)
	}
	svc, err := erasure.New(cfg)
	if err != nil {
		return err
	}
	run := svc.Run
	if o.Exports {
		run = svc.RunExports
	}
	_, _ = os.Stdout.WriteString("working\n")
	if o.Deadline != nil {
		return run(context.Background())
	}
	for {
		_ = run(context.Background())
	}
}

func (o order) config() (erasure.Config, error) {
	db, err := gormstore.Open(context.Background(), gormstore.Config{Path: o.DB, URL: o.DBURL, Synchronous: "NORMAL"})
	if err != nil {
		return erasure.Config{}, err
	}
	id := func(k [2]string) s3store.Identity {
		return s3store.Identity{AccessKey: k[0], SecretKey: secret.New(k[1])}
	}
	store, err := s3store.Open(s3store.Config{
		URL: o.URL, Bucket: o.Bucket, Region: o.Region, Maintenance: id(o.Keys[0]), PutSigner: id(o.Keys[1]), GetSigner: id(o.Keys[2]),
	})
	if err != nil {
		return erasure.Config{}, err
	}
	files, err := openFiles(db, store, time.Now)
	if err != nil {
		return erasure.Config{}, err
	}
	names, err := newNames(db)
	rows := db.Erasures(site)
	return erasure.Config{
		Store: rows, Exports: rows, Archive: store, Access: shutter{db}, Files: files, Names: names,
		Log: slog.New(slog.DiscardHandler), Now: time.Now, NewID: uuid.New, URLLife: urlLife,
	}, err
}

// running is a worker that has begun.
type running struct {
	t   *testing.T
	cmd *exec.Cmd
	out io.Reader
}

// startWorker begins one that goes on with deletions.
func (w *world) startWorker(d *deadline) running {
	w.t.Helper()
	return w.start(order{Deadline: d}, os.TempDir())
}

func (w *world) start(o order, tempDir string) running {
	w.t.Helper()
	self, err := os.Executable()
	if err != nil {
		w.t.Fatal(err)
	}
	pair := func(id s3store.Identity) [2]string { return [2]string{id.AccessKey, id.SecretKey.Reveal()} }
	o.DB, o.DBURL, o.URL, o.Bucket, o.Region = w.place.Path, w.place.URL, w.cfg.URL, w.cfg.Bucket, w.cfg.Region
	o.Keys = [3][2]string{pair(w.cfg.Maintenance), pair(w.cfg.PutSigner), pair(w.cfg.GetSigner)}
	raw, err := json.Marshal(o)
	if err != nil {
		w.t.Fatal(err)
	}
	cmd := exec.Command(self, "worker")
	cmd.Stdin, cmd.Stderr, cmd.Env = bytes.NewReader(raw), os.Stderr, append(os.Environ(), "TMPDIR="+tempDir)
	pipe, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		w.t.Fatal(err)
	}
	out := bufio.NewReader(pipe)
	if _, err := out.ReadString('\n'); err != nil {
		w.t.Fatalf("the worker does not start: %v", err)
	}
	return running{t: w.t, cmd: cmd, out: out}
}

// killed waits for the end and says whether SIGKILL was it; any other end but success fails the test.
func (r running) killed() bool {
	r.t.Helper()
	_, _ = io.Copy(io.Discard, r.out)
	err := r.cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		r.t.Fatal(err)
	}
	status, _ := r.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if err != nil && !status.Signaled() {
		r.t.Fatalf("the worker ended by itself: %v", err)
	}
	return status.Signaled() && status.Signal() == syscall.SIGKILL
}

func (r running) kill() {
	r.t.Helper()
	if err := r.cmd.Process.Kill(); err != nil {
		r.t.Fatal(err)
	}
	_ = r.cmd.Wait()
}
