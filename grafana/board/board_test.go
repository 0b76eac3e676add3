package board

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ergon-hpc/ergon/grafana/dashboard"
)

const generated = "../dashboards"

func TestGeneratedFilesAreUpToDate(t *testing.T) {
	var want []string
	for _, d := range All() {
		text, err := dashboard.JSON(d)
		if err != nil {
			t.Fatal(err)
		}
		name := d.UID + ".json"
		if slices.Contains(want, name) {
			t.Errorf("two dashboards have the uid %s", d.UID)
		}
		want = append(want, name)
		got, err := os.ReadFile(filepath.Join(generated, name))
		if err != nil || string(got) != string(text) {
			t.Errorf("%s is stale (%v): run `make generate`", name, err)
		}
	}
	entries, err := os.ReadDir(generated)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !slices.Contains(want, e.Name()) {
			t.Errorf("%s belongs to no dashboard: run `make generate`", e.Name())
		}
	}
}

func TestQueriesReadStaffViewsOnly(t *testing.T) {
	for _, d := range All() {
		for _, row := range d.Rows {
			for _, p := range row.Panels {
				words := strings.Fields(p.Query.SQL)
				for i, w := range words {
					if w == "FROM" && !strings.HasPrefix(words[i+1], "staff_") && words[i+1] != "(SELECT" {
						t.Errorf("%s, %s: reads %s", d.UID, p.Title, words[i+1])
					}
				}
			}
		}
	}
}

func TestLinksLeadToDashboardsThatExist(t *testing.T) {
	vars := map[string][]string{}
	for _, d := range All() {
		for _, v := range d.Variables {
			vars[d.UID] = append(vars[d.UID], v.Name)
		}
	}
	links := 0
	for _, d := range All() {
		for _, row := range d.Rows {
			for _, p := range row.Panels {
				for _, f := range p.Fields {
					if f.Link == nil {
						continue
					}
					links++
					for name, col := range f.Link.Vars {
						if !slices.Contains(vars[f.Link.UID], name) {
							t.Errorf("%s, %s: %s has no variable %s", d.UID, p.Title, f.Link.UID, name)
						}
						if !strings.Contains(p.Query.SQL, col) {
							t.Errorf("%s, %s: the query has no column %s", d.UID, p.Title, col)
						}
					}
				}
			}
		}
	}
	if links == 0 {
		t.Error("no table leads anywhere")
	}
}
