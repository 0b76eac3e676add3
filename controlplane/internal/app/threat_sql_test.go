package app

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore"
)

// schema is every table and column, as text.
func (w *world) schema(t *testing.T) string {
	t.Helper()
	query := "SELECT name || ' ' || COALESCE(sql, '') FROM sqlite_master ORDER BY name"
	if w.app.store.Dialect() == gormstore.Postgres {
		query = `SELECT table_name || ' ' || column_name || ' ' || data_type FROM information_schema.columns WHERE table_schema = 'public'
			UNION SELECT tablename || ' ' || indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1`
	}
	rows, err := w.app.store.SQL().QueryContext(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var all strings.Builder
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			t.Fatal(err)
		}
		all.WriteString(line + "\n")
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all.String()
}

// aimed is one call with one hostile value in one place.
type aimed struct {
	place string // operation and field
	request
}

// Each hostile value goes alone into each place of each route that takes text, beside values that are right, so that it comes
// as far as the contract lets it: path, query, and every string of the body.
func TestThreat_T18_HostileNamesThroughEveryRouteChangeNothing(t *testing.T) {
	eachWorld(t, func(t *testing.T, plain *world) {
		w := newWalk(t, plain)
		before, tried, admitted := w.schema(t), 0, map[string]int{}
		for _, op := range w.operations() {
			for _, name := range hostile {
				for _, c := range w.aim(t, op, name) {
					got := w.call(t, c.request)
					code := got.field("code")
					if got.status >= http.StatusInternalServerError && code != "store_unavailable" {
						t.Errorf("%s with %q: %d %s", c.place, name, got.status, got.body)
					}
					if code == "unauthorized" && !strings.Contains("login refresh agentToken pollDevice", op.ID) {
						t.Errorf("%s: nobody was logged in", c.place)
					}
					if tried++; code != "invalid_request" {
						admitted[c.place]++
					}
				}
			}
		}
		t.Logf("%d calls, admitted: %v", tried, admitted)
		for _, place := range textPlaces {
			if admitted[place] < len(hostile)/2 {
				t.Errorf("%s: only %d hostile values came past the contract", place, admitted[place])
			}
		}
		if tried < 700 || len(admitted) < 25 {
			t.Errorf("%d calls to %d places", tried, len(admitted))
		}
		if w.schema(t) != before {
			t.Error("the schema was changed")
		}
		if got := w.call(t, request{method: http.MethodGet, path: "/jobs/" + w.ids["job_id"], token: w.tokens["owner"]}); got.status != http.StatusOK {
			t.Errorf("the owner's job afterwards: %d %s", got.status, got.body)
		}
	}, walkEnviron...)
}

// textPlaces are places whose text is known to go into SQL.
var textPlaces = []string{
	"listJobs cluster", "listFiles prefix", "getUsage cluster", "getAccountUsage account", "login username", "createToken name",
	"createLinkChallenge cluster", "listFiles name", "enrolAgent token",
}

// aim makes the calls of one operation with one hostile value.
func (w *walk) aim(t *testing.T, op walked, name string) []aimed {
	fresh := func() string {
		if strings.HasPrefix(op.Path, "/agent/") {
			return w.tokens["system_agent"]
		}
		return w.token(t, op, "admin")
	}
	var list []aimed
	add := func(field, path, body string) {
		list = append(list, aimed{op.ID + " " + field, request{method: op.Method, path: path, body: body, token: fresh()}})
	}
	for _, p := range op.op.Parameters {
		switch v := p.Value; {
		case v.In == openapi3.ParameterInPath:
			add(v.Name, strings.Replace(w.path(t, op), w.ids[v.Name], url.PathEscape(name), 1), w.body(t, op))
		case v.In == openapi3.ParameterInQuery && v.Schema.Value.Type.Is("string"):
			add(v.Name, withQuery(w.path(t, op), v.Name, name), w.body(t, op))
		}
	}
	if op.op.RequestBody != nil {
		schema := op.op.RequestBody.Value.Content.Get("application/json").Schema.Value
		for field, body := range poisoned(t, schema, w.body(t, op), name) {
			add(field, w.path(t, op), body)
		}
	}
	return list
}

func withQuery(path, name, value string) string {
	u, err := url.Parse(path)
	if err != nil {
		return path
	}
	q := u.Query()
	q.Set(name, value)
	u.RawQuery = q.Encode()
	return u.String()
}

// poisoned gives a body for each string in it, and for each optional one of the schema, with the value in that place alone.
func poisoned(t *testing.T, s *openapi3.Schema, body, name string) map[string]string {
	out := map[string]string{}
	var root any
	if err := json.Unmarshal([]byte(body), &root); err != nil {
		t.Fatal(err)
	}
	keep := func(field string) {
		raw, err := json.Marshal(root)
		if err != nil {
			t.Fatal(err)
		}
		out[field] = string(raw)
	}
	if m, ok := root.(map[string]any); ok {
		for member, ref := range s.Properties {
			if _, set := m[member]; !set && ref.Value.Type.Is("string") {
				m[member] = name
				keep(member)
				delete(m, member)
			}
		}
	}
	eachText(root, "", func(field string, set func(any), was string) {
		set(name + strings.Repeat("x", max(0, len(was)-len(name)))) // as long as it was, for what has a length
		keep(field)
		set(was)
	})
	return out
}

// eachText visits every string of a JSON value.
func eachText(v any, at string, visit func(field string, set func(any), was string)) {
	step := func(child any, field string, set func(any)) {
		if text, ok := child.(string); ok {
			visit(strings.TrimPrefix(field, "."), set, text)
			return
		}
		eachText(child, field, visit)
	}
	switch v := v.(type) {
	case map[string]any:
		for _, member := range slices.Sorted(maps.Keys(v)) {
			step(v[member], at+"."+member, func(x any) { v[member] = x })
		}
	case []any:
		for i := range v {
			step(v[i], fmt.Sprint(at, ".", i), func(x any) { v[i] = x })
		}
	}
}
