package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/ergon-hpc/ergon/controlplane/internal/config"
	"github.com/ergon-hpc/ergon/controlplane/internal/objectstore"
)

// The test binary is the embedded object store's child too.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "objectstore" {
		if err := objectstore.RunChild(context.Background()); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(everyOperation{m})
}

func testDeps() Deps {
	exe, err := os.Executable()
	if err != nil {
		panic(err)
	}
	return Deps{Log: slog.New(slog.DiscardHandler), Now: time.Now, Rand: rand.Reader, Executable: exe}
}

func testConfig(t testing.TB, environ ...string) config.Config {
	t.Helper()
	cfg, err := config.Load(config.Source{Environ: append([]string{
		"ERGON_DATA_DIR=" + filepath.Join(t.TempDir(), "data"), "ERGON_HTTP_LISTEN=127.0.0.1:0", "ERGON_METRICS_LISTEN=127.0.0.1:0",
	}, environ...)})
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// boot runs a server until the test ends.
func boot(t testing.TB, cfg config.Config) *App {
	t.Helper()
	return bootWith(t, cfg, testDeps())
}

func bootWith(t testing.TB, cfg config.Config, deps Deps) *App {
	t.Helper()
	a, err := New(t.Context(), cfg, deps)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- a.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := errors.Join(<-done, a.Close()); err != nil {
			t.Error(err)
		}
	})
	return a
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Minute}
	resp, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func TestServesWithNoConfiguration(t *testing.T) {
	a := boot(t, testConfig(t))
	if code, body := get(t, a.URL()+"/livez"); code != 200 {
		t.Errorf("livez %d %s", code, body)
	}
	if code, body := get(t, "http://"+a.MetricsAddr()+"/metrics"); code != 200 || !strings.Contains(body, "ergon_http_request_duration_seconds") {
		t.Errorf("metrics %d, %d bytes", code, len(body))
	}
	if code, _ := get(t, a.URL()+"/metrics"); code != 404 {
		t.Errorf("the API serves metrics: %d", code)
	}
	for _, name := range []string{"ergon.db", "auth.key", "lock"} {
		info, err := os.Stat(filepath.Join(a.DataDir(), name))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
}

func TestASecondServerOnTheDirectoryIsRefused(t *testing.T) {
	cfg := testConfig(t)
	boot(t, cfg)
	if _, err := New(t.Context(), cfg, testDeps()); err == nil || !strings.Contains(err.Error(), "another ergon-server") {
		t.Errorf("got %v", err)
	}
}

func TestAnOpenDataDirectoryIsRefused(t *testing.T) {
	cfg := testConfig(t)
	if err := os.MkdirAll(cfg.DataDir, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := New(t.Context(), cfg, testDeps()); err == nil || !strings.Contains(err.Error(), "chmod 700") {
		t.Errorf("got %v", err)
	}
}

func TestTheKeyStaysAndDamageIsNoticed(t *testing.T) {
	d, err := OpenDir(filepath.Join(t.TempDir(), "d"))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	a, err1 := d.Key("k", rand.Reader)
	b, err2 := d.Key("k", rand.Reader)
	if err1 != nil || err2 != nil || string(a) != string(b) || len(a) != keyBytes {
		t.Fatalf("%v %v", err1, err2)
	}
	if err := os.WriteFile(d.File("k"), []byte("AAAA"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Key("k", rand.Reader); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("got %v", err)
	}
}

func TestStopOrderIsTheReverseOfTheStart(t *testing.T) {
	cfg := testConfig(t)
	a, err := New(t.Context(), cfg, testDeps())
	if err != nil {
		t.Fatal(err)
	}
	order := make(chan string, 2)
	for _, name := range []string{"first", "second"} {
		a.parts.run(name, func(ctx context.Context) error { <-ctx.Done(); order <- name; return nil })
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := errors.Join(a.Run(ctx), a.Close()); err != nil {
		t.Fatal(err)
	}
	if x, y := <-order, <-order; x != "second" || y != "first" {
		t.Errorf("stopped %s, then %s", x, y)
	}
}

func TestAFailingPartStopsTheServer(t *testing.T) {
	a, err := New(t.Context(), testConfig(t), testDeps())
	if err != nil {
		t.Fatal(err)
	}
	boom := errors.New("boom")
	a.parts.run("bad", func(context.Context) error { return boom })
	if err := a.Run(t.Context()); !errors.Is(err, boom) {
		t.Errorf("got %v", err)
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
}

func TestForceCutsAGracefulStop(t *testing.T) {
	a, err := New(t.Context(), testConfig(t, "ERGON_HTTP_STOP_TIMEOUT=1h"), testDeps())
	if err != nil {
		t.Fatal(err)
	}
	var ended atomic.Bool
	release := make(chan struct{})
	a.parts.run("slow", func(ctx context.Context) error {
		<-ctx.Done()
		a.Force()
		<-release
		ended.Store(true)
		return nil
	})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err = a.Run(ctx)
	if err == nil || !strings.Contains(err.Error(), "slow did not stop") || ended.Load() {
		t.Errorf("got %v", err)
	}
	close(release)
	for !ended.Load() {
		time.Sleep(time.Millisecond)
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
}
