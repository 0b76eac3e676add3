package enrol

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ergon-hpc/ergon/agent/internal/outbound"
	"github.com/ergon-hpc/ergon/shared/api"
	"github.com/google/uuid"
)

// server takes the token "once", as the control plane does.
type server struct {
	*httptest.Server
	agent uuid.UUID
	asked api.EnrolRequest
}

func newServer(t *testing.T) *server {
	t.Helper()
	s := &server{agent: uuid.New()}
	s.Server = httptest.NewServer(http.HandlerFunc(s.enrol))
	t.Cleanup(s.Close)
	return s
}

func (s *server) enrol(w http.ResponseWriter, r *http.Request) {
	err := json.NewDecoder(r.Body).Decode(&s.asked)
	if err != nil || r.URL.Path != "/agents/enrol" || s.asked.Token != "once" {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusUnauthorized)
		_ = json.NewEncoder(w).Encode(api.Problem{Code: "unauthorized", Status: 401, Title: "no", Type: "about:blank"})
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	_ = json.NewEncoder(w).Encode(api.Agent{
		Id: s.agent, Cluster: "lab", Kind: api.AgentKindUser, Name: s.asked.Name, CreatedAt: time.Now(), Scopes: []api.AgentScopes{},
	})
}

func TestEnrolmentStoresAKeyThatOnlyWeCanRead(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	dir := filepath.Join(t.TempDir(), "state")
	e := Request{Server: s.URL, Token: "wrong", Name: "n", UID: -1, Rand: rand.Reader, HTTP: outbound.NewClient(time.Second)}
	if _, err := Register(t.Context(), dir, e); err == nil {
		t.Fatal("a wrong token was taken")
	}
	if _, err := Load(dir); !errors.Is(err, ErrNotEnrolled) {
		t.Fatalf("got %v", err)
	}
	e.Token = "once"
	made, err := Register(t.Context(), dir, e)
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := Load(dir)
	if err != nil || !made.key.Equal(loaded.key) || loaded.AgentID != s.agent || loaded.Cluster != "lab" {
		t.Fatalf("got %+v, %v", loaded, err)
	}
	for _, name := range []string{keyFile, identityFile} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != 0o600 {
			t.Fatalf("%s: %v", name, err)
		}
	}
	if data, _ := os.ReadFile(filepath.Join(dir, identityFile)); strings.Contains(string(data), "once") || strings.Contains(string(data), "PRIVATE") {
		t.Fatal("a secret is in the identity file")
	}
	if err := os.Chmod(filepath.Join(dir, keyFile), 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(dir); err == nil {
		t.Fatal("a key that others can read was taken")
	}
}

func TestAUsersOwnAgentTellsWhoItIsAndASystemAgentDoesNot(t *testing.T) {
	t.Parallel()
	for name, uid := range map[string]int64{"user": 1000, "system": -1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			e := Request{Server: s.URL, Token: "once", Name: "n", UID: uid, User: "alice", Rand: rand.Reader, HTTP: outbound.NewClient(5 * time.Second)}
			if _, err := Register(t.Context(), filepath.Join(t.TempDir(), "state"), e); err != nil {
				t.Fatal(err)
			}
			if told := s.asked.Uid != nil && *s.asked.Uid == 1000 && s.asked.UnixName != nil && *s.asked.UnixName == "alice"; told != (uid >= 0) {
				t.Errorf("asked with %+v", s.asked)
			}
		})
	}
}

func TestAKeyThatCannotBeUsedIsNamed(t *testing.T) {
	t.Parallel()
	for name, content := range map[string]string{
		"no PEM":        "garbage",
		"no PKCS 8":     "-----BEGIN PRIVATE KEY-----\nZ2FyYmFnZQ==\n-----END PRIVATE KEY-----\n",
		"a certificate": "-----BEGIN CERTIFICATE-----\nZ2FyYmFnZQ==\n-----END CERTIFICATE-----\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			for file, text := range map[string]string{identityFile: `{"server":"https://s"}`, keyFile: content} {
				if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := Load(dir); err == nil || !strings.Contains(err.Error(), keyFile) || errors.Is(err, ErrNotEnrolled) {
				t.Errorf("got %v", err)
			}
		})
	}
}
