package spawn

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"

	"golang.org/x/sys/unix"
)

// helperFD is where a helper finds its socket: the first of ExtraFiles.
const helperFD = 3

// HelperArg is the argument that makes the agent's binary a helper.
const HelperArg = "helper"

// pair is a connected socket pair, close-on-exec.
func pair(kind int) (ours, theirs *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, kind|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	return os.NewFile(uintptr(fds[0]), "ours"), os.NewFile(uintptr(fds[1]), "theirs"), nil
}

// conn makes a connection of a socket file and closes the file.
func conn(f *os.File) (*net.UnixConn, error) {
	c, err := net.FileConn(f)
	err = errors.Join(err, f.Close())
	if err != nil {
		return nil, fmt.Errorf("using a socket: %w", err)
	}
	unixConn, ok := c.(*net.UnixConn)
	if !ok {
		return nil, errors.Join(errors.New("using a socket: not a unix socket"), c.Close())
	}
	return unixConn, nil
}

// command is a helper process that is about to start, with a clean environment and theirs as its socket.
func command(exe string, theirs *os.File) *exec.Cmd {
	cmd := exec.Command(exe, HelperArg) //nolint:noctx // our own binary; it ends with its socket or by kill
	cmd.Args[0] = "ergon-agent"
	cmd.Dir = "/"
	cmd.Env = environment()
	cmd.ExtraFiles = []*os.File{theirs}
	cmd.Stderr = os.Stderr
	return cmd
}

// environment is what a helper gets: nothing of the caller but where CA certificates are.
func environment() []string {
	env := []string{"PATH=/usr/bin:/bin", "LANG=C.UTF-8", "GOMEMLIMIT=256MiB", "GOMAXPROCS=2"}
	for _, name := range []string{"SSL_CERT_FILE", "SSL_CERT_DIR"} {
		if value, set := os.LookupEnv(name); set {
			env = append(env, name+"="+value)
		}
	}
	return env
}
