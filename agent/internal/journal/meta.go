package journal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"time"
)

const metaRebuilt = "rebuilt_at"

// Meta gives a small value that must survive restarts (watermarks, the answer of the last cluster check); "" when absent.
func (j *Journal) Meta(ctx context.Context, key string) (string, error) {
	var value string
	err := j.reads.QueryRowContext(ctx, `SELECT value FROM meta WHERE key = ?`, key).Scan(&value)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return "", fmt.Errorf("reading %s from the journal: %w", key, err)
	}
	return value, nil
}

// SetMeta stores a small value durably.
func (j *Journal) SetMeta(ctx context.Context, key, value string) error {
	return j.write(ctx, func(tx *sql.Tx) ([]boundary, error) {
		return []boundary{metaSet}, setMeta(ctx, tx, key, value)
	})
}

func setMeta(ctx context.Context, tx *sql.Tx, key, value string) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO meta (key, value) VALUES (?, ?)
		ON CONFLICT (key) DO UPDATE SET value = excluded.value`, key, value)
	if err != nil {
		return fmt.Errorf("storing %s in the journal: %w", key, err)
	}
	return nil
}

// MetaTime reads a time that SetMetaTime stored; the zero time when absent or unreadable.
func (j *Journal) MetaTime(ctx context.Context, key string) (time.Time, error) {
	text, err := j.Meta(ctx, key)
	if err != nil || text == "" {
		return time.Time{}, err
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return time.Time{}, nil //nolint:nilerr // an unreadable watermark only means looking further back
	}
	return t, nil
}

// SetMetaTime stores a time.
func (j *Journal) SetMetaTime(ctx context.Context, key string, t time.Time) error {
	return j.SetMeta(ctx, key, t.UTC().Format(time.RFC3339Nano))
}

// loadMeta reads what Open needs. Event numbers of a rebuilt journal begin at the second of the rebuilding, so that
// they do not repeat those that the lost one has used.
func (j *Journal) loadMeta(ctx context.Context) error {
	text, err := j.Meta(ctx, metaRebuilt)
	if err != nil {
		return err
	}
	j.rebuilt = text != ""
	j.seqBase, _ = strconv.ParseInt(text, 10, 64)
	return nil
}

func (j *Journal) markRebuilt(ctx context.Context) error {
	if err := j.SetMeta(ctx, metaRebuilt, strconv.FormatInt(j.opt.Now().Unix(), 10)); err != nil {
		return err
	}
	return j.loadMeta(ctx)
}
