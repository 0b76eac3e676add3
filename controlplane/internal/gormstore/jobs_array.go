package gormstore

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgtype"
	"gorm.io/gorm"
)

// arrayRows bounds the rows of one statement, and with them its memory on both sides.
const arrayRows = 1000

var errMixed = errors.New("a column has values of different types")

// arrays suits PostgreSQL, where each statement is a round trip: every column is one array, so that the text is parsed and
// planned as that of one row, however many there are.
func (b bulk) arrays(ctx context.Context, conn gorm.ConnPool, rows [][]any) error {
	for part := range slices.Chunk(rows, arrayRows) {
		text, args, err := b.unnest(part)
		if err != nil {
			return err
		}
		if _, err := conn.ExecContext(ctx, text, args...); err != nil {
			return err
		}
	}
	return nil
}

// unnest gives the statement that inserts the rows. A column without a value in any row is the word NULL, as it has no type.
func (b bulk) unnest(rows [][]any) (text string, args []any, err error) {
	values, arrays, names := make([]string, len(b.columns)), []string{"$1::bigint[]"}, []string{"row_number"}
	args = []any{numbers(len(rows))}
	for c, name := range b.columns {
		array, kind, err := columnArray(rows, c)
		if err != nil {
			return "", nil, fmt.Errorf("%s: %w", name, err)
		}
		if values[c] = "NULL"; kind == "" {
			continue
		}
		args = append(args, array)
		values[c] = "u." + name
		arrays, names = append(arrays, "$"+strconv.Itoa(len(args))+"::"+kind+"[]"), append(names, name)
	}
	return "INSERT INTO " + b.table + " (" + strings.Join(b.columns, ", ") + ") SELECT " + strings.Join(values, ", ") +
		" FROM unnest(" + strings.Join(arrays, ", ") + ") AS u (" + strings.Join(names, ", ") + ") " + b.conflict, args, nil
}

// columnArray gives one column of the rows and the type of its values; "" when there is none.
func columnArray(rows [][]any, c int) (array any, kind string, err error) {
	for _, r := range rows {
		v, err := plainValue(r[c])
		if err != nil {
			return nil, "", err
		}
		switch v.(type) {
		case nil:
			continue
		case string:
			array, err = columnOf(rows, c, func(v string) pgtype.Text { return pgtype.Text{String: v, Valid: true} })
			return array, "text", err
		case int64:
			array, err = columnOf(rows, c, func(v int64) pgtype.Int8 { return pgtype.Int8{Int64: v, Valid: true} })
			return array, "bigint", err
		case float64:
			array, err = columnOf(rows, c, func(v float64) pgtype.Float8 { return pgtype.Float8{Float64: v, Valid: true} })
			return array, "double precision", err
		case bool:
			array, err = columnOf(rows, c, func(v bool) pgtype.Bool { return pgtype.Bool{Bool: v, Valid: true} })
			return array, "boolean", err
		case time.Time:
			array, err = columnOf(rows, c, func(v time.Time) pgtype.Timestamptz { return pgtype.Timestamptz{Time: v, Valid: true} })
			return array, "timestamptz", err
		}
		return nil, "", fmt.Errorf("%w: %T", errMixed, v)
	}
	return nil, "", nil
}

// columnOf wraps the values of a column; the zero P is NULL.
func columnOf[V, P any](rows [][]any, c int, wrap func(V) P) ([]P, error) {
	out := make([]P, len(rows))
	for i, r := range rows {
		v, err := plainValue(r[c])
		if err != nil {
			return nil, err
		}
		if v == nil {
			continue
		}
		typed, same := v.(V)
		if !same {
			return nil, fmt.Errorf("%w: %T", errMixed, v)
		}
		out[i] = wrap(typed)
	}
	return out, nil
}

// plainValue is a value as database/sql would hand it to a driver: nil, string, int64, float64, bool or a time.
func plainValue(v any) (any, error) {
	switch v := v.(type) {
	case nil, string, int64, float64, bool, time.Time:
		return v, nil
	}
	return driver.DefaultParameterConverter.ConvertValue(v)
}

// numbers counts the rows: an array that every statement has.
func numbers(n int) []int64 {
	out := make([]int64, n)
	for i := range out {
		out[i] = int64(i)
	}
	return out
}
