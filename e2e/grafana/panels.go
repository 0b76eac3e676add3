// Package grafana tests what is shipped for Grafana: every query of every dashboard runs against a real PostgreSQL, as the
// role that Grafana uses.
package grafana

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/ergon-hpc/ergon/e2e/harness"
)

// The window of time that the tests look at.
const from, to = "2026-01-09T00:00:00Z", "2026-01-11T00:00:00Z"

// panel is what the tests read of a dashboard's JSON.
type panel struct {
	ID      int
	Type    string
	Title   string
	GridPos struct{ H, W, X, Y int }
	Targets []struct {
		RefID  string
		Format string
		RawSQL string `json:"rawSql"`
	}
	FieldConfig struct {
		Overrides []struct {
			Matcher struct{ ID, Options string }
		}
	}
}

type dashboard struct {
	UID        string
	Title      string
	Panels     []panel
	Templating struct {
		List []struct{ Name, Type, Query string }
	}
}

// dashboards reads the generated files.
func dashboards() ([]dashboard, error) {
	root, err := harness.Root()
	if err != nil {
		return nil, err
	}
	files, err := filepath.Glob(filepath.Join(root, "grafana", "dashboards", "*.json"))
	if err != nil {
		return nil, err
	}
	var all []dashboard
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		var d dashboard
		if err := json.Unmarshal(text, &d); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		all = append(all, d)
	}
	return all, nil
}

var (
	timeFilter = regexp.MustCompile(`\$__timeFilter\(([^)]*)\)`)
	timeGroup  = regexp.MustCompile(`\$__timeGroupAlias\(([^,)]*),1h\)`)
	variable   = regexp.MustCompile(`\$\{(\w+):sqlstring\}`)
	leftOver   = regexp.MustCompile(`\$__\w+|\$\{[^}]*\}`)
)

// expand replaces macros and variables as Grafana's PostgreSQL datasource does. What it does not know is an error.
func expand(sql string, vars map[string][]string) (string, error) {
	sql = strings.ReplaceAll(sql, "$__interval", "1h")
	sql = timeFilter.ReplaceAllString(sql, "$1 BETWEEN '"+from+"' AND '"+to+"'")
	sql = timeGroup.ReplaceAllString(sql, `floor(extract(epoch from $1)/3600)*3600 AS "time"`)
	sql = variable.ReplaceAllStringFunc(sql, func(use string) string {
		values, known := vars[variable.FindStringSubmatch(use)[1]]
		if !known {
			return use
		}
		var quoted []string
		for _, v := range values {
			quoted = append(quoted, "'"+strings.ReplaceAll(v, "'", "''")+"'")
		}
		return strings.Join(quoted, ",")
	})
	if rest := leftOver.FindString(sql); rest != "" {
		return "", fmt.Errorf("nothing replaces %s", rest)
	}
	return sql, nil
}
