package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ergon-hpc/ergon/controlplane/internal/app"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore"
	"github.com/ergon-hpc/ergon/controlplane/internal/jobs/dump"
)

// Beside a server an import takes small steps with pauses between: SQLite has one writer, and whoever waits for it looks
// again every 100 ms and gives up after 10 s.
const (
	besideRows  = 2000
	besidePause = 120 * time.Millisecond
)

// polite makes the import give way to a server that runs on the same data directory, and says so.
func polite(opt dump.Options, base *app.Base, stderr io.Writer) dump.Options {
	if base.Store.Dialect() != gormstore.SQLite || base.Dir == nil || !serverRuns(base.Dir) {
		return opt
	}
	fmt.Fprintln(stderr, "a server runs on this data directory: importing beside it in small steps; it is faster with the server stopped")
	opt.ChunkRows, opt.Pause = besideRows, besidePause
	return opt
}

// serverRuns says whether a process holds the lock of the data directory.
func serverRuns(dir *app.Dir) bool {
	f, err := os.Open(dir.File("lock"))
	if err != nil {
		return false
	}
	defer f.Close()
	return errors.Is(unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB), unix.EWOULDBLOCK)
}
