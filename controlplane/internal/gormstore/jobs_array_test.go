package gormstore

import (
	"database/sql"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgtype"
)

func TestAStatementOfArraysIsTheSameForAnyNumberOfRows(t *testing.T) {
	t.Parallel()
	b := bulk{table: "t", columns: []string{"name", "size", "gone", "ok", "at"}, conflict: "ON CONFLICT (name) DO NOTHING"}
	at := time.Unix(1, 2000).UTC()
	rows := [][]any{{"a", sql.NullInt64{}, nil, false, nil}, {nil, 7, nil, true, at}, {"", int64(8), nil, nil, nil}}
	text, args, err := b.unnest(rows)
	if err != nil {
		t.Fatal(err)
	}
	want := "INSERT INTO t (name, size, gone, ok, at) SELECT u.name, u.size, NULL, u.ok, u.at FROM unnest($1::bigint[], $2::text[], $3::bigint[], " +
		"$4::boolean[], $5::timestamptz[]) AS u (row_number, name, size, ok, at) ON CONFLICT (name) DO NOTHING"
	if text != want {
		t.Errorf("got  %s\nwant %s", text, want)
	}
	if longer, _, err := b.unnest(append(rows, rows...)); err != nil || longer != text {
		t.Errorf("more rows change the statement: %v, %s", err, longer)
	}
	names, sizes := args[1].([]pgtype.Text), args[2].([]pgtype.Int8)
	if !names[0].Valid || names[1].Valid || !names[2].Valid || sizes[0].Valid || sizes[1].Int64 != 7 || sizes[2].Int64 != 8 {
		t.Errorf("a value or a NULL is lost: %v, %v", names, sizes)
	}
	if times := args[4].([]pgtype.Timestamptz); times[0].Valid || !times[1].Time.Equal(at) {
		t.Errorf("times are %v", times)
	}
}

func TestAColumnOfDifferentTypesIsRefusedByName(t *testing.T) {
	t.Parallel()
	b := bulk{table: "t", columns: []string{"ok", "odd"}}
	for _, rows := range [][][]any{{{true, "a"}, {true, 1}}, {{true, []byte("x")}}} {
		_, _, err := b.unnest(rows)
		if !errors.Is(err, errMixed) || !strings.Contains(err.Error(), "odd") {
			t.Errorf("got %v", err)
		}
	}
}
