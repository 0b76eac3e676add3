package httpapi

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/ergon-hpc/ergon/controlplane/internal/principal"
	"github.com/ergon-hpc/ergon/shared/apispec"
)

// operation is what the document demands of one route.
type operation struct {
	id         string
	tag        string
	method     string
	route      string // in Gin's words: /jobs/:job_id
	principals []principal.Kind
	params     openapi3.Parameters
	body       *openapi3.RequestBody // nil when it takes none
	schema     *openapi3.Schema      // of the JSON body
	policy
}

// allows reports whether a caller of this kind may call it.
func (o *operation) allows(k principal.Kind) bool { return slices.Contains(o.principals, k) }

// lenient operations ignore unknown fields, so that an agent of the version before and after is understood.
func (o *operation) lenient() bool {
	return slices.Contains(o.principals, principal.Agent) || o.tag == "agent"
}

// contract is the OpenAPI document, by method and route.
type contract map[string]*operation

func routeKey(method, route string) string { return method + " " + route }

// loadContract reads the embedded document. Every operation must say who may call it.
func loadContract() (contract, error) {
	doc, err := openapi3.NewLoader().LoadFromData(apispec.Document)
	if err != nil {
		return nil, fmt.Errorf("reading the OpenAPI document: %w", err)
	}
	if err := doc.Validate(context.Background()); err != nil {
		return nil, fmt.Errorf("checking the OpenAPI document: %w", err)
	}
	c := contract{}
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			o, err := newOperation(method, path, item, op)
			if err != nil {
				return nil, err
			}
			c[routeKey(method, o.route)] = o
		}
	}
	return c, nil
}

func newOperation(method, path string, item *openapi3.PathItem, op *openapi3.Operation) (*operation, error) {
	o := &operation{
		id: op.OperationID, method: method, route: ginRoute(path),
		params: append(slices.Clone(item.Parameters), op.Parameters...),
	}
	var known bool
	if o.policy, known = policyOf(o.id); !known {
		return nil, fmt.Errorf("%s %s: the authorisation table (policy.go) has no row for %s", method, path, o.id)
	}
	if len(op.Tags) != 1 {
		return nil, fmt.Errorf("%s %s: wants exactly one tag", method, path)
	}
	o.tag = op.Tags[0]
	list, _ := op.Extensions["x-principals"].([]any)
	for _, v := range list {
		k, _ := v.(string)
		if kind := principal.Kind(k); kind == principal.Anonymous || kind == principal.User || kind == principal.Agent {
			o.principals = append(o.principals, kind)
			continue
		}
		return nil, fmt.Errorf("%s %s: x-principals names %q", method, path, k)
	}
	if len(o.principals) == 0 {
		return nil, fmt.Errorf("%s %s: x-principals is missing", method, path)
	}
	return o, o.setBody(op)
}

func (o *operation) setBody(op *openapi3.Operation) error {
	if op.RequestBody == nil {
		return nil
	}
	o.body = op.RequestBody.Value
	media := o.body.Content.Get("application/json")
	if media == nil || media.Schema == nil {
		return fmt.Errorf("%s: the body is not application/json", o.id)
	}
	o.schema = media.Schema.Value
	return nil
}

// ginRoute turns /jobs/{job_id} into /jobs/:job_id.
func ginRoute(path string) string {
	return strings.NewReplacer("{", ":", "}", "").Replace(path)
}
