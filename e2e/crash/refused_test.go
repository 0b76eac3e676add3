package crash

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/ergon-hpc/ergon/e2e/harness"
	"github.com/ergon-hpc/ergon/e2e/site"
)

// unreadable stands between agent and server, and answers as a server does that cannot read the events of the job of that name.
func unreadable(t *testing.T, name string) (address string, refused *atomic.Int64) {
	t.Helper()
	to, err := url.Parse(world.URL)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(to)
	refused = &atomic.Int64{}
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", world.Slurm.FreePort(5)))
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		if r.URL.Path == "/agent/events" && bytes.Contains(body, []byte(name)) {
			refused.Add(1)
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusUnprocessableEntity)
			_, _ = io.WriteString(w, `{"type":"about:blank","title":"Unprocessable Entity","status":422,"code":"invalid","detail":"no such field"}`)
			return
		}
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		proxy.ServeHTTP(w, r)
	})}
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	t.Cleanup(func() {
		err := server.Close()
		if served := <-done; !errors.Is(served, http.ErrServerClosed) {
			err = errors.Join(err, served)
		}
		if err != nil {
			t.Error(err)
		}
	})
	return "http://" + listener.Addr().String(), refused
}

// speakTo has the agent's next start speak to another address; the file stays the agent's own.
func speakTo(t *testing.T, from, to string) {
	t.Helper()
	if err := world.KillAgent(); err != nil {
		t.Fatal(err)
	}
	text := agentFile(t, "agent.json")
	if !strings.Contains(text, from) {
		t.Fatalf("the agent does not speak to %s: %s", from, text)
	}
	if err := os.WriteFile(filepath.Join(world.StateDir(), "agent.json"), []byte(strings.Replace(text, from, to, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
}

// An event that the server cannot read holds up no other, stays in the journal, and is told when it can be read.
func TestAgentKilledWhileAnEventIsRefused(t *testing.T) {
	harness.Need(t, world)
	world.LogOnFailure(t)
	address, refused := unreadable(t, "cannot-be-read")
	speakTo(t, world.URL, address)
	honest := func() { speakTo(t, address, world.URL) }
	defer func() {
		if strings.Contains(agentFile(t, "agent.json"), address) {
			honest()
		}
	}()
	restart(t)
	job := submit(t, "cannot-be-read", 1000, 0, "--hold")
	for _, point := range both("outbox.refused") {
		crashAt(t, point)
		waitDeath(t, point)
		if aside := rows(t, `SELECT COUNT(*) FROM outbox WHERE refused_us > 0`)[0] != "0"; aside != strings.HasSuffix(point, ".after") {
			t.Errorf("after a kill at %s an event is set aside: %v", point, aside)
		}
	}
	before := refused.Load()
	restart(t)
	submit(t, "other", 1000, 0).settle(t)
	world.Agent().WaitLog(t, "the control plane cannot read an event; it is set aside until the agent starts anew", site.Patience)
	if refused.Load() == before {
		t.Error("an event that was set aside is not offered again by the next start")
	}
	for _, known := range alice.Jobs(t, job.slurmID) { // accounting may have told of the job meanwhile
		if events := alice.Events(t, known.ID); len(events) > 0 {
			t.Errorf("the server has events that were refused: %+v", events)
		}
	}
	honest()
	restart(t)
	alice.Must(t, "scontrol", "release", job.slurmID)
	job.settle(t)
	known := alice.Jobs(t, job.slurmID)[0]
	for i, event := range alice.Events(t, known.ID) {
		if event.Seq != int64(i) {
			t.Errorf("event %d of the job has number %d", i, event.Seq)
		}
	}
}
