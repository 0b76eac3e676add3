package gormstore

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
	"github.com/ergon-hpc/ergon/controlplane/internal/storage"
)

// Settle moves the reservation over to what is used.
func (st Storage) Settle(ctx context.Context, o storage.Object, closed bool) (storage.Object, error) {
	var settled storage.Object
	err := st.s.Tx(ctx, func(tx *gorm.DB) (err error) {
		settled, err = settle(tx, o, o.SizeBytes, map[string]any{"closed": closed})
		return err
	})
	if err != nil {
		return storage.Object{}, err
	}
	return settled, nil
}

// lockBooks takes the quota of an upload's owner before the upload: Reserve and Recount take them in this order too, and two calls
// about one upload would otherwise wait for each other. SQLite has one writer at a time.
func lockBooks(tx *gorm.DB, upload string) error {
	if Dialect(tx.Name()) == SQLite {
		return nil
	}
	err := tx.Exec("SELECT 1 FROM quotas WHERE user_id = (SELECT user_id FROM uploads WHERE id = ?) FOR UPDATE", upload).Error
	if err != nil {
		return fmt.Errorf("locking the quota of a user: %w", err)
	}
	return nil
}

// lockBooksOf takes the quotas of users, before any of their uploads for the same reason.
func lockBooksOf(tx *gorm.DB, users ...string) error {
	if Dialect(tx.Name()) == SQLite {
		return nil
	}
	if err := tx.Exec("SELECT 1 FROM quotas WHERE user_id IN ? ORDER BY user_id FOR UPDATE", users).Error; err != nil {
		return fmt.Errorf("locking the quotas of users: %w", err)
	}
	return nil
}

// settle turns an upload that reserved so many bytes into o, and writes values into its row; or it gives what came of it before.
func settle(tx *gorm.DB, o storage.Object, reservedBytes int64, values map[string]any) (storage.Object, error) {
	if err := lockBooks(tx, o.ID.String()); err != nil {
		return storage.Object{}, err
	}
	values["status"], values["updated_at"] = string(storage.Stored), At(o.CreatedAt)
	done, err := endReservation(tx, o.ID, values)
	if err != nil {
		return storage.Object{}, err
	}
	if !done {
		return settledBefore(tx, o.ID)
	}
	row := objectRowOf(o)
	if err := tx.Create(&row).Error; err != nil {
		return storage.Object{}, fmt.Errorf("writing an object: %w", err)
	}
	return o, move(tx, o.UserID, row.JobID, quotaMove{reservedBytes: -reservedBytes, reservedObjects: -1, usedBytes: o.SizeBytes, usedObjects: 1})
}

// endReservation decides by one conditional UPDATE who ends a reservation.
func endReservation(tx *gorm.DB, id uuid.UUID, values map[string]any) (bool, error) {
	res := tx.Model(&uploadRow{}).Where("id = ? AND status = ?", id.String(), string(storage.Reserved)).Updates(values)
	if res.Error != nil {
		return false, fmt.Errorf("ending a reservation: %w", res.Error)
	}
	return res.RowsAffected == 1, nil
}

func settledBefore(tx *gorm.DB, id uuid.UUID) (storage.Object, error) {
	var u uploadRow
	if err := tx.Take(&u, "id = ?", id.String()).Error; err != nil {
		return storage.Object{}, err
	}
	if u.Status != string(storage.Stored) {
		return storage.Object{}, apperr.New(apperr.UploadExpired, "this upload was given up or has expired").
			WithHint("ask for a new one and send it again")
	}
	var rows []objectRow
	if err := tx.Limit(1).Find(&rows, "id = ?", id.String()).Error; err != nil {
		return storage.Object{}, err
	}
	if len(rows) == 0 {
		return storage.Object{}, apperr.New(apperr.Gone, "this file was stored and has been deleted since")
	}
	return rows[0].object()
}

// Release gives a reservation back.
func (st Storage) Release(ctx context.Context, id uuid.UUID, to storage.Status, due time.Time) (bool, error) {
	released := false
	err := st.s.Tx(ctx, func(tx *gorm.DB) error {
		err := lockBooks(tx, id.String())
		if err != nil {
			return err
		}
		released, err = endReservation(tx, id, map[string]any{"status": string(to), "url_expires_at": At(due)})
		if err != nil || !released {
			return err
		}
		var u uploadRow
		if err := tx.Take(&u, "id = ?", id.String()).Error; err != nil {
			return err
		}
		return move(tx, u.UserID, u.JobID, quotaMove{reservedBytes: -u.SizeBytes, reservedObjects: -1})
	})
	return released && err == nil, err
}

// Remove takes an object out of the books.
func (st Storage) Remove(ctx context.Context, userID string, id uuid.UUID, now time.Time) (storage.Object, error) {
	var removed storage.Object
	err := st.s.Tx(ctx, func(tx *gorm.DB) error {
		if err := lockBooks(tx, id.String()); err != nil {
			return err
		}
		var row objectRow
		if err := tx.Take(&row, "id = ? AND user_id = ?", id.String(), userID).Error; err != nil {
			return err
		}
		res := tx.Delete(&objectRow{}, "id = ?", row.ID)
		if res.Error != nil {
			return fmt.Errorf("deleting an object: %w", res.Error)
		}
		if res.RowsAffected != 1 { // another call was faster
			return gorm.ErrRecordNotFound
		}
		if err := reopen(tx, row.ID, now); err != nil {
			return err
		}
		var err error
		if removed, err = row.object(); err != nil {
			return err
		}
		return move(tx, userID, row.JobID, quotaMove{usedBytes: -row.SizeBytes, usedObjects: -1})
	})
	return removed, err
}

// reopen hands the bytes of a deleted object to the sweeper. A single PUT may be replayed while its URL lives, so its
// expiry stays; parts cannot be sent again once they were joined.
func reopen(tx *gorm.DB, id string, now time.Time) error {
	err := tx.Model(&uploadRow{}).Where("id = ?", id).Updates(map[string]any{"closed": false, "updated_at": At(now)}).Error
	if err == nil {
		err = tx.Model(&uploadRow{}).Where("id = ? AND part_count > 0", id).Updates(map[string]any{"url_expires_at": At(now)}).Error
	}
	if err != nil {
		return fmt.Errorf("handing an object to the sweeper: %w", err)
	}
	return nil
}
