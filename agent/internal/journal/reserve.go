package journal

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

func (j *Journal) reservePath() string { return filepath.Join(j.opt.Dir, "reserve") }

// restoreReserve makes sure that the reserve file is there in its full size, written and not sparse.
func (j *Journal) restoreReserve() (err error) {
	if j.opt.ReserveBytes < 0 {
		return nil
	}
	if info, err := os.Stat(j.reservePath()); err == nil && info.Size() == j.opt.ReserveBytes {
		return nil
	}
	f, err := os.OpenFile(j.reservePath(), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("making the reserve file: %w", err)
	}
	defer func() {
		if err = errors.Join(err, f.Close()); err != nil {
			err = errors.Join(err, os.Remove(j.reservePath()))
		}
	}()
	chunk := make([]byte, 64<<10)
	for left := j.opt.ReserveBytes; left > 0; left -= int64(len(chunk)) {
		if left < int64(len(chunk)) {
			chunk = chunk[:left]
		}
		if _, err := f.Write(chunk); err != nil {
			return fmt.Errorf("filling the reserve file: %w", err)
		}
	}
	return f.Sync()
}

// noteFull frees the reserve when the disk is full, so that what is under way can be finished. It tells whether a
// second try of the same write makes sense.
func (j *Journal) noteFull(err error) (retry bool) {
	if !isDiskFull(err) {
		return false
	}
	j.full.Store(true)
	return os.Remove(j.reservePath()) == nil
}

// Ready returns ErrDiskFull while the disk is full. It tries to get the reserve back, and is meant to be called now
// and then (readiness, each polling cycle).
func (j *Journal) Ready() error {
	if !j.full.Load() {
		return nil
	}
	if err := j.restoreReserve(); err != nil {
		return ErrDiskFull
	}
	j.full.Store(false)
	return nil
}
