package cloud

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/ergon-hpc/ergon/agent/internal/enrol"
	"github.com/ergon-hpc/ergon/agent/internal/outbound"
	"github.com/ergon-hpc/ergon/shared/api"
)

// takesKeys makes the server replace its key when both keys signed, as identity.RotateAgentKey does.
func (s *server) takesKeys(answer func(w http.ResponseWriter)) {
	s.handle("PUT /agent/key", func(w http.ResponseWriter, r *http.Request) {
		var body api.RotateAgentKeyJSONRequestBody
		err := json.NewDecoder(r.Body).Decode(&body)
		key, err1 := base64.RawURLEncoding.DecodeString(body.PublicKey)
		proof, err2 := base64.RawURLEncoding.DecodeString(body.Proof)
		consent, err3 := base64.RawURLEncoding.DecodeString(body.Consent)
		text := []byte("ergon agent key " + s.agent.String() + " " + body.PublicKey)
		s.mu.Lock()
		good := errors.Join(err, err1, err2, err3) == nil && len(key) == ed25519.PublicKeySize && ed25519.Verify(key, text, proof) && ed25519.Verify(s.key, text, consent)
		if good {
			s.key = key
		}
		s.mu.Unlock()
		if !good {
			problem(w, 422, "invalid_request")
			return
		}
		answer(w)
	})
}

func taken(w http.ResponseWriter) { w.WriteHeader(http.StatusNoContent) }

// node is an enrolled state directory.
func (s *server) node(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "state")
	e := enrol.Request{Server: s.URL, Token: "once", Name: "n", UID: -1, Version: "test", Rand: rand.Reader, HTTP: outbound.NewClient(30 * time.Second)}
	if _, err := enrol.Register(t.Context(), dir, e); err != nil {
		t.Fatal(err)
	}
	return dir
}

// rotate does what the command does, up to finish.
func rotate(t *testing.T, dir string, finish bool) error {
	t.Helper()
	r, err := enrol.BeginRotation(dir, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Release()
	err = RotateKey(t.Context(), options(r.Old), r.New)
	if err == nil && finish {
		err = r.Finish()
	}
	return err
}

func options(id enrol.Identity) Options {
	return Options{Identity: id, HTTP: outbound.NewClient(30 * time.Second), Audience: "ergon", Now: time.Now, Log: slog.New(slog.DiscardHandler)}
}

// works says whether the key on disk is the one that the server takes.
func works(t *testing.T, dir string) error {
	t.Helper()
	id, err := enrol.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	c, err := New(options(id))
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Self(t.Context())
	return err
}

func TestARotatedKeyCountsAndTheOldOneNoMore(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.handle("GET /agent/self", self)
	s.takesKeys(taken)
	dir := s.node(t)
	old, err := enrol.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(rotate(t, dir, true), works(t, dir)); err != nil {
		t.Fatal(err)
	}
	c, err := New(options(old))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Self(t.Context()); !errors.Is(err, ErrRevoked) {
		t.Errorf("the old key: %v", err)
	}
}

func TestARotationRecoversFromEachPlaceWhereItMayEnd(t *testing.T) {
	t.Parallel()
	for name, cut := range map[string]func(t *testing.T, s *server, dir string){
		"before the server was asked": func(t *testing.T, _ *server, dir string) {
			r, err := enrol.BeginRotation(dir, rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			r.Release()
		},
		"after the server had taken the key": func(t *testing.T, s *server, dir string) {
			s.takesKeys(taken)
			if err := rotate(t, dir, false); err != nil {
				t.Fatal(err)
			}
			if err := works(t, dir); !errors.Is(err, ErrRevoked) {
				t.Fatalf("the old key still counts, so this shows nothing: %v", err)
			}
		},
		"when the answer was lost": func(t *testing.T, s *server, dir string) {
			s.takesKeys(func(http.ResponseWriter) { panic(http.ErrAbortHandler) })
			if err := rotate(t, dir, true); err == nil {
				t.Fatal("an answer that never came was taken for one")
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			s.handle("GET /agent/self", self)
			dir := s.node(t)
			cut(t, s, dir)
			if name == "before the server was asked" {
				s.takesKeys(taken)
			}
			if err := errors.Join(rotate(t, dir, true), works(t, dir)); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestARevokedAgentCannotRotateAndKeepsItsKeys(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.takesKeys(taken)
	dir := s.node(t)
	s.revoked.Store(true)
	if err := rotate(t, dir, true); !errors.Is(err, ErrRevoked) {
		t.Fatalf("got %v", err)
	}
	s.revoked.Store(false)
	if err := rotate(t, dir, true); err != nil {
		t.Errorf("the next try: %v", err)
	}
}
