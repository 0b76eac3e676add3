package main

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// forbidden says why the server links none of these.
var forbidden = map[string]string{
	"github.com/ergon-hpc/ergon/agent":      "the agent is another program",
	"github.com/minio/minio":                "AGPL",
	"github.com/minio/madmin-go":            "AGPL",
	"github.com/minio/console":              "AGPL",
	"github.com/minio/mc":                   "AGPL",
	"github.com/grafana/grafana":            "AGPL",
	"modernc.org/":                          "a second driver of SQLite, which would not share the first one's locks",
	"github.com/glebarez/":                  "a second driver of SQLite",
	"github.com/ncruces/go-sqlite3":         "a second driver of SQLite",
	"github.com/duckdb/":                    "a second database",
	"testing":                               "only tests need it",
	"net/http/httptest":                     "only tests need it",
	"github.com/stretchr/testify":           "only tests need it",
	"pgregory.net/rapid":                    "only tests need it",
	"go.uber.org/goleak":                    "only tests need it",
	"github.com/riverqueue/river/rivertest": "only tests need it",
}

func TestTheServerLinksNothingThatItMustNot(t *testing.T) {
	t.Parallel()
	out, err := exec.Command("go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	deps := strings.Fields(string(out))
	if !slices.Contains(deps, "github.com/mattn/go-sqlite3") {
		t.Error("the list lacks the driver of SQLite: it is not that of the server")
	}
	for _, dep := range deps {
		for bad, why := range forbidden {
			if within(dep, bad) {
				t.Errorf("ergon-server links %s: %s", dep, why)
			}
		}
		if strings.HasPrefix(dep, "github.com/ergon-hpc/") && strings.HasSuffix(dep, "test") {
			t.Errorf("ergon-server links %s: only tests need it", dep)
		}
	}
}

// within: the package itself, or one below the path.
func within(dep, path string) bool {
	return dep == path || strings.HasPrefix(dep, strings.TrimSuffix(path, "/")+"/")
}
