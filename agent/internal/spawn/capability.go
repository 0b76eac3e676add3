package spawn

import (
	"errors"
	"fmt"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// kept are the capabilities of the parent: to become a user, and to end a helper.
const kept = 1<<unix.CAP_SETUID | 1<<unix.CAP_SETGID | 1<<unix.CAP_KILL

// ErrCgo says that this binary was linked with cgo and cannot change capabilities on all its threads.
var ErrCgo = errors.New("the agent must be built with CGO_ENABLED=0 to drop capabilities")

// dropCapabilities empties the ambient and bounding sets but for kept, and lowers the permitted and effective sets, on
// every thread. Without the ambient step a child that became the user could still become root (facts/platform.md).
func dropCapabilities() error {
	if err := onAllThreads(unix.SYS_PRCTL, unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0); err != nil {
		return fmt.Errorf("clearing ambient capabilities: %w", err)
	}
	for c := uintptr(0); c <= unix.CAP_LAST_CAP; c++ {
		if kept&(uint64(1)<<c) != 0 {
			continue
		}
		// EINVAL: the kernel does not know this capability. EPERM: it is not ours to drop, so not ours to use.
		err := onAllThreads(unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, c, 0)
		if err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.EPERM) {
			return fmt.Errorf("dropping capability %d: %w", c, err)
		}
	}
	return setCapabilities(kept)
}

// setCapabilities sets permitted and effective, and clears inheritable (capset(2), version 3).
func setCapabilities(mask uint64) error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	data := [2]unix.CapUserData{
		{Effective: uint32(mask), Permitted: uint32(mask)},
		{Effective: uint32(mask >> 32), Permitted: uint32(mask >> 32)},
	}
	//nolint:gosec // capset(2) takes pointers
	err := onAllThreads(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&data[0])), 0)
	runtime.KeepAlive(&data)
	if err != nil {
		return fmt.Errorf("lowering capabilities: %w", err)
	}
	return nil
}

func onAllThreads(trap, a1, a2, a3 uintptr) error {
	_, _, errno := syscall.AllThreadsSyscall6(trap, a1, a2, a3, 0, 0, 0)
	switch errno {
	case 0:
		return nil
	case syscall.ENOTSUP:
		return ErrCgo
	default:
		return errno
	}
}
