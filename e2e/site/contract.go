package site

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"

	"github.com/ergon-hpc/ergon/shared/apispec"
)

// contract holds what tests send and every answer that they get against the OpenAPI document; a breach is an error of the call.
type contract struct{ next http.RoundTripper }

var document = sync.OnceValues(func() (routers.Router, error) {
	doc, err := openapi3.NewLoader().LoadFromData(apispec.Document)
	if err != nil {
		return nil, err
	}
	doc.Servers = nil // any host
	return gorillamux.NewRouter(doc)
})

func (c contract) RoundTrip(r *http.Request) (*http.Response, error) {
	sent, err := drain(&r.Body)
	if err != nil {
		return nil, err
	}
	resp, err := c.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	got, err := drain(&resp.Body)
	if err == nil {
		err = breach(r, sent, resp, got)
	}
	return resp, err
}

// drain reads a body and puts another with the same bytes in its place.
func drain(body *io.ReadCloser) ([]byte, error) {
	if *body == nil || *body == http.NoBody {
		return nil, nil
	}
	data, err := io.ReadAll(io.LimitReader(*body, maxAnswer))
	if err == nil {
		err = (*body).Close()
	}
	*body = io.NopCloser(bytes.NewReader(data))
	return data, err
}

func breach(r *http.Request, sent []byte, resp *http.Response, got []byte) error {
	router, err := document()
	if err != nil {
		return err
	}
	ctx := context.WithoutCancel(r.Context())
	probe := r.Clone(ctx)
	if probe.Body = http.NoBody; sent != nil {
		probe.Body = io.NopCloser(bytes.NewReader(sent))
	}
	route, params, err := router.FindRoute(probe)
	if err != nil {
		return fmt.Errorf("%s %s is not in the document: %w", r.Method, r.URL.Path, err)
	}
	options := &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, IncludeResponseStatus: true}
	in := &openapi3filter.RequestValidationInput{Request: probe, PathParams: params, Route: route, Options: options}
	if resp.StatusCode < http.StatusMultipleChoices {
		if err := openapi3filter.ValidateRequest(ctx, in); err != nil {
			return fmt.Errorf("%s %s was answered with %d, but is not valid: %w", r.Method, r.URL.Path, resp.StatusCode, err)
		}
	}
	out := &openapi3filter.ResponseValidationInput{RequestValidationInput: in, Status: resp.StatusCode, Header: resp.Header, Options: options}
	if err := openapi3filter.ValidateResponse(ctx, out.SetBodyBytes(got)); err != nil {
		return fmt.Errorf("%s %s: answer %d is not of the document's form: %w", r.Method, r.URL.Path, resp.StatusCode, err)
	}
	return nil
}
