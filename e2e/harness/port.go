package harness

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
)

// Port ranges lie below the kernel's ephemeral ports (32768 and up on Linux), so that no
// outgoing connection takes one of them.
const (
	firstPort = 20000
	portRange = 120
	ranges    = 100
)

// PortRange is a run of TCP ports that belongs to one holder on this machine.
type PortRange struct {
	Base, Size int
	lock       net.Listener
	close      func() error
}

// ReservePorts takes a free run of ports. The lock is an abstract Unix socket: the kernel
// drops it with the process, and no file is left.
func ReservePorts() (*PortRange, error) {
	for i := range ranges {
		base := firstPort + i*portRange
		lock, err := net.Listen("unix", "@ergon-e2e-ports-"+strconv.Itoa(base))
		if err != nil {
			continue // another suite holds it
		}
		if portsFree(base, portRange) {
			return &PortRange{Base: base, Size: portRange, lock: lock, close: sync.OnceValue(lock.Close)}, nil
		}
		_ = lock.Close() // a lock that was only tried
	}
	return nil, errors.New("reserving ports: every range from 20000 to 31999 is in use")
}

// Close gives the range back. It may be called again.
func (r *PortRange) Close() error { return r.close() }

func portsFree(base, size int) bool {
	for port := base; port < base+size; port++ {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			return false
		}
		_ = l.Close() // it was only a probe
	}
	return true
}
