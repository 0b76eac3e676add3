package gormstore

import (
	"context"
	"time"
)

// TakeWindow takes n of what a bucket may have in a window, all or none, by one statement.
func (s *Store) TakeWindow(ctx context.Context, bucket string, began time.Time, n, limit int64) (bool, error) {
	if n > limit {
		return false, nil
	}
	q := s.q(ctx).Exec(`INSERT INTO rate_windows (bucket, began_at, taken) VALUES (?, ?, ?)
		ON CONFLICT (bucket, began_at) DO UPDATE SET taken = rate_windows.taken + excluded.taken WHERE rate_windows.taken + excluded.taken <= ?`,
		bucket, At(began), n, limit)
	return q.RowsAffected == 1, mapErr(q.Error)
}
