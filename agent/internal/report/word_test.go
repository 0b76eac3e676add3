package report

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/ergon-hpc/ergon/shared/efficiency"
)

// constants finds the values of a string type's constants in package efficiency: its closed lists are written there and
// nowhere else.
func constants(t *testing.T, typeName string) (values []string) {
	t.Helper()
	files, err := filepath.Glob("../../../shared/efficiency/*.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("no source of efficiency: %v", err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok || len(spec.Values) != 1 {
				return true
			}
			ident, ok := spec.Type.(*ast.Ident)
			lit, isLit := spec.Values[0].(*ast.BasicLit)
			if ok && isLit && ident.Name == typeName && lit.Kind == token.STRING {
				text, err := strconv.Unquote(lit.Value)
				if err != nil {
					t.Fatal(err)
				}
				values = append(values, text)
			}
			return true
		})
	}
	slices.Sort(values)
	return values
}

func keys[K ~string, V any](m map[K]V) (out []string) {
	for k := range maps.Keys(m) {
		out = append(out, string(k))
	}
	slices.Sort(out)
	return out
}

func TestEveryCodeHasItsWords(t *testing.T) {
	t.Parallel()
	for typeName, have := range map[string][]string{
		"Reason": keys(reasonWords), "Source": keys(sourceWords), "Bound": keys(boundWords), "Severity": keys(marks),
	} {
		want := constants(t, typeName)
		if len(want) < 3 || !slices.Equal(have, want) {
			t.Errorf("%s: words for %v, the closed list is %v", typeName, have, want)
		}
	}
}

func TestAnUnknownCodeIsShownAsItIs(t *testing.T) {
	t.Parallel()
	if reasonText("new_one") != "new_one" || sourceText("new_source") != "new_source" {
		t.Error("a code of a newer server is lost")
	}
}

func TestWaitingIsToldInPlainWords(t *testing.T) {
	t.Parallel()
	for reason, want := range map[string]string{
		"(Priority)": "higher priority", "": "has not looked", "ReqNodeNotAvail, UnavailableNodes:n1": "down, drained", "QOSGrpNewThing": "QOSGrpNewThing",
	} {
		if got := Pending(reason); !strings.Contains(got, want) {
			t.Errorf("Pending(%q) = %q", reason, got)
		}
	}
}

func TestUnitsKeepSmallNumbersVisible(t *testing.T) {
	t.Parallel()
	for got, want := range map[string]string{
		Percent(0.04): "0.04 %", Percent(0): "0.0 %", Percent(98.54): "98.5 %", Percent(104.2): "104.2 %",
		Bytes(0): "0 B", Bytes(1536): "1.5 KiB", Bytes(15952084992): "14.9 GiB",
		Seconds(53): "53 s", Seconds(3905): "1 h 05 min", Seconds(183600): "2 d 03 h", PerHour(7200, "core"): "2 core-h",
		amount(101630, efficiency.Joule): "102 kJ", amount(3, efficiency.Count): "3", amount(2, "EUR"): "2 EUR",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
