package spawn

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/ergon-hpc/ergon/agent/internal/outputs"
)

// Self starts helpers as the user that runs this process: user mode.
type Self struct {
	// Exe is the agent's binary; "" means /proc/self/exe.
	Exe string
}

// Spawn implements upload.Spawner. It returns outputs.ErrNotLinked for any uid but its own.
func (s Self) Spawn(_ context.Context, job outputs.JobFiles) (io.ReadWriteCloser, func(), error) {
	if int(job.UID) != os.Getuid() {
		return nil, nil, fmt.Errorf("uid %d: %w", job.UID, outputs.ErrNotLinked)
	}
	exe := s.Exe
	if exe == "" {
		exe = "/proc/self/exe"
	}
	ours, theirs, err := pair(unix.SOCK_STREAM)
	if err != nil {
		return nil, nil, err
	}
	cmd := command(exe, theirs)
	if err := errors.Join(cmd.Start(), theirs.Close()); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("starting a helper: %w", err), ours.Close())
	}
	c, err := conn(ours)
	ended := make(chan struct{})
	go func() { // ends with the helper, which ends with its socket; kill waits for it
		defer close(ended)
		_ = cmd.Wait()
	}()
	var once sync.Once
	kill := func() {
		once.Do(func() {
			_ = cmd.Process.Kill()
			<-ended
		})
	}
	if err != nil {
		kill()
		return nil, nil, err
	}
	return c, kill, nil
}
