package daemon

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/agent/internal/cloud"
	"github.com/ergon-hpc/ergon/agent/internal/enrol"
	"github.com/ergon-hpc/ergon/agent/internal/outbound"
	"github.com/ergon-hpc/ergon/shared/api"
)

// keyPlane is a control plane that gives a token for one key, and counts how often it refused one.
type keyPlane struct {
	*httptest.Server
	mu      sync.Mutex
	agent   uuid.UUID
	key     ed25519.PublicKey
	refused int
}

func newKeyPlane(t *testing.T) *keyPlane {
	t.Helper()
	p := &keyPlane{}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /agents/enrol", func(w http.ResponseWriter, r *http.Request) {
		var body api.EnrolRequest
		_ = json.NewDecoder(r.Body).Decode(&body)
		raw, _ := base64.RawURLEncoding.DecodeString(body.PublicKey)
		p.set(func() { p.key, p.agent = raw, uuid.New() })
		send(w, 201, api.Agent{Id: p.agent, Cluster: "lab", Kind: "system", Scopes: []api.AgentScopes{}})
	})
	mux.HandleFunc("POST /agents/token", func(w http.ResponseWriter, r *http.Request) {
		if p.refuses(r) {
			send(w, 401, api.Problem{Code: "unauthorized", Status: 401})
			return
		}
		send(w, 200, api.AccessToken{AccessToken: "agent", TokenType: "Bearer", ExpiresIn: 600, ServerTime: time.Now()})
	})
	mux.HandleFunc("GET /agent/self", func(w http.ResponseWriter, _ *http.Request) {
		send(w, 200, api.AgentSelf{Links: []api.Link{}, ServerTime: time.Now()})
	})
	p.Server = httptest.NewServer(mux)
	t.Cleanup(p.Close)
	return p
}

func (p *keyPlane) set(f func()) { p.mu.Lock(); defer p.mu.Unlock(); f() }

func (p *keyPlane) refuses(r *http.Request) bool {
	var body api.AgentTokenJSONRequestBody
	_ = json.NewDecoder(r.Body).Decode(&body)
	p.mu.Lock()
	defer p.mu.Unlock()
	_, err := jwt.Parse(body.ClientAssertion, func(*jwt.Token) (any, error) { return p.key, nil }, jwt.WithValidMethods([]string{"EdDSA"}))
	if err != nil {
		p.refused++
	}
	return err != nil
}

func (p *keyPlane) refusals() int { p.mu.Lock(); defer p.mu.Unlock(); return p.refused }

