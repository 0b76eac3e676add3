package httpapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
	"github.com/ergon-hpc/ergon/controlplane/internal/strictjson"
	"github.com/ergon-hpc/ergon/shared/api"
)

const maxFieldErrors = 20

// checkBody holds a body against the schema of its operation and lists every fault, up to 20.
func checkBody(op *operation, body []byte) error {
	if err := strictjson.Check(body); err != nil {
		return apperr.New(apperr.InvalidRequest, err.Error())
	}
	var value any
	if err := json.Unmarshal(body, &value); err != nil {
		return apperr.New(apperr.InvalidRequest, "the body is not valid JSON")
	}
	faults := unknownFields(op.schema, value, "", op.lenient())
	if err := op.schema.VisitJSON(value, openapi3.MultiErrors(), openapi3.VisitAsRequest()); err != nil {
		faults = append(faults, schemaFaults(err)...)
	}
	if len(faults) == 0 {
		return nil
	}
	e := apperr.New(apperr.InvalidRequest, "the body does not have the form that this call takes")
	e.Fields = faults[:min(len(faults), maxFieldErrors)]
	return e
}

// unknownFields finds members that the schema does not name. A lenient operation lets them pass, except those that differ
// from a known name only in case: Go's decoder would take them for it, unvalidated.
func unknownFields(s *openapi3.Schema, value any, at string, lenient bool) []apperr.Field {
	switch v := value.(type) {
	case map[string]any:
		return unknownMembers(s, v, at, lenient)
	case []any:
		if s.Items == nil || len(s.Items.Value.Properties) == 0 {
			return nil // scalars: nothing to look for in a million cells
		}
		var faults []apperr.Field
		for i, item := range v {
			faults = append(faults, unknownFields(s.Items.Value, item, at+"/"+strconv.Itoa(i), lenient)...)
		}
		return faults
	}
	return nil
}

func unknownMembers(s *openapi3.Schema, members map[string]any, at string, lenient bool) []apperr.Field {
	if len(s.Properties) == 0 {
		return nil // a free-form object
	}
	var faults []apperr.Field
	for name, value := range members {
		if known, ok := s.Properties[name]; ok {
			faults = append(faults, unknownFields(known.Value, value, at+"/"+name, lenient)...)
			continue
		}
		if !lenient || caseVariant(s, name) {
			faults = append(faults, apperr.Field{Name: clip(at + "/" + name), Message: "this call knows no such member"})
		}
	}
	slices.SortFunc(faults, func(a, b apperr.Field) int { return strings.Compare(a.Name, b.Name) })
	return faults
}

func caseVariant(s *openapi3.Schema, name string) bool {
	for known := range s.Properties {
		if strictjson.Fold(known) == strictjson.Fold(name) {
			return true
		}
	}
	return false
}

// schemaFaults flattens the validator's errors. Its texts name the rule and never quote the value.
func schemaFaults(err error) []apperr.Field {
	var many openapi3.MultiError
	if errors.As(err, &many) {
		var all []apperr.Field
		for _, e := range many {
			all = append(all, schemaFaults(e)...)
		}
		return all
	}
	if e, ok := errors.AsType[*openapi3.SchemaError](err); ok {
		return []apperr.Field{{Name: clip("/" + strings.Join(e.JSONPointer(), "/")), Message: rule(e)}}
	}
	return []apperr.Field{{Message: "not of the form that this call takes"}}
}

func rule(e *openapi3.SchemaError) string {
	switch s := e.Schema; e.SchemaField {
	case "required":
		return e.Reason
	case "enum":
		return fmt.Sprintf("must be one of %v", s.Enum)
	case "minLength", "maxLength", "minimum", "maximum", "minItems", "maxItems":
		return "breaks the limit " + e.SchemaField + bound(s, e.SchemaField)
	case "pattern":
		return "must match " + s.Pattern
	case "type":
		return fmt.Sprintf("must be of type %s", strings.Join(s.Type.Slice(), " or "))
	case "format":
		return "must be a " + s.Format
	}
	return "breaks the rule " + e.SchemaField
}

func bound(s *openapi3.Schema, field string) string {
	switch {
	case field == "minLength":
		return fmt.Sprintf(" %d", s.MinLength)
	case field == "maxLength" && s.MaxLength != nil:
		return fmt.Sprintf(" %d", *s.MaxLength)
	case field == "minItems":
		return fmt.Sprintf(" %d", s.MinItems)
	case field == "maxItems" && s.MaxItems != nil:
		return fmt.Sprintf(" %d", *s.MaxItems)
	case field == "minimum" && s.Min != nil:
		return fmt.Sprintf(" %v", *s.Min)
	case field == "maximum" && s.Max != nil:
		return fmt.Sprintf(" %v", *s.Max)
	}
	return ""
}

// clip bounds a name that came from outside.
func clip(name string) string { return name[:min(len(name), 128)] }

type wireField = struct {
	Field   string `json:"field"`
	Message string `json:"message"`
}

func fields(list []apperr.Field) *[]wireField {
	if len(list) == 0 {
		return nil
	}
	out := make([]wireField, 0, len(list))
	for _, f := range list {
		out = append(out, wireField{Field: strings.ToValidUTF8(f.Name, "?"), Message: f.Message})
	}
	return &out
}

var _ = api.Problem{Errors: (*[]wireField)(nil)} // the generated type is that anonymous struct
