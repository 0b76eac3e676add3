package app

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/sys/unix"
)

// leastFree is how much room the data directory must have: what SQLite's WAL grows by until it begins anew (4 MiB) and
// the database after it. With less, any write may be the one that fails.
const leastFree = 8 << 20

// lookEvery is how often the room is looked at: a disk fills within a minute or so.
const lookEvery = 5 * time.Second

// disk watches the room of the data directory.
type disk struct {
	path string
	log  *slog.Logger
	free func(path string) (uint64, error) // bytes that this process may still write
}

// watchDisk makes a full disk a matter of readiness, and says in the log once when it fills and once when it has room again.
func (b *builder) watchDisk() {
	d := disk{path: b.dir.Path, log: b.deps.Log, free: freeBytes}
	b.check("data_directory", func(context.Context) error { return d.room() })
	b.run("watching the disk", func(ctx context.Context) error {
		tick := time.NewTicker(lookEvery)
		defer tick.Stop()
		d.watch(ctx, tick.C)
		return nil
	})
}

func freeBytes(path string) (uint64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return 0, fmt.Errorf("measuring the disk of the data directory: %w", err)
	}
	return st.Bavail * uint64(st.Bsize), nil
}

// room is nil while there is some.
func (d disk) room() error {
	free, err := d.free(d.path)
	if err != nil {
		return err
	}
	if free < leastFree {
		return fmt.Errorf("the disk of the data directory %s is full: %d KiB are free, %d are needed", d.path, free>>10, leastFree>>10)
	}
	return nil
}

// watch looks at every tick until ctx ends.
func (d disk) watch(ctx context.Context, ticks <-chan time.Time) {
	full := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticks:
		}
		err := d.room()
		switch {
		case err != nil && !full:
			d.log.ErrorContext(ctx, "what would have to be stored there (logins, uploads, reports of agents) is refused until space is freed or the file system is enlarged; "+
				"nothing that was confirmed is lost, agents keep what they have to tell, and no restart is needed", "error", err)
		case err == nil && full:
			d.log.InfoContext(ctx, "the disk of the data directory has room again")
		}
		full = err != nil
	}
}
