package gormstore_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore/storetest"
)

const columnsPostgres = `SELECT table_name, column_name, data_type, is_nullable = 'YES' FROM information_schema.columns
	JOIN information_schema.tables USING (table_schema, table_name)
	WHERE table_schema = 'public' AND table_type = 'BASE TABLE' AND table_name <> 'goose_db_version'`

const columnsSQLite = `SELECT m.name, c.name, c.type, c."notnull" = 0 AND c.pk = 0 FROM sqlite_master m, pragma_table_info(m.name) c
	WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%' AND m.name <> 'goose_db_version'`

// sameType says what a type of PostgreSQL is called in SQLite.
var sameType = map[string]string{
	"text": "TEXT", "bigint": "INTEGER", "integer": "INTEGER", "timestamp with time zone": "INTEGER",
	"boolean": "BOOLEAN", "double precision": "REAL",
}

func columns(t *testing.T, s *gormstore.Store, query string) []string {
	t.Helper()
	rows, err := s.SQL().QueryContext(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var found []string
	for rows.Next() {
		var table, column, kind string
		var nullable bool
		if err := rows.Scan(&table, &column, &kind, &nullable); err != nil {
			t.Fatal(err)
		}
		if word, ok := sameType[kind]; ok {
			kind = word
		}
		found = append(found, fmt.Sprintf("%s.%s %s null=%v", table, column, strings.ToUpper(kind), nullable))
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	slices.Sort(found)
	return found
}

func TestBothDatabasesHaveTheSameColumns(t *testing.T) {
	lite := columns(t, storetest.SQLite(t), columnsSQLite)
	if len(lite) < 100 {
		t.Fatalf("only %d columns were read from SQLite: the query sees too little", len(lite))
	}
	pg := columns(t, storetest.Postgres(t), columnsPostgres)
	if diff := cmp.Diff(lite, pg); diff != "" {
		t.Errorf("SQLite (-) and PostgreSQL (+) differ:\n%s", diff)
	}
}

const indexesPostgres = `SELECT t.relname, i.relname, x.indisunique FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid
	JOIN pg_class t ON t.oid = x.indrelid JOIN pg_namespace n ON n.oid = t.relnamespace
	WHERE n.nspname = 'public' AND i.relname NOT LIKE '%_pkey' AND i.relname NOT LIKE '%_key' AND t.relname <> 'goose_db_version'`

const indexesSQLite = `SELECT m.name, l.name, l."unique" FROM sqlite_master m, pragma_index_list(m.name) l
	WHERE m.type = 'table' AND l.name NOT LIKE 'sqlite_%' AND m.name <> 'goose_db_version'`

func indexes(t *testing.T, s *gormstore.Store, query string) []string {
	t.Helper()
	rows, err := s.SQL().QueryContext(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var found []string
	for rows.Next() {
		var table, name string
		var unique bool
		if err := rows.Scan(&table, &name, &unique); err != nil {
			t.Fatal(err)
		}
		found = append(found, fmt.Sprintf("%s %s unique=%v", table, name, unique))
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	slices.Sort(found)
	return found
}

func TestBothDatabasesHaveTheSameIndexes(t *testing.T) {
	lite := indexes(t, storetest.SQLite(t), indexesSQLite)
	pg := indexes(t, storetest.Postgres(t), indexesPostgres)
	if len(lite) == 0 {
		t.Fatal("no index was read from SQLite")
	}
	if diff := cmp.Diff(lite, pg); diff != "" {
		t.Errorf("SQLite (-) and PostgreSQL (+) differ:\n%s", diff)
	}
}
