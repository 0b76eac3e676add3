package migrations

import (
	"io/fs"
	"regexp"
	"strings"
	"testing"
)

var types = strings.NewReplacer(
	"TIMESTAMPTZ", "INTEGER", "BIGINT", "INTEGER", "DOUBLE PRECISION", "REAL", "DEFAULT FALSE", "DEFAULT 0", ` COLLATE "C"`, "",
)

var spaces = regexp.MustCompile(`\s+`)

// own is what each dialect must say in its own words (triggers): a file has it in both or in neither.
var own = regexp.MustCompile(`(?s)-- dialect\n.*?-- end dialect`)

// normal is the text of a migration with the type words of PostgreSQL replaced by those of SQLite.
func normal(t *testing.T, files fs.FS, name string) string {
	t.Helper()
	text, err := fs.ReadFile(files, name)
	if err != nil {
		t.Fatal(err)
	}
	plain := own.ReplaceAllString(string(text), "-- in the dialect's own words")
	return spaces.ReplaceAllString(types.Replace(plain), " ")
}

func names(t *testing.T, files fs.FS, dir string) []string {
	t.Helper()
	entries, err := fs.ReadDir(files, dir)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, e := range entries {
		found = append(found, e.Name())
	}
	return found
}

// The dialects may differ in type words and in nothing else; what a real database makes of them is compared in gormstore.
func TestDialectsSayTheSame(t *testing.T) {
	pg, lite := names(t, Postgres, "postgres"), names(t, SQLite, "sqlite")
	if strings.Join(pg, " ") != strings.Join(lite, " ") {
		t.Fatalf("files differ: %v and %v", pg, lite)
	}
	for _, name := range pg {
		if a, b := normal(t, Postgres, "postgres/"+name), normal(t, SQLite, "sqlite/"+name); a != b {
			t.Errorf("%s differs between the dialects beyond its types", name)
		}
	}
}
