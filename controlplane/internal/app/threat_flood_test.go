package app

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// saltGate is a source of randomness that keeps one function waiting for what it draws until it is opened: with that of a salt
// for a password the slot for hashing stays taken. Everything else that is drawn comes at once.
type saltGate struct {
	caller string // whose draws wait
	closed atomic.Bool
	open   chan struct{}
	held   atomic.Int32
}

func (g *saltGate) Read(p []byte) (int, error) {
	if g.closed.Load() && callerIs(g.caller) {
		g.held.Add(1)
		<-g.open
	}
	return io.ReadFull(rand.Reader, p)
}

func callerIs(name string) bool {
	pcs := make([]uintptr, 16)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs)])
	for {
		f, more := frames.Next()
		if strings.HasSuffix(f.Function, name) {
			return true
		}
		if !more {
			return false
		}
	}
}

// eventually polls with the patience that a busy machine needs.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("never: %s", what)
}

// post gives the status, or 0 when there was no answer.
func post(ctx context.Context, url, username string) int {
	body := fmt.Sprintf(`{"username":%q,"password":%q}`, username, worldPassword)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return 0
	}
	r.Header.Set("Content-Type", "application/json")
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(r)
	if err != nil {
		return 0
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

func TestThreat_T16_LivezAnswersWhileTheQueueForHashingIsFull(t *testing.T) {
	gate := &saltGate{open: make(chan struct{}), caller: "identity.(*Hasher).fresh"}
	deps := testDeps()
	deps.Rand = gate
	w := newWorldWith(t, deps, "ERGON_AUTH_REGISTRATION=open")
	gate.closed.Store(true)
	var calls sync.WaitGroup
	release := sync.OnceFunc(func() { close(gate.open); calls.Wait() })
	defer release()
	slots := max(1, runtime.GOMAXPROCS(0)-1)
	var registered, refused atomic.Int32
	for i := range slots {
		calls.Go(func() {
			if post(t.Context(), w.app.URL()+"/auth/register", fmt.Sprint("user", i)) == http.StatusCreated {
				registered.Add(1)
			}
		})
	}
	eventually(t, "all slots are taken", func() bool { return int(gate.held.Load()) == slots })
	for i := range 500 { // 64 wait for a slot, the others are sent away
		calls.Go(func() {
			if post(t.Context(), w.app.URL()+"/auth/login", fmt.Sprint("nobody", i)) == http.StatusServiceUnavailable {
				refused.Add(1)
			}
		})
	}
	eventually(t, "the queue is full", func() bool { return refused.Load() == 500-64 })
	for range 5 {
		if code, body := get(t, w.app.URL()+"/livez"); code != http.StatusOK {
			t.Errorf("livez %d %s", code, body)
		}
	}
	code := post(t.Context(), w.app.URL()+"/auth/login", "somebody")
	if code != http.StatusServiceUnavailable || registered.Load() != 0 {
		t.Errorf("login %d, %d registered: the queue was not full while livez answered", code, registered.Load())
	}
	release()
	if int(registered.Load()) != slots {
		t.Errorf("%d of %d registered in the end", registered.Load(), slots)
	}
}
