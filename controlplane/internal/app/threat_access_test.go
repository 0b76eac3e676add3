package app

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/controlplane/internal/httpapi"
	"github.com/ergon-hpc/ergon/controlplane/internal/identity"
	"github.com/ergon-hpc/ergon/controlplane/internal/principal"
	"github.com/ergon-hpc/ergon/shared/apispec"
)

// walk calls every operation of the document as every kind of caller. Who may call comes from the authorisation table of
// httpapi, what belongs to whom from the document's parameters and from what answers hold: neither a new route, nor a new
// path parameter, nor a wrong row passes.
type walk struct {
	*world
	doc    *openapi3.T
	ids    map[string]string // what the owner has, by the name of the parameter
	tokens map[string]string // of callers who may be used up by nothing
}

// strangers ask for what is not theirs; the document's kinds of callers and every role are among them.
var strangers = []string{"anonymous", "stranger", "account_manager", "operator", "admin", "system_agent", "user_agent", "other_agent", "narrow_token"}

func TestThreat_T14_EveryRouteForEveryRoleOwnerAndStranger(t *testing.T) {
	eachWorld(t, func(t *testing.T, plain *world) {
		w := newWalk(t, plain)
		ops := w.operations()
		if len(ops) < 55 {
			t.Fatalf("only %d operations were found", len(ops))
		}
		for _, op := range ops {
			w.ownedIsSaid(t, op)
			for _, who := range strangers {
				t.Run(op.name()+" as "+who, func(t *testing.T) { w.check(t, op, who) })
			}
		}
		t.Run("lists of the owner", w.ownersLists)
		t.Run("the original client", w.original)
		for _, op := range ops {
			t.Run(op.name()+" as owner", func(t *testing.T) { w.check(t, op, "owner") })
		}
	}, walkEnviron...)
}

// anyones name nothing of anybody's, although their paths have a parameter.
var anyones = map[string]string{
	"getErasure": "the receipt is the secret: the account that could log in is gone",
	"unlinkUid":  "an agent may unlink every uid of its cluster",

	"getObjection": underItsUID, "putObjection": underItsUID, "deleteObjection": underItsUID,
}

const underItsUID = "an agent says which uid of its cluster asks"

// ownedIsSaid: what a path or a required id names is somebody's, and the table must say so, whoever wrote its row.
func (w *walk) ownedIsSaid(t *testing.T, op walked) {
	named := strings.Contains(op.Path, "{")
	for _, p := range op.op.Parameters {
		named = named || p.Value.In == openapi3.ParameterInQuery && p.Value.Required
	}
	if named != op.Owned && anyones[op.ID] == "" {
		t.Errorf("%s: the document says that it names something of somebody's: %v, the table: %v", op.ID, named, op.Owned)
	}
}

// ownersLists shows that the owner's things are there to be leaked: what is looked for in others' answers stands in these.
func (w *walk) ownersLists(t *testing.T) {
	for path, id := range map[string]string{
		"/files/list": "file_id", "/auth/sessions": "session_id", "/auth/tokens": "token_id", "/links": "link_id", "/jobs": "job_id",
	} {
		if got := w.call(t, request{method: http.MethodGet, path: path, token: w.tokens["owner"]}); !strings.Contains(got.body, w.ids[id]) {
			t.Errorf("%s lacks the %s: %d %s", path, id, got.status, got.body)
		}
	}
}

// original walks the routes of the original client, which are no part of the document.
func (w *walk) original(t *testing.T) {
	var list oldList
	got := w.call(t, request{method: http.MethodGet, path: "/api/storage/list", token: w.tokens["owner"]})
	if err := json.Unmarshal([]byte(got.body), &list); err != nil || len(list.Objects) != 1 {
		t.Fatalf("%d %s", got.status, got.body)
	}
	routes := map[string]request{
		"list":     {method: http.MethodGet, path: "/api/storage/list"},
		"download": {method: http.MethodGet, path: "/api/storage/presign/download?key=" + list.Objects[0].Key},
		"upload":   {method: http.MethodPost, path: "/api/storage/presign/upload?object_name=mine"},
	}
	for _, who := range append([]string{"owner"}, strangers...) {
		for name, r := range routes {
			r.token = w.tokens[who]
			got := w.call(t, r)
			switch {
			case who == "anonymous":
				w.want(t, got, http.StatusUnauthorized, "unauthorized")
			case kindOf(who) == "agent" || who == "narrow_token":
				w.want(t, got, http.StatusForbidden, "forbidden")
			case name == "download" && who != "owner":
				w.want(t, got, http.StatusNotFound, "not_found")
			case got.status != http.StatusOK:
				t.Errorf("%s as %s: %d %s", name, who, got.status, got.body)
			case name == "list" && (who == "owner") != strings.Contains(got.body, list.Objects[0].Key):
				t.Errorf("the list of %s: %s", who, got.body)
			}
		}
	}
}

