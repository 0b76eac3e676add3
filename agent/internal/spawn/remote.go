package spawn

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"sync"

	"github.com/ergon-hpc/ergon/agent/internal/outputs"
)

// Remote starts helpers through the parent: system mode.
type Remote struct {
	mu     sync.Mutex
	parent *net.UnixConn
}

// FromParent takes over the socket that RunParent left for the broker, and removes it from the environment.
// It returns nil when this process was not started by RunParent.
func FromParent() (*Remote, error) {
	file, err := inherited(BrokerFDEnv)
	if file == nil || err != nil {
		return nil, err
	}
	c, err := conn(file)
	if err != nil {
		return nil, err
	}
	return &Remote{parent: c}, nil
}

// Listener takes over the socket for users that RunParent made; nil when there is none.
func Listener() (net.Listener, error) {
	file, err := inherited(ListenFDEnv)
	if file == nil || err != nil {
		return nil, err
	}
	l, err := net.FileListener(file)
	return l, errors.Join(err, file.Close())
}

func inherited(env string) (*os.File, error) {
	text, set := os.LookupEnv(env)
	if !set {
		return nil, nil
	}
	fd, err := strconv.ParseUint(text, 10, 16)
	if err != nil || fd < helperFD {
		return nil, fmt.Errorf("%s=%q names no descriptor", env, text)
	}
	if err := os.Unsetenv(env); err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), env), nil
}

// Spawn implements upload.Spawner.
func (r *Remote) Spawn(_ context.Context, job outputs.JobFiles) (io.ReadWriteCloser, func(), error) {
	answer, file, err := r.order(order{Spawn: &job.UID})
	if err != nil {
		return nil, nil, err
	}
	if file == nil || answer.Error != "" {
		err := fmt.Errorf("starting a helper: %s", answer.Error)
		if answer.Refused {
			err = fmt.Errorf("%w: %w", outputs.ErrNotLinked, err)
		}
		return nil, nil, err
	}
	c, err := conn(file)
	if err != nil {
		return nil, nil, err
	}
	return c, func() { _, _, _ = r.order(order{Kill: answer.Token}) }, nil
}

func (r *Remote) order(o order) (report, *os.File, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := sendPacket(r.parent, o, nil); err != nil {
		return report{}, nil, fmt.Errorf("asking the parent: %w", err)
	}
	var answer report
	file, err := receivePacket(r.parent, &answer)
	if err != nil {
		return report{}, nil, fmt.Errorf("asking the parent: %w", err)
	}
	return answer, file, nil
}

// Close hangs up; the parent ends every helper and then itself.
func (r *Remote) Close() error { return r.parent.Close() }
