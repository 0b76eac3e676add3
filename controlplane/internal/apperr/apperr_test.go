package apperr

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/ergon-hpc/ergon/shared/apispec"
)

func TestCodesAreThoseOfTheContract(t *testing.T) {
	doc, err := openapi3.NewLoader().LoadFromData(apispec.Document)
	if err != nil {
		t.Fatal(err)
	}
	var want []Code
	for _, v := range doc.Components.Schemas["ErrorCode"].Value.Enum {
		want = append(want, Code(v.(string)))
	}
	got := Codes()
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("codes %v, the document has %v", got, want)
	}
}

func TestCodeSurvivesWrapping(t *testing.T) {
	cause := errors.New("disk")
	err := fmt.Errorf("storing: %w", Wrap(Busy, "try later", cause))
	if !Is(err, Busy) || !errors.Is(err, cause) {
		t.Errorf("code %s, cause kept %v", CodeOf(err), errors.Is(err, cause))
	}
	if CodeOf(cause) != Internal {
		t.Error("an unknown error is internal")
	}
	if Is(nil, Internal) {
		t.Error("nil carries no code")
	}
}

func TestHintDoesNotChangeTheOriginal(t *testing.T) {
	a := New(NotFound, "no such job")
	if b := a.WithHint("ergon jobs lists them"); a.Hint != "" || b.Hint == "" {
		t.Errorf("hints %q and %q", a.Hint, b.Hint)
	}
}