type walked struct {
	httpapi.Access
	op *openapi3.Operation
}

func (o walked) name() string { return o.ID }

// operations are in an order in which the owner can do all: what destroys comes last.
func (w *walk) operations() []walked {
	var list []walked
	for path, item := range w.doc.Paths.Map() {
		for method, op := range item.Operations() {
			access, ok := httpapi.AccessOf(op.OperationID)
			if !ok {
				continue // New refuses to start with such a document; the count above notices it too
			}
			access.Method, access.Path = method, path
			list = append(list, walked{access, op})
		}
	}
	order := func(o walked) string {
		late := slices.Index([]string{"completeUpload", "abortUpload", "changePassword", "logout", "deleteMe"}, o.ID) + 1
		return fmt.Sprint(late, map[string]int{"GET": 0, "PUT": 1, "POST": 1, "DELETE": 2}[o.Method], o.ID)
	}
	sort.Slice(list, func(i, j int) bool { return order(list[i]) < order(list[j]) })
	return list
}

// kindOf is what a caller is in the words of x-principals.
func kindOf(who string) string {
	switch {
	case who == "anonymous":
		return who
	case strings.HasSuffix(who, "agent"):
		return "agent"
	}
	return "user"
}

func (w *walk) check(t *testing.T, op walked, who string) {
	got := w.call(t, request{method: op.Method, path: w.path(t, op), token: w.token(t, op, who), body: w.body(t, op)})
	if who != "owner" && got.status < http.StatusMultipleChoices {
		w.leaksNothing(t, op, who, got)
	}
	code, open := got.field("code"), op.allows("anonymous")
	switch {
	case open:
		if got.status == http.StatusForbidden && code == "forbidden" && op.ID != "enrolAgent" || got.status == http.StatusUnauthorized && !strings.Contains("login refresh agentToken pollDevice", op.ID) {
			t.Errorf("an open operation refused: %d %s", got.status, got.body)
		}
	case who == "anonymous":
		w.want(t, got, http.StatusUnauthorized, "unauthorized")
	case !op.allows(kindOf(who)):
		w.want(t, got, http.StatusForbidden, "forbidden")
	case kindOf(who) == "agent" && !w.agentHas(t, who, op.AgentScope):
		w.want(t, got, http.StatusForbidden, "forbidden")
	case who == "narrow_token" && op.TokenScope != principal.ScopeAccountRead:
		w.want(t, got, http.StatusForbidden, "forbidden")
	case op.Owned && w.foreign(op, who):
		w.want(t, got, http.StatusNotFound, "not_found")
	default:
		w.admitted(t, op, who, got)
	}
}

// leaksNothing looks for the owner's things in what somebody else was given. Staff see jobs, and agents what is of their cluster.
func (w *walk) leaksNothing(t *testing.T, op walked, who string, got reply) {
	for name, id := range w.ids {
		staff := (who == "operator" || who == "admin") && (op.TokenScope == principal.ScopeJobsRead || op.ID == "listJobResults")
		agents := kindOf(who) == "agent" && who != "other_agent" && strings.Contains("getAgentSelf presignJobUploads confirmLink", op.ID)
		shared := name == "cluster" || name == "account" || name == "uid" || name == "receipt_id" // no secrets, or sent by the caller
		if strings.Contains(got.body, id) && !staff && !agents && !shared {
			t.Errorf("%s was given the owner's %s: %s", who, name, got.body)
		}
	}
}

