package gormstore

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/ergon-hpc/ergon/controlplane/internal/storage"
)

// Upload finds a row of the ledger.
func (st Storage) Upload(ctx context.Context, id uuid.UUID) (storage.Upload, error) {
	var row uploadRow
	if err := st.s.q(ctx).Take(&row, "id = ?", id.String()).Error; err != nil {
		return storage.Upload{}, mapErr(err)
	}
	return row.upload()
}

// AttachMultipart lets the first win.
func (st Storage) AttachMultipart(ctx context.Context, id uuid.UUID, storeUploadID string) (string, error) {
	var row uploadRow
	err := st.s.Tx(ctx, func(tx *gorm.DB) error {
		err := tx.Model(&uploadRow{}).Where("id = ? AND store_upload_id = '' AND status = ?", id.String(), string(storage.Reserved)).
			Updates(map[string]any{"store_upload_id": storeUploadID}).Error
		if err != nil {
			return fmt.Errorf("attaching a multipart upload: %w", err)
		}
		return tx.Take(&row, "id = ?", id.String()).Error
	})
	return row.StoreUploadID, err
}

// ExtendUpload pushes the expiry of a reservation away.
func (st Storage) ExtendUpload(ctx context.Context, id uuid.UUID, until time.Time) error {
	return st.setReserved(ctx, id, map[string]any{"url_expires_at": At(until)})
}

// ExpectChecksum writes down what a completion will give.
func (st Storage) ExpectChecksum(ctx context.Context, id uuid.UUID, checksum string) error {
	return st.setReserved(ctx, id, map[string]any{"store_checksum": checksum})
}

func (st Storage) setReserved(ctx context.Context, id uuid.UUID, values map[string]any) error {
	return st.s.Tx(ctx, func(tx *gorm.DB) error {
		return tx.Model(&uploadRow{}).Where("id = ? AND status = ?", id.String(), string(storage.Reserved)).Updates(values).Error
	})
}

// CloseUpload marks that nothing is left to do.
func (st Storage) CloseUpload(ctx context.Context, id uuid.UUID) error {
	return st.s.Tx(ctx, func(tx *gorm.DB) error {
		return tx.Model(&uploadRow{}).Where("id = ?", id.String()).Updates(map[string]any{"closed": true}).Error
	})
}

// DueUploads pages through what the sweeper has to look at.
func (st Storage) DueUploads(ctx context.Context, before time.Time, after storage.DueCursor, limit int) ([]storage.Upload, error) {
	var rows []uploadRow
	q := st.s.q(ctx).Where("closed = ? AND url_expires_at < ?", false, At(before))
	if after.ID != uuid.Nil {
		at := At(after.ExpiresAt)
		q = q.Where("(url_expires_at > ? OR url_expires_at = ? AND id > ?)", at, at, after.ID.String())
	}
	if err := q.Order("url_expires_at, id").Limit(limit).Find(&rows).Error; err != nil {
		return nil, mapErr(err)
	}
	return readRows(rows, uploadRow.upload)
}
