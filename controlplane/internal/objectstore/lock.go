package objectstore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

const (
	lockWait = 5 * time.Second // the child of a killed parent needs a moment to die
	lockPoll = 50 * time.Millisecond
)

// lock takes the directory. The lock belongs to the open file (flock(2)), which parent and child share: it is free only when
// both are gone.
func lock(ctx context.Context, dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the store's lock: %w", err)
	}
	deadline := time.NewTimer(lockWait)
	defer deadline.Stop()
	for {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return f, nil
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), f.Close())
		case <-deadline.C:
			return nil, errors.Join(fmt.Errorf("the store in %s is in use by another ergon-server; stop that one or give this one its own ERGON_DATA_DIR: %w", dir, err), f.Close())
		case <-time.After(lockPoll):
		}
	}
}
