package gormstore

import (
	"context"
	"time"

	"gorm.io/gorm"

	"github.com/ergon-hpc/ergon/controlplane/internal/storage"
)

// ByKeys reads uploads with the length of their objects.
func (st Storage) ByKeys(ctx context.Context, keys []string) ([]storage.Counted, error) {
	var list []storage.Counted
	for part := range chunks(keys) {
		var rows []struct {
			Row         uploadRow `gorm:"embedded"`
			StoredBytes *int64
		}
		err := st.s.q(ctx).Table("uploads").Select("uploads.*, objects.size_bytes AS stored_bytes").
			Joins("LEFT JOIN objects ON objects.id = uploads.id").Where("uploads.object_key IN ?", part).Scan(&rows).Error
		if err != nil {
			return nil, mapErr(err)
		}
		for _, r := range rows {
			u, err := r.Row.upload()
			if err != nil {
				return nil, err
			}
			list = append(list, storage.Counted{Upload: u, Object: r.StoredBytes})
		}
	}
	return list, nil
}

// ObjectCounts counts objects by user.
func (st Storage) ObjectCounts(ctx context.Context, before time.Time) (map[string]int64, error) {
	var rows []struct {
		UserID string
		Rows   int64
	}
	err := st.s.q(ctx).Model(&objectRow{}).Select("user_id AS user_id, COUNT(*) AS rows").Where("created_at < ?", At(before)).
		Group("user_id").Scan(&rows).Error
	if err != nil {
		return nil, mapErr(err)
	}
	counts := make(map[string]int64, len(rows))
	for _, r := range rows {
		counts[r.UserID] = r.Rows
	}
	return counts, nil
}

// Outdated gives old objects of a class.
func (st Storage) Outdated(ctx context.Context, class storage.Class, before time.Time, limit int) ([]storage.Object, error) {
	var rows []objectRow
	err := st.s.q(ctx).Where("class = ? AND created_at < ?", string(class), At(before)).Order("created_at, id").Limit(limit).Find(&rows).Error
	if err != nil {
		return nil, mapErr(err)
	}
	return readRows(rows, objectRow.object)
}

// ObjectsBelow pages through a prefix.
func (st Storage) ObjectsBelow(ctx context.Context, prefix, after string, limit int) ([]storage.Object, error) {
	var rows []objectRow
	if err := below(st.s.q(ctx), prefix, after).Limit(limit).Find(&rows).Error; err != nil {
		return nil, mapErr(err)
	}
	return readRows(rows, objectRow.object)
}

// OpenBelow pages through uploads that are not closed.
func (st Storage) OpenBelow(ctx context.Context, prefix, after string, limit int) ([]storage.Upload, error) {
	var rows []uploadRow
	if err := below(st.s.q(ctx), prefix, after).Where("closed = ?", false).Limit(limit).Find(&rows).Error; err != nil {
		return nil, mapErr(err)
	}
	return readRows(rows, uploadRow.upload)
}

func below(q *gorm.DB, prefix, after string) *gorm.DB {
	return q.Where("object_key >= ? AND object_key < ? AND object_key > ?", prefix, prefixEnd(prefix), after).Order("object_key")
}
