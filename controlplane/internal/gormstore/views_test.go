package gormstore_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore/storetest"
)

const viewsPostgres = `SELECT table_name || '.' || column_name FROM information_schema.columns
	JOIN information_schema.tables USING (table_schema, table_name) WHERE table_schema = 'public' AND table_type = 'VIEW'`

const viewsSQLite = `SELECT m.name || '.' || c.name FROM sqlite_master m, pragma_table_info(m.name) c WHERE m.type = 'view'`

func viewColumns(t *testing.T, s *gormstore.Store, query string) []string {
	t.Helper()
	rows, err := s.SQL().QueryContext(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var found []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		found = append(found, name)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	slices.Sort(found)
	return found
}

func TestBothDatabasesHaveTheSameViews(t *testing.T) {
	lite := viewColumns(t, storetest.SQLite(t), viewsSQLite)
	if len(lite) < 50 {
		t.Fatalf("only %d columns of views were read from SQLite", len(lite))
	}
	if diff := cmp.Diff(lite, viewColumns(t, storetest.Postgres(t), viewsPostgres)); diff != "" {
		t.Errorf("SQLite (-) and PostgreSQL (+) differ:\n%s", diff)
	}
}

// Whoever may send SQL to the staff datasource reads all columns of these views.
func TestStaffViewsShowNoSecret(t *testing.T) {
	for _, column := range viewColumns(t, storetest.SQLite(t), viewsSQLite) {
		_, name, _ := strings.Cut(column, ".")
		for _, word := range []string{"hash", "key", "token", "secret", "scopes", "fields", "snapshot", "manifest", "script"} {
			if strings.Contains(name, word) {
				t.Errorf("%s looks like something that staff dashboards must not show", column)
			}
		}
	}
}