func (w *walk) want(t *testing.T, got reply, status int, code string) {
	t.Helper()
	if got.status != status || got.field("code") != code {
		t.Errorf("%d %s, want %d %s", got.status, got.body, status, code)
	}
	for name, id := range w.ids { // what is refused tells nothing of what is there
		if name != "cluster" && name != "account" && strings.Contains(got.body, id) {
			t.Errorf("the refusal names the %s: %s", name, got.body)
		}
	}
}

// foreign: the owner's things are not this caller's. Operators and admins see jobs, and agents what is of their cluster.
func (w *walk) foreign(op walked, who string) bool {
	seesJobs := (who == "operator" || who == "admin") && op.TokenScope == principal.ScopeJobsRead
	seesJobs = seesJobs || (who == "operator" || who == "admin") && (op.ID == "getAccountUsage" || op.ID == "listJobResults")
	ofCluster := who == "system_agent" && op.ID == "presignJobUploads"
	owners := who == "owner" || who == "user_agent" && op.ID == "presignJobUploads"
	return !seesJobs && !ofCluster && !owners
}

// admitted: whoever may call is not told otherwise. Roles that a body asks for are the service's own business.
func (w *walk) admitted(t *testing.T, op walked, who string, got reply) {
	t.Helper()
	code := got.field("code")
	ownRule := code == "forbidden" && slices.Contains([]string{"confirmLink", "createLinkChallenge", "unlinkUid", "exchangeUnix", "putNodes", "putCoordinators", "changePassword", "listJobResults"}, op.ID)
	nothing := code == "not_found" && (slices.Contains([]string{"unlinkUid", "adviseJob"}, op.ID) || !op.Owned)
	switch {
	case got.status >= http.StatusInternalServerError:
		t.Errorf("failed: %d %s", got.status, got.body)
	case code == "invalid_request" && op.ID != "rotateAgentKey":
		t.Errorf("the sample does not fit, so that nothing was tried: %s", got.body)
	case (code == "unauthorized" || code == "forbidden" || code == "not_found") && !ownRule && !nothing:
		t.Errorf("%s was refused: %d %s", who, got.status, got.body)
	}
}

func (o walked) allows(kind string) bool {
	list, _ := o.op.Extensions["x-principals"].([]any)
	return slices.Contains(list, any(kind))
}

func (w *walk) agentHas(t *testing.T, who string, scope principal.Scope) bool {
	p, err := w.svc.Authenticate(t.Context(), w.tokens[who])
	if err != nil {
		t.Fatal(err)
	}
	return scope == "" || p.Has(scope)
}

// token of the caller: a fresh login where the call may end it.
func (w *walk) token(t *testing.T, op walked, who string) string {
	if kindOf(who) != "user" || who == "narrow_token" || op.Method == http.MethodGet || op.Owned {
		return w.tokens[who]
	}
	role := map[string]string{"stranger": "user", "owner": "user"}[who]
	if role == "" {
		role = who
	}
	if who == "owner" && !slices.Contains([]string{"changePassword", "logout", "deleteMe"}, op.ID) {
		return w.person(t, "alice", role).token
	}
	return w.person(t, "u-"+strings.ToLower(uuid.NewString()[:8]), role).token
}

// path fills in what the owner has. A parameter that is not known here fails: the walk must be taught what it names.
func (w *walk) path(t *testing.T, op walked) string {
	path := op.Path
	for {
		name, rest, ok := strings.Cut(after(path, "{"), "}")
		if !ok {
			break
		}
		id := w.ids[name]
		if id == "" {
			t.Fatalf("the walk knows no %q of %s", name, op.Path)
		}
		path = path[:strings.Index(path, "{")] + id + rest
	}
	var query []string
	for _, p := range op.op.Parameters {
		if v := p.Value; v.In == openapi3.ParameterInQuery && v.Required {
			if w.ids[v.Name] == "" {
				t.Fatalf("the walk knows no %q of %s", v.Name, op.Path)
			}
			query = append(query, v.Name+"="+w.ids[v.Name])
		}
	}
	if len(query) > 0 {
		path += "?" + strings.Join(query, "&")
	}
	return path
}

func after(s, sep string) string {
	_, rest, _ := strings.Cut(s, sep)
	return rest
}

