package spawn

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"

	"github.com/ergon-hpc/ergon/agent/internal/socket/server"
)

// listen makes the socket for users: 0666 in a directory that only root can change (0755). A socket that a dead agent
// left behind is replaced; one that is still answered after some seconds is not (server.Vacate).
func listen(ctx context.Context, path string) (*os.File, error) {
	if path == "" {
		return nil, nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // users must reach the socket
		return nil, fmt.Errorf("making the directory of the socket: %w", err)
	}
	if err := server.Vacate(ctx, path); err != nil {
		return nil, err
	}
	old := syscall.Umask(0o111)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	syscall.Umask(old)
	if err != nil {
		return nil, fmt.Errorf("listening on %s: %w", path, err)
	}
	l.SetUnlinkOnClose(false)
	file, err := l.File()
	return file, errors.Join(err, l.Close())
}
