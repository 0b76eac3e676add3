package app

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"flag"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ergon-hpc/ergon/controlplane/internal/httpapi/apitest"
	"github.com/ergon-hpc/ergon/controlplane/internal/principal"
	"github.com/ergon-hpc/ergon/shared/api"
)

// contract is the API's document, one for the whole package: it counts what all tests have seen together.
var contract = sync.OnceValues(apitest.Load)

// caller speaks to the API; every answer is held against the document.
func caller(t testing.TB) *http.Client {
	t.Helper()
	c, err := contract()
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{Transport: c.Transport(t, &http.Transport{DisableKeepAlives: true}), Timeout: time.Minute}
}

// everyOperation runs the package's tests, and fails when one of the document's operations was answered with success in none
// of them: its answers were then never held against the document.
type everyOperation struct{ *testing.M }

func (m everyOperation) Run() int {
	code := m.M.Run()
	if !wholePackage() {
		return code
	}
	c, err := contract()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	open := slices.DeleteFunc(c.Unanswered(), func(id string) bool { return elsewhere[id] != "" })
	if len(open) > 0 {
		fmt.Fprintf(os.Stderr, "no test of this package got a 2xx answer of %s\n", strings.Join(open, ", "))
		return 1
	}
	return 0
}

// elsewhere are operations without a success here, with the reason.
var elsewhere = map[string]string{
	"disconnectOidc": "wants an account with a password and an identity at a provider: identity's own tests have it",
}

// wholePackage says that no flag leaves tests out. "^Fuzz" is what the unit suite skips; the race suite skips long walks too.
func wholePackage() bool {
	whole := !testing.Short()
	for _, name := range []string{"run", "list", "bench", "fuzz"} {
		whole = whole && flag.Lookup("test."+name).Value.String() == ""
	}
	skipped := flag.Lookup("test.skip").Value.String()
	return whole && (skipped == "" || skipped == "^Fuzz")
}

// The node's side of a link, which only agents speak.
func TestAUnixUserIsLinkedLogsInWithoutAPasswordAndLeaves(t *testing.T) {
	w := newWorld(t)
	alice, agent := w.person(t, "alice", "user"), w.agent(t, "hpc", principal.AgentSystem, "")
	var c struct {
		Challenge string `json:"challenge"`
	}
	w.want(t, http.StatusCreated, request{method: http.MethodPost, path: "/links/challenges", token: alice.token}, map[string]string{"cluster": "hpc"}, &c)
	who := map[string]any{"uid": 1001, "gid": 100, "unix_name": "alice"}
	proof := map[string]any{"uid": 1001, "gid": 100, "unix_name": "alice", "challenge": c.Challenge, "nonce": "sixteen or more bytes"}
	var link api.Link
	w.want(t, http.StatusCreated, request{method: http.MethodPost, path: "/agent/links", token: agent}, proof, &link)
	var got struct {
		AccessToken string `json:"access_token"`
		UserID      string `json:"user_id"`
	}
	if err := w.svc.SetUnixLogin(t.Context(), "hpc", true); err != nil {
		t.Fatal(err)
	}
	w.want(t, http.StatusOK, request{method: http.MethodPost, path: "/agent/tokens", token: agent}, who, &got)
	if got.UserID != alice.id || link.UserId.String() != alice.id {
		t.Errorf("linked %s, logged in %s, want %s", link.UserId, got.UserID, alice.id)
	}
	w.want(t, http.StatusOK, request{method: http.MethodGet, path: "/jobs", token: got.AccessToken}, nil, nil)
	w.want(t, http.StatusNoContent, request{method: http.MethodDelete, path: "/agent/links/1001", token: agent}, nil, nil)
	var links struct {
		Links []api.Link `json:"links"`
	}
	if w.want(t, http.StatusOK, request{method: http.MethodGet, path: "/links", token: alice.token}, nil, &links); len(links.Links) != 0 {
		t.Errorf("after leaving there are links: %+v", links.Links)
	}
}

func TestPartsOfALargeFileAreSigned(t *testing.T) {
	w := newWorld(t)
	alice := w.person(t, "alice", "user")
	var up api.UploadTicket
	w.want(t, http.StatusCreated, request{method: http.MethodPost, path: "/files/presign/upload", token: alice.token},
		api.UploadRequest{Name: "large.bin", Size: 100 << 20, Sha256: sha256OfABC}, &up)
	if up.PartSize == nil || up.UploadId == nil {
		t.Fatalf("status %s, want parts", up.Status)
	}
	var parts struct {
		Parts []struct {
			Number int32 `json:"number"`
		} `json:"parts"`
	}
	w.want(t, http.StatusOK, request{method: http.MethodPost, path: "/files/uploads/" + up.UploadId.String() + "/parts", token: alice.token},
		map[string]any{"parts": []api.PartDigest{{Number: 1, Size: *up.PartSize, Sha256: sha256OfABC}}}, &parts)
	if len(parts.Parts) != 1 || parts.Parts[0].Number != 1 {
		t.Errorf("parts %+v, want the first", parts.Parts)
	}
}

func TestAnAgentChangesItsKey(t *testing.T) {
	w := newWorld(t)
	token, old := w.agentWithKey(t, "hpc", principal.AgentSystem, "")
	var self api.AgentSelf
	w.want(t, http.StatusOK, request{method: http.MethodGet, path: "/agent/self", token: token}, nil, &self)
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key := base64.RawURLEncoding.EncodeToString(public)
	text := []byte("ergon agent key " + self.Agent.Id.String() + " " + key)
	signed := func(by ed25519.PrivateKey) string {
		return base64.RawURLEncoding.EncodeToString(ed25519.Sign(by, text))
	}
	change := map[string]string{"public_key": key, "proof": signed(private), "consent": signed(old)}
	w.want(t, http.StatusNoContent, request{method: http.MethodPut, path: "/agent/key", token: token}, change, nil)
}