// bodies that no schema tells.
func (w *walk) bodies() map[string]string {
	key := strings.Repeat("A", 43)
	snapshot := fmt.Sprintf(`{"attempt":0,"slurm_job_id":"9","job_id_raw":"9","uid":1000,"unix_user":"alice","state":"PENDING","slurm_state":"PENDING","submit_at":%q}`, time.Now().UTC().Format(time.RFC3339))
	return map[string]string{
		"changePassword":      `{"old_password":"` + worldPassword + `","new_password":"another horse battery"}`,
		"createToken":         `{"name":"ci","scopes":["jobs:read"],"expires_in_s":3600}`,
		"createEnrolment":     `{"cluster":"hpc","kind":"user"}`,
		"createLinkChallenge": `{"cluster":"hpc"}`,
		"presignUpload":       wish,
		"presignParts":        `{"parts":[{"number":1,"size":3,"sha256":"` + sha256OfABC + `"}]}`,
		"presignJobUploads":   `{"attempt":0,"entries":[{"path":"out.txt","class":"output","size":3,"sha256":"` + sha256OfABC + `"}]}`,
		"postEvents":          `{"events":[{"event_id":"` + uuid.NewString() + `","job_id":"` + uuid.NewString() + `","seq":1,"type":"state","at":"` + time.Now().UTC().Format(time.RFC3339) + `","job":` + snapshot + `}]}`,
		"postAccounting":      `{"columns":["JobID","JobIDRaw","UID","User","State","Submit"],"rows":[]}`,
		"rotateAgentKey":      `{"public_key":"` + key + `","proof":"` + key + key + `","consent":"` + key + key + `"}`,
		"exchangeUnix":        `{"uid":1000,"gid":1000,"unix_name":"alice"}`,
		"confirmLink":         `{"challenge":"ergl_x","uid":1000,"gid":1000,"unix_name":"alice","nonce":"` + uuid.NewString() + `"}`,
		"putCoordinators":     `{"coordinators":[{"account":"physics","unix_name":"alice"}]}`,
		"register":            `{"username":"newcomer","password":"` + worldPassword + `"}`,
		"enrolAgent":          `{"token":"x","name":"n","version":"1","public_key":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`,
	}
}

