package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// The socket can outlive its agent for a moment: an agent that was killed may have been between fork and exec of a
// command of Slurm (that child is in a process group of its own and holds all descriptors until its exec), and its broker
// closes the socket only when it hears of its parent's death. An agent that is alive is still there afterwards.
const (
	vacatePatience = 5 * time.Second
	vacateRetry    = 20 * time.Millisecond
)

// Vacate removes the socket that a dead agent left at path, so that a new one can be made there. It waits up to 5 s, or
// as long as ctx lets it, for one that is still answered, and then says that another agent listens. Only a path that
// refuses connections is removed: one that is full, or that we may not reach, may be of a living agent.
func Vacate(ctx context.Context, path string) error {
	ctx, cancel := context.WithTimeout(ctx, vacatePatience)
	defer cancel()
	for {
		taken, err := answered(ctx, path)
		if err != nil {
			return err
		}
		if !taken {
			break
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("another agent listens on %s: stop it first", path)
		case <-time.After(vacateRetry):
		}
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("replacing the old socket: %w", err)
	}
	return nil
}

// answered tells whether somebody has the socket open to listen (connect(2): ECONNREFUSED is nobody, EAGAIN a full queue).
func answered(ctx context.Context, path string) (bool, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "unix", path)
	switch {
	case err == nil:
		return true, c.Close()
	case errors.Is(err, unix.ECONNREFUSED), errors.Is(err, fs.ErrNotExist):
		return false, nil
	case errors.Is(err, unix.EAGAIN), ctx.Err() != nil, errors.Is(err, context.DeadlineExceeded): // which the dialer may see before ctx does
		return true, nil //nolint:nilerr // that is the answer: somebody has it open, or may have
	default:
		return false, fmt.Errorf("asking whether an agent listens: %w", err)
	}
}
