package gormstore

import (
	"context"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/ergon-hpc/ergon/controlplane/internal/storage"
)

// Object finds a stored object.
func (st Storage) Object(ctx context.Context, id uuid.UUID) (storage.Object, error) {
	var row objectRow
	if err := st.s.q(ctx).Take(&row, "id = ?", id.String()).Error; err != nil {
		return storage.Object{}, mapErr(err)
	}
	return row.object()
}

// Objects gives a page in byte order: SQLite compares bytes, and the column has the collation "C" in PostgreSQL.
func (st Storage) Objects(ctx context.Context, q storage.Query) ([]storage.Object, error) {
	tx := st.s.q(ctx).Where("user_id = ?", q.UserID)
	if q.After != "" {
		tx = tx.Where("object_key > ?", q.After)
	}
	if q.Prefix != "" {
		tx = tx.Where("object_key >= ? AND object_key < ?", q.Prefix, prefixEnd(q.Prefix))
	}
	tx = filter(tx, q)
	var rows []objectRow
	if err := tx.Order("object_key").Limit(q.Limit).Find(&rows).Error; err != nil {
		return nil, mapErr(err)
	}
	return readRows(rows, objectRow.object)
}

func filter(tx *gorm.DB, q storage.Query) *gorm.DB {
	if q.JobID != nil {
		tx = tx.Where("job_id = ?", q.JobID.String())
	}
	if q.Class != "" {
		tx = tx.Where("class = ?", string(q.Class))
	}
	if q.Name != "" {
		tx = tx.Where("name = ?", q.Name)
	}
	if q.NamePrefix != "" { // no LIKE: % and _ are letters in names, and SQLite's would fold case
		tx = tx.Where("substr(name, 1, length(?)) = ?", q.NamePrefix, q.NamePrefix)
	}
	return tx
}

// prefixEnd is the least text greater than all that begin with prefix. Keys are ASCII, so one more is ASCII too.
func prefixEnd(prefix string) string {
	last := len(prefix) - 1
	return prefix[:last] + string(rune(prefix[last]+1))
}

// JobObjects gives the objects of one class of an attempt, oldest first.
func (st Storage) JobObjects(ctx context.Context, job storage.JobRef, class storage.Class) ([]storage.Object, error) {
	var rows []objectRow
	err := st.s.q(ctx).Where("job_id = ? AND attempt = ? AND class = ?", job.ID.String(), job.Attempt, string(class)).
		Order("created_at, id").Find(&rows).Error
	if err != nil {
		return nil, mapErr(err)
	}
	return readRows(rows, objectRow.object)
}