func (w *walk) body(t *testing.T, op walked) string {
	if op.op.RequestBody == nil {
		return ""
	}
	if b, ok := w.bodies()[op.ID]; ok {
		return b
	}
	media := op.op.RequestBody.Value.Content.Get("application/json")
	raw, err := json.Marshal(sample(media.Schema.Value))
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// sample is the smallest value of a schema.
func sample(s *openapi3.Schema) any {
	switch {
	case len(s.Enum) > 0:
		return s.Enum[0]
	case s.Type.Is("object"):
		m := map[string]any{}
		for _, name := range s.Required {
			m[name] = sample(s.Properties[name].Value)
		}
		return m
	case s.Type.Is("array"):
		list := make([]any, 0, s.MinItems)
		for range s.MinItems {
			list = append(list, sample(s.Items.Value))
		}
		return list
	case s.Type.Is("integer"), s.Type.Is("number"):
		if s.Min != nil {
			return *s.Min
		}
		return 1
	case s.Type.Is("boolean"):
		return false
	case s.Format == "uuid":
		return uuid.NewString()
	case s.Format == "date-time":
		return "2026-03-04T05:06:07Z"
	}
	return strings.Repeat("x", int(max(s.MinLength, 1)))
}

var walkEnviron = []string{"ERGON_AUTH_REGISTRATION=open", "ERGON_ROLES_COORDINATORS=true", "ERGON_COMPAT_BENCHWRAP=true"}

func newWalk(t *testing.T, plain *world) *walk {
	t.Helper()
	w := &walk{world: plain, tokens: map[string]string{}, ids: map[string]string{}}
	var err error
	if w.doc, err = openapi3.NewLoader().LoadFromData(apispec.Document); err != nil {
		t.Fatal(err)
	}
	owner := w.person(t, "alice", "user")
	w.tokens["owner"] = owner.token
	for who, role := range map[string]string{"stranger": "user", "account_manager": "account_manager", "operator": "operator", "admin": "admin"} {
		w.tokens[who] = w.person(t, "the-"+strings.ReplaceAll(who, "_", "-"), role).token
	}
	w.tokens["system_agent"] = w.agent(t, "hpc", principal.AgentSystem, "")
	w.tokens["other_agent"] = w.agent(t, "other", principal.AgentSystem, "")
	w.tokens["user_agent"] = w.agent(t, "hpc", principal.AgentUser, "alice")
	w.narrowToken(t)
	w.belongings(t, owner)
	return w
}

// narrowToken may read the account of a stranger, and nothing else.
func (w *walk) narrowToken(t *testing.T) {
	t.Helper()
	r := w.world.call(t, request{
		method: http.MethodPost, path: "/auth/tokens", token: w.person(t, "the-narrow", "user").token, body: `{"name":"n","scopes":["account:read"],"expires_in_s":3600}`,
	})
	if w.tokens["narrow_token"] = r.field("token"); w.tokens["narrow_token"] == "" {
		t.Fatal(r.status)
	}
}

// belongings are one thing of each kind that a path can name, all of the owner.
func (w *walk) belongings(t *testing.T, owner person) {
	t.Helper()
	challenge, _, err := w.svc.CreateChallenge(w.as(t, owner.token), "hpc")
	if err != nil {
		t.Fatal(err)
	}
	agent := w.as(t, w.tokens["system_agent"])
	link, err := w.svc.ConfirmLink(agent, identity.Confirmation{Challenge: challenge, UID: 1000, GID: 1000, UnixName: "alice", Nonce: uuid.NewString()})
	if err != nil {
		t.Fatal(err)
	}
	w.ids["link_id"], w.ids["uid"] = link.ID, "1947114711" // a uid without a link: agents may unlink the others; long, so that no request id has it by chance
	w.ids["session_id"] = w.person(t, "alice", "user").session
	w.ids["file_id"] = w.store(t, owner.token)
	w.ids["id"] = w.ids["file_id"]
	w.ids["upload_id"] = w.made(t, request{method: http.MethodPost, path: "/files/presign/upload", token: owner.token, body: wish}, "upload_id")
	w.ids["token_id"] = w.made(t, request{method: http.MethodPost, path: "/auth/tokens", token: owner.token, body: w.bodies()["createToken"]}, "info", "id")
	w.ids["export_id"] = w.made(t, request{method: http.MethodPost, path: "/me/export", token: owner.token}, "export_id")
	w.ids["receipt_id"] = uuid.NewString()
	if _, err := w.svc.ReportCoordinators(agent, []identity.Coordinator{{Account: "physics", UnixName: "alice"}}); err != nil {
		t.Fatal(err)
	}
	w.ids["owner"] = owner.id
	w.ids["cluster"], w.ids["account"] = "hpc", "physics"
	w.ids["job_id"] = w.job(t, owner)
}

// made calls, and gives the id of what that made.
func (w *walk) made(t *testing.T, r request, field ...string) string {
	t.Helper()
	got := w.world.call(t, r)
	if got.nested(field...) == "" {
		t.Fatalf("%s: %d %s", r.path, got.status, got.body)
	}
	return got.nested(field...)
}

// job is told by accounting, as of the linked uid.
func (w *walk) job(t *testing.T, owner person) string {
	t.Helper()
	row := []string{"42", "42", "1000", "alice", "physics", "COMPLETED", "2026-03-04T05:06:07", "2026-03-04T05:06:08", "2026-03-04T05:07:08", "60", "0:0", "1", "1"}
	body, err := json.Marshal(map[string]any{
		"columns": []string{"JobID", "JobIDRaw", "UID", "User", "Account", "State", "Submit", "Start", "End", "ElapsedRaw", "ExitCode", "AllocCPUS", "NNodes"},
		"rows":    [][]string{row},
	})
	if err != nil {
		t.Fatal(err)
	}
	got := w.world.call(t, request{method: http.MethodPost, path: "/agent/accounting", token: w.tokens["system_agent"], body: string(body)})
	if got.field("jobs") != "1" {
		t.Fatalf("%d %s", got.status, got.body)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var id string
	if err := w.app.store.SQL().QueryRowContext(ctx, "SELECT id FROM jobs WHERE user_id = $1", owner.id).Scan(&id); err != nil {
		t.Fatal(err)
	}
	return id
}
