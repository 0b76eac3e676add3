package app

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/controlplane/internal/httpapi"
	"github.com/ergon-hpc/ergon/controlplane/internal/principal"
	"github.com/ergon-hpc/ergon/shared/apispec"
)

// signing calls each operation that signs URLs. What a call is for need not be there: a valid call counts before anybody looks.
func signing(w *world) map[string]request {
	nothing := uuid.NewString()
	bodies := (&walk{world: w}).bodies()
	return map[string]request{
		"presignUpload":              {method: http.MethodPost, path: "/files/presign/upload", body: bodies["presignUpload"]},
		"presignParts":               {method: http.MethodPost, path: "/files/uploads/" + nothing + "/parts", body: bodies["presignParts"]},
		"presignDownload":            {method: http.MethodGet, path: "/files/presign/download?id=" + nothing},
		"getExport":                  {method: http.MethodGet, path: "/me/exports/" + nothing},
		"presignJobUploads":          {method: http.MethodPost, path: "/agent/jobs/" + nothing + "/uploads", body: bodies["presignJobUploads"]},
		"benchwrap.presign_upload":   {method: http.MethodPost, path: "/api/storage/presign/upload?object_name=a"},
		"benchwrap.presign_download": {method: http.MethodGet, path: "/api/storage/presign/download?key=a"},
	}
}

// signers are the operations that the table says to sign: those of the document, and of the original client.
func signers(t *testing.T) []string {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromData(apispec.Document)
	if err != nil {
		t.Fatal(err)
	}
	list := []string{"benchwrap.presign_download", "benchwrap.presign_upload"}
	for _, item := range doc.Paths.Map() {
		for _, op := range item.Operations() {
			if a, _ := httpapi.AccessOf(op.OperationID); a.Signs {
				list = append(list, op.OperationID)
			}
		}
	}
	slices.Sort(list)
	return list
}

// Whatever signs URLs counts against the exact limit of its caller: the contract's routes, archives, and the routes of the
// original client. Calls pass exactly as often as the database counted, and in no minute more or, before one is refused, less often
// than the limit.
func TestThreat_T16_EveryRouteThatSignsMeetsTheLimitOfPresigns(t *testing.T) {
	const limit = 3
	eachWorld(t, func(t *testing.T, w *world) {
		ways := signing(w)
		if got, want := slices.Sorted(maps.Keys(ways)), signers(t); !slices.Equal(got, want) {
			t.Fatalf("this test calls %v, and the table says that %v sign", got, want)
		}
		for n, name := range slices.Sorted(maps.Keys(ways)) {
			r, who := ways[name], w.person(t, fmt.Sprint("signer", n), "user")
			bucket := "user:" + who.id
			if r.token = who.token; name == "presignJobUploads" {
				r.token = w.agent(t, "hpc", principal.AgentSystem, "")
				bucket = "agent:" + subjectOf(t, r.token)
			}
			passed, refused := 0, 0
			for range 2*limit + 1 { // a minute may end in between
				switch got := w.call(t, r); {
				case got.status == http.StatusTooManyRequests && got.field("code") == "rate_limited" && got.header.Get("Retry-After") != "":
					refused++
				case got.status < http.StatusMultipleChoices || got.status == http.StatusNotFound:
					passed++
				default:
					t.Errorf("%s: %d %s", name, got.status, got.body)
				}
			}
			counted, fullest := w.counted(t, "presign "+bucket)
			if passed != counted || fullest != limit || refused == 0 {
				t.Errorf("%s: %d passed, %d were refused; %d were counted, %d of %d in one minute", name, passed, refused, counted, fullest, limit)
			}
		}
	}, "ERGON_LIMIT_PRESIGNS=3", "ERGON_COMPAT_BENCHWRAP=true")
}

// subjectOf is whom a token of this server names.
func subjectOf(t *testing.T, token string) string {
	t.Helper()
	var c jwt.RegisteredClaims
	if _, _, err := jwt.NewParser().ParseUnverified(token, &c); err != nil {
		t.Fatal(err)
	}
	return c.Subject
}

// counted is what the database counted of a bucket in all minutes, and in the fullest.
func (w *world) counted(t *testing.T, bucket string) (sum, fullest int) {
	t.Helper()
	query := "SELECT COALESCE(SUM(taken), 0), COALESCE(MAX(taken), 0) FROM rate_windows WHERE bucket = '" + bucket + "'" // a word and an id of ours
	if err := w.app.store.SQL().QueryRowContext(t.Context(), query).Scan(&sum, &fullest); err != nil {
		t.Fatal(err)
	}
	return sum, fullest
}

func TestRoutesOfTheOriginalClientAreShedAsOthers(t *testing.T) {
	w := newWorld(t, "ERGON_LIMIT_PER_ROUTE=2", "ERGON_COMPAT_BENCHWRAP=true")
	alice := w.person(t, "alice", "user")
	for name, r := range map[string]request{
		"of an account":  {method: http.MethodGet, path: "/api/storage/list", token: alice.token},
		"of an address":  {method: http.MethodPost, path: "/api/auth/password?u=nobody&p=nothing"},
		"of another too": {method: http.MethodPost, path: "/api/auth/refresh?rid=noise"},
	} {
		last := 0
		for range 12 { // two more a minute come in while they are called
			last = w.call(t, r).status
		}
		if last != http.StatusTooManyRequests {
			t.Errorf("%s: %d", name, last)
		}
	}
}
