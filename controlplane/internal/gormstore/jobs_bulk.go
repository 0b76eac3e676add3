package gormstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"gorm.io/gorm"
)

// bulk writes many rows with few statements. gorm's own batches cost several times as much per row.
type bulk struct {
	table    string
	columns  []string
	conflict string // what follows VALUES (…)
}

func (b bulk) exec(ctx context.Context, tx *gorm.DB, rows [][]any) error {
	if len(rows) == 0 {
		return nil
	}
	var err error
	if Dialect(tx.Name()) == SQLite {
		err = b.eachRow(ctx, tx.Statement.ConnPool, rows)
	} else {
		err = b.arrays(ctx, tx.Statement.ConnPool, rows)
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", b.table, err)
	}
	return nil
}

// eachRow suits SQLite, where a call costs little and parsing a statement of a thousand rows costs more than storing them.
func (b bulk) eachRow(ctx context.Context, conn gorm.ConnPool, rows [][]any) (err error) {
	stmt, err := conn.PrepareContext(ctx, b.oneRow())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stmt.Close()) }()
	calm := context.WithoutCancel(ctx) // with a context that can end, the driver starts a goroutine for each row
	for i, r := range rows {
		if i%1000 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if _, err := stmt.ExecContext(calm, r...); err != nil {
			return err
		}
	}
	return nil
}

func (b bulk) oneRow() string {
	marks := strings.Repeat(",?", len(b.columns))[1:]
	return "INSERT INTO " + b.table + " (" + strings.Join(b.columns, ", ") + ") VALUES (" + marks + ") " + b.conflict
}

// updateAll is the conflict clause that replaces every column but the key.
func updateAll(key string, columns []string) string {
	var set []string
	for _, c := range columns {
		if !strings.Contains(" "+strings.ReplaceAll(key, ",", "")+" ", " "+c+" ") {
			set = append(set, c+" = excluded."+c)
		}
	}
	return "ON CONFLICT (" + key + ") DO UPDATE SET " + strings.Join(set, ", ")
}

// bind gives a time the form of the dialect, as Time does for gorm.
func bind(d Dialect, t *time.Time) any {
	switch {
	case t == nil:
		return nil
	case d == SQLite:
		return t.UnixMicro()
	}
	return t.UTC()
}

func bindInt(n *int64) any {
	if n == nil {
		return sql.NullInt64{}
	}
	return *n
}