func (p *keyPlane) register(t *testing.T, dir string) enrol.Identity {
	t.Helper()
	id, err := enrol.Register(t.Context(), dir, enrol.Request{
		Server: p.URL, Token: "t", Name: "n", UID: -1, Rand: rand.Reader, HTTP: outbound.NewClient(5 * time.Second),
	})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// keyed is an agent of a node that is enrolled there and has asked once.
func keyed(t *testing.T, p *keyPlane) *Daemon {
	t.Helper()
	d, _ := linker(t, nil)
	d.opt.Config.StateDir, d.opt.Config.Audience = filepath.Join(t.TempDir(), "id"), "ergon"
	p.register(t, d.opt.Config.StateDir)
	if err := errors.Join(d.loadIdentity(), d.attend(t.Context())); err != nil {
		t.Fatal(err)
	}
	return d
}

// rotate does what the command does, as far as it comes.
func (d *Daemon) rotate(t *testing.T, p *keyPlane, taken, finished bool) {
	t.Helper()
	r, err := enrol.BeginRotation(d.opt.Config.StateDir, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Release()
	if taken {
		p.set(func() { p.key = r.New.Key().Public().(ed25519.PublicKey) })
	}
	if finished {
		if err := r.Finish(); err != nil {
			t.Fatal(err)
		}
	}
}

// signs says whether the agent, and whoever starts on its directory, has the key that the control plane takes.
func (d *Daemon) signs(t *testing.T, p *keyPlane) {
	t.Helper()
	disk, err := enrol.Load(d.opt.Config.StateDir)
	if err != nil {
		t.Fatal(err)
	}
	if !p.key.Equal(disk.Key().Public()) || !p.key.Equal(d.id.Load().Key().Public()) || d.revoked.Load() {
		t.Errorf("the key that counts is not on disk (%v) or not in use (%v)", p.key.Equal(disk.Key().Public()), p.key.Equal(d.id.Load().Key().Public()))
	}
}

func TestAReplacedKeyIsTakenUpBeforeTheOldOneIsRefused(t *testing.T) {
	t.Parallel()
	p := newKeyPlane(t)
	d := keyed(t, p)
	d.rotate(t, p, true, true)
	if err := d.attend(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.signs(t, p)
	if n := p.refusals(); n != 0 {
		t.Errorf("the old key was tried %d times in vain", n)
	}
}

// A command that was killed when the server had the new key: the old key's last token runs out, or the node starts again.
func TestARotationThatWasKilledIsFinishedByTheAgent(t *testing.T) {
	t.Parallel()
	p := newKeyPlane(t)
	d := keyed(t, p)
	d.rotate(t, p, true, false)
	if err := errors.Join(d.loadIdentity(), d.attend(t.Context())); err != nil {
		t.Fatal(err)
	}
	d.signs(t, p)
	if _, err := enrol.ResumeRotation(d.opt.Config.StateDir); !errors.Is(err, enrol.ErrNoRotation) {
		t.Errorf("something is left of it: %v", err)
	}
}

func TestARotationThatTheServerHasNotHeardOfChangesNothing(t *testing.T) {
	t.Parallel()
	p := newKeyPlane(t)
	d := keyed(t, p)
	d.rotate(t, p, false, false)
	if err := errors.Join(d.loadIdentity(), d.attend(t.Context())); err != nil {
		t.Fatal(err)
	}
	d.signs(t, p)
	r, err := enrol.ResumeRotation(d.opt.Config.StateDir)
	if err != nil {
		t.Fatalf("the next key is gone, and the command cannot go on with it: %v", err)
	}
	r.Release()
}

func TestARefusedKeyStaysWhereNoOtherCounts(t *testing.T) {
	t.Parallel()
	for name, next := range map[string]bool{"nothing beside it": false, "another that does not count either": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newKeyPlane(t)
			d := keyed(t, p)
			before, err := enrol.Load(d.opt.Config.StateDir)
			if err != nil {
				t.Fatal(err)
			}
			if next {
				d.rotate(t, p, false, false)
			}
			stranger, _, err := ed25519.GenerateKey(rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			p.set(func() { p.key = stranger })
			if err := errors.Join(d.loadIdentity(), d.attend(t.Context())); !errors.Is(err, cloud.ErrRevoked) {
				t.Errorf("got %v", err)
			}
			after, err := enrol.Load(d.opt.Config.StateDir)
			if err != nil || !after.Key().Equal(before.Key()) || !d.revoked.Load() {
				t.Errorf("the key on disk changed, or the refusal was forgotten (revoked %v): %v", d.revoked.Load(), err)
			}
		})
	}
}

// A new enrolment is another agent, which does not know the jobs of this one: while this one's key is taken, it goes on.
func TestAnotherEnrolmentOnDiskWaitsUntilThisOneIsRefused(t *testing.T) {
	t.Parallel()
	p := newKeyPlane(t)
	d := keyed(t, p)
	first := d.id.Load().AgentID
	other := p.register(t, d.opt.Config.StateDir)
	if err := d.attend(t.Context()); err != nil {
		t.Fatal(err)
	}
	if d.id.Load().AgentID != first {
		t.Fatal("it was taken up while the first one counts")
	}
	d.revoked.Store(true)
	if err := d.attend(t.Context()); err != nil {
		t.Fatal(err)
	}
	if d.id.Load().AgentID != other.AgentID {
		t.Error("it was not taken up")
	}
	d.signs(t, p)
}
