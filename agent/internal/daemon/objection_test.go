package daemon

import (
	"context"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ergon-hpc/ergon/agent/internal/socket"
	"github.com/ergon-hpc/ergon/shared/api"
)

// objectionPlane is a control plane that takes objections, and remembers what it was asked.
type objectionPlane struct {
	*loginPlane
	mu     sync.Mutex
	asked  []string
	status int
}

func newObjectionPlane(t *testing.T) *objectionPlane {
	t.Helper()
	p := &objectionPlane{loginPlane: newLoginPlane(t), status: 200}
	p.mux.HandleFunc("/agent/objections/{uid}", func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.asked = append(p.asked, r.Method+" "+r.PathValue("uid"))
		uid, _ := strconv.ParseInt(r.PathValue("uid"), 10, 64)
		since := time.Unix(1700000000, 0).UTC()
		switch detail := "uid is linked to an account, whose owner decides"; p.status {
		case 200:
			send(w, 200, api.Objection{Uid: uid, Objected: r.Method == http.MethodPut, Since: &since, JobsNamed: 1, JobsHidden: 2})
		case 404:
			w.WriteHeader(404) // a server of the version before
		default:
			send(w, p.status, api.Problem{Code: "conflict", Status: p.status, Detail: &detail})
		}
	})
	return p
}

func (p *objectionPlane) answers(status int) { p.mu.Lock(); defer p.mu.Unlock(); p.status = status }

func (p *objectionPlane) calls() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.asked, ", ")
}

// each are the three calls of one agent.
func (d *Daemon) each() map[string]func(context.Context, socket.Peer) (socket.Objection, error) {
	o := (*objections)(d)
	return map[string]func(context.Context, socket.Peer) (socket.Objection, error){"standing": o.Standing, "object": o.Object, "take back": o.TakeBack}
}

func TestAPersonObjectsUnderTheUIDThatTheKernelSays(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 && os.Getuid() < loginUIDMin {
		t.Skipf("uid %d is not a person's", os.Getuid())
	}
	p := newObjectionPlane(t)
	d := vouching(t, p.loginPlane, time.Now)
	uid := uint32(1500)
	if os.Getuid() != 0 {
		uid = uint32(os.Getuid())
	}
	peer := person(t, uid)
	o := (*objections)(d)
	s, err := o.Object(t.Context(), peer)
	if err != nil || !s.Objected || s.UID != uid || s.UnixName != "alice" || s.Server != p.URL || s.JobsNamed != 1 || s.JobsHidden != 2 || s.Since == nil {
		t.Errorf("%+v %v", s, err)
	}
	for _, call := range []func(context.Context, socket.Peer) (socket.Objection, error){o.Standing, o.TakeBack} {
		if s, err := call(t.Context(), peer); err != nil || s.Objected {
			t.Errorf("%+v %v", s, err)
		}
	}
	me := strconv.Itoa(int(uid))
	if want := "PUT " + me + ", GET " + me + ", DELETE " + me; p.calls() != want {
		t.Errorf("the server was asked %s", p.calls())
	}
	p.answers(409)
	_, err = o.Object(t.Context(), peer)
	wantRefused(t, "a linked uid", err, 409)
	if err == nil || !strings.Contains(err.Error(), "whose owner decides") {
		t.Errorf("the server's word is lost: %v", err)
	}
	p.answers(404)
	_, err = o.Object(t.Context(), peer)
	wantRefused(t, "a server of the version before", err, 409)
	p.answers(503)
	_, err = o.Object(t.Context(), peer)
	wantRefused(t, "a server that is busy", err, 502)
}

func TestThreat_T07_NobodyObjectsForAnotherNorFromAContainer(t *testing.T) {
	t.Parallel()
	p := newObjectionPlane(t)
	d := vouching(t, p.loginPlane, time.Now)
	live := person(t, 1500)
	peers := map[string]socket.Peer{
		"root":                             {UID: 0, PID: int32(os.Getpid())},
		"a service":                        {UID: 999, PID: int32(os.Getpid())},
		"the uid of no live process":       {UID: 1500, PID: 1<<31 - 1},
		"a process in a container":         {UID: 1500},
		"another uid than the process has": {UID: live.UID + 1, PID: live.PID},
	}
	for name, peer := range peers {
		for what, call := range d.each() {
			_, err := call(t.Context(), peer)
			wantRefused(t, what+" as "+name, err, 403)
		}
	}
	own := vouching(t, p.loginPlane, time.Now)
	own.opt.System = false
	for what, call := range own.each() {
		_, err := call(t.Context(), live)
		wantRefused(t, what+" at a user's own agent", err, 403)
		if err == nil || !strings.Contains(err.Error(), "ask an operator") {
			t.Errorf("%v says not whom to ask", err)
		}
	}
	own.opt.System = true
	own.client.Store(nil)
	for what, call := range own.each() {
		_, err := call(t.Context(), live)
		wantRefused(t, what+" at an agent that is not enrolled", err, 403)
	}
	if p.calls() != "" {
		t.Errorf("the server was asked %s", p.calls())
	}
}
