package gormstore

import (
	"context"
	"database/sql"
	"errors"

	"gorm.io/gorm"
)

// snapshot gives fn a store that sees one state of the database throughout, and may only be read from. Tx of SQLite takes the
// writer's lock at once, so this begins by hand.
func (s *Store) snapshot(ctx context.Context, fn func(*Store) error) error {
	at := func(tx *gorm.DB) error {
		view := *s
		view.db = tx
		return fn(&view)
	}
	if s.dialect == Postgres {
		return mapErr(s.q(ctx).Transaction(at, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}))
	}
	return mapErr(s.q(ctx).Connection(func(tx *gorm.DB) error {
		if err := tx.Exec("BEGIN DEFERRED").Error; err != nil {
			return err
		}
		err := at(tx)
		return errors.Join(err, tx.WithContext(context.WithoutCancel(ctx)).Exec("ROLLBACK").Error)
	}))
}
