// Package apitest holds every answer of a server under test against the OpenAPI document, and every request that was
// answered with success; and it knows which operations have been answered so.
//
//	srv := httptest.NewServer(apitest.Check(t, handler))
//	client := &http.Client{Transport: contract.Transport(t, http.DefaultTransport)}
package apitest

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"

	"github.com/ergon-hpc/ergon/shared/apispec"
)

// Contract is the document. It may be used by several tests at once.
type Contract struct {
	router     routers.Router
	operations []string

	mu       sync.Mutex
	answered map[string]bool
}

// Load reads the document that the programs carry.
func Load() (*Contract, error) {
	doc, err := openapi3.NewLoader().LoadFromData(apispec.Document)
	if err != nil {
		return nil, err
	}
	doc.Servers = nil // any host
	router, err := gorillamux.NewRouter(doc)
	if err != nil {
		return nil, err
	}
	c := &Contract{router: router, answered: map[string]bool{}}
	for _, item := range doc.Paths.Map() {
		for _, op := range item.Operations() {
			c.operations = append(c.operations, op.OperationID)
		}
	}
	slices.Sort(c.operations)
	return c, nil
}

// Check wraps a handler. A breach of the document is a test error that names method and path.
func Check(t testing.TB, next http.Handler) http.Handler {
	t.Helper()
	c, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	return handler{t, c, next}
}

// Transport wraps a client's transport, for a server that is reached over the network. It reads every answer whole.
func (c *Contract) Transport(t testing.TB, next http.RoundTripper) http.RoundTripper {
	return transport{t, c, next}
}

// Unanswered lists the operations that no checked answer of status 2xx has been seen of.
func (c *Contract) Unanswered() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(c.operations), func(id string) bool { return c.answered[id] })
}

type handler struct {
	t    testing.TB
	c    *Contract
	next http.Handler
}

func (h handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		h.t.Errorf("%s %s: reading the request: %v", r.Method, r.URL.Path, err)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	probe := r.Clone(context.WithoutCancel(r.Context()))
	rec := httptest.NewRecorder()
	h.next.ServeHTTP(rec, r)
	probe.Body = io.NopCloser(bytes.NewReader(body))
	h.c.check(h.t, probe, answer{rec.Code, rec.Header(), rec.Body.Bytes()})
	for k, v := range rec.Header() {
		w.Header()[k] = v
	}
	w.WriteHeader(rec.Code)
	_, _ = w.Write(rec.Body.Bytes()) // the client may be gone
}

type transport struct {
	t    testing.TB
	c    *Contract
	next http.RoundTripper
}

func (x transport) RoundTrip(r *http.Request) (*http.Response, error) {
	x.t.Helper()
	probe := r.Clone(context.WithoutCancel(r.Context()))
	if r.Body != nil && r.Body != http.NoBody { // the document tells an empty body from none
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		r = r.Clone(r.Context())
		r.Body, probe.Body = io.NopCloser(bytes.NewReader(body)), io.NopCloser(bytes.NewReader(body))
	}
	resp, err := x.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close() // it has been read
	if err != nil {
		return nil, err
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	x.c.check(x.t, probe, answer{resp.StatusCode, resp.Header, body})
	return resp, nil
}

type answer struct {
	status int
	header http.Header
	body   []byte
}

func (c *Contract) check(t testing.TB, r *http.Request, a answer) {
	t.Helper()
	route, params, err := c.router.FindRoute(r)
	if err != nil {
		problem(t, r, a)
		return
	}
	in := &openapi3filter.RequestValidationInput{
		Request: r, PathParams: params, Route: route,
		Options: &openapi3filter.Options{
			AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, IncludeResponseStatus: true, MultiError: true,
		},
	}
	if a.status < http.StatusMultipleChoices {
		c.note(route.Operation.OperationID)
		if err := openapi3filter.ValidateRequest(r.Context(), in); err != nil {
			t.Errorf("%s %s was answered with %d, but the request is not valid: %v", r.Method, r.URL.Path, a.status, err)
		}
	}
	secured(t, r, a)
	out := &openapi3filter.ResponseValidationInput{RequestValidationInput: in, Status: a.status, Header: a.header, Options: in.Options}
	out.SetBodyBytes(a.body)
	if err := openapi3filter.ValidateResponse(r.Context(), out); err != nil {
		t.Errorf("%s %s: answer %d is not of the document's form: %v", r.Method, r.URL.Path, a.status, err)
	}
}

// headers keep browsers from doing anything with an answer of the API.
var headers = map[string]string{
	"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
	"Referrer-Policy": "no-referrer", "Cache-Control": "no-store",
}

// secured: the only cookie is that of the page that confirms logins, which is not of the API.
func secured(t testing.TB, r *http.Request, a answer) {
	t.Helper()
	for name, want := range headers {
		if got := a.header.Get(name); got != want {
			t.Errorf("%s %s: %s is %q, want %q", r.Method, r.URL.Path, name, got, want)
		}
	}
	if cookies := a.header.Values("Set-Cookie"); len(cookies) > 0 {
		t.Errorf("%s %s sets a cookie: %q", r.Method, r.URL.Path, cookies)
	}
}

func (c *Contract) note(operation string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answered[operation] = true
}

// problem: paths that the document does not know are answered with a problem document all the same.
func problem(t testing.TB, r *http.Request, a answer) {
	t.Helper()
	if a.status == http.StatusNoContent && r.Method == http.MethodOptions {
		return
	}
	if strings.HasPrefix(r.URL.Path, "/api/") { // of the original client, whose form is not the document's
		return
	}
	if ct := a.header.Get("Content-Type"); !strings.HasPrefix(ct, "application/problem+json") {
		t.Errorf("%s %s: answer %d of type %q is not a problem document", r.Method, r.URL.Path, a.status, ct)
	}
}
