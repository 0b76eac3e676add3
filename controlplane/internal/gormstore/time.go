package gormstore

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// Time is the only type for times in rows and query arguments: microseconds since 1970 in UTC.
// PostgreSQL stores it as timestamptz, SQLite as INTEGER. (gorm's own time.Time in SQLite is zoned text,
// compared as text: expiries come out wrong, tried.) Use *Time where NULL is possible.
type Time int64

// At converts a time; what is below a microsecond is cut off.
func At(t time.Time) Time { return Time(t.UnixMicro()) }

// AtPtr converts a time that may be missing.
func AtPtr(t *time.Time) *Time {
	if t == nil {
		return nil
	}
	v := At(*t)
	return &v
}

// Time is the time in UTC.
func (t Time) Time() time.Time { return time.UnixMicro(int64(t)).UTC() }

// Ptr is the time in UTC, nil for NULL.
func (t *Time) Ptr() *time.Time {
	if t == nil {
		return nil
	}
	v := t.Time()
	return &v
}

// GormValue binds the value in the form of the dialect.
func (t Time) GormValue(_ context.Context, db *gorm.DB) clause.Expr {
	if Dialect(db.Name()) == SQLite {
		return clause.Expr{SQL: "?", Vars: []any{int64(t)}}
	}
	return clause.Expr{SQL: "?", Vars: []any{t.Time()}}
}

// Scan reads either form.
func (t *Time) Scan(src any) error {
	switch v := src.(type) {
	case int64:
		*t = Time(v)
	case time.Time:
		*t = At(v)
	default:
		return fmt.Errorf("reading a time: got %T", src)
	}
	return nil
}
