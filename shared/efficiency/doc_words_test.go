package efficiency

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"strconv"
	"strings"
	"testing"
)

// constants reads the values of the constants of a type from this package's own source, so that a new rule or reason
// cannot be forgotten in the document.
func constants(file, typeName string) (out []string) {
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		return nil
	}
	ast.Inspect(f, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if id, ok := spec.Type.(*ast.Ident); ok && id.Name == typeName && len(spec.Values) == 1 {
			if lit, ok := spec.Values[0].(*ast.BasicLit); ok {
				text, _ := strconv.Unquote(lit.Value)
				out = append(out, text)
			}
		}
		return true
	})
	return out
}

func allRules() (out []Rule) {
	for _, text := range constants("finding.go", "Rule") {
		out = append(out, Rule(text))
	}
	return out
}

func allReasons() (out []Reason) {
	for _, text := range constants("reason.go", "Reason") {
		out = append(out, Reason(text))
	}
	return out
}

func TestAllRulesAndReasonsAreFound(t *testing.T) {
	if len(allRules()) < len(rules()) || len(allReasons()) < 20 {
		t.Errorf("%d rules of %d, %d reasons", len(allRules()), len(rules()), len(allReasons()))
	}
}

// thresholdTable lists the settings with their defaults, from the struct.
func thresholdTable(t *testing.T) string {
	t.Helper()
	data, err := json.Marshal(DefaultThresholds())
	if err != nil {
		t.Fatal(err)
	}
	var values map[string]float64
	if err := json.Unmarshal(data, &values); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString("| threshold | default |\n|---|---|\n")
	kind := reflect.TypeFor[Thresholds]()
	for i := range kind.NumField() {
		name := kind.Field(i).Tag.Get("json")
		fmt.Fprintf(&b, "| %s | %s |\n", name, strconv.FormatFloat(values[name], 'f', -1, 64))
	}
	return b.String()
}
