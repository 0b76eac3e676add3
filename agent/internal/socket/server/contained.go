package server

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/ergon-hpc/ergon/agent/internal/socket"
)

// ErrContained says that a process lives in a container, or that it cannot be told.
var ErrContained = errors.New("the asking process runs in a container, or in another user or process namespace")

// Outside is nil when the process of a peer lives in the same user namespace and process namespace as this one, by what every
// process may read in /proc (user_namespaces(7), pid_namespaces(7), proc_pid_status(5)). The links in /proc/PID/ns would say it
// at once, but an agent without privileges may not read them of other users. A process that cannot be looked at is refused:
// pid 0 (its namespace is not below ours), gone, hidden by the mount option hidepid, or by now of another uid.
func Outside(proc string, p socket.Peer) error {
	if p.PID <= 0 {
		return fmt.Errorf("it has no process number here: %w", ErrContained)
	}
	ours, err := os.ReadFile(proc + "/self/uid_map")
	if err != nil {
		return fmt.Errorf("reading our user namespace: %w", err)
	}
	own, err := readStatus(proc + "/self/status")
	if err != nil {
		return fmt.Errorf("reading our process namespace: %w", err)
	}
	dir := proc + "/" + strconv.Itoa(int(p.PID))
	theirs, err := os.ReadFile(dir + "/uid_map")
	if err != nil {
		return fmt.Errorf("its process cannot be looked at (is /proc mounted with hidepid?): %w", ErrContained)
	}
	their, err := readStatus(dir + "/status")
	switch {
	case err != nil:
		return fmt.Errorf("its process cannot be looked at: %w", ErrContained)
	case !bytes.Equal(ours, theirs):
		return fmt.Errorf("another user namespace: %w", ErrContained)
	case their.depth != own.depth:
		return fmt.Errorf("another process namespace: %w", ErrContained)
	case their.uid != p.UID:
		return fmt.Errorf("the process has another uid by now: %w", ErrContained)
	}
	return nil
}

// procStatus is what counts of /proc/PID/status: the effective uid, and in how many process namespaces the process has a number.
type procStatus struct {
	uid   uint32
	depth int
}

func readStatus(path string) (procStatus, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return procStatus{}, err
	}
	var s procStatus
	known := false
	for line := range strings.Lines(string(text)) {
		name, rest, _ := strings.Cut(line, ":")
		fields := strings.Fields(rest)
		switch {
		case name == "Uid" && len(fields) == 4:
			n, err := strconv.ParseUint(fields[1], 10, 32)
			if err != nil {
				return s, fmt.Errorf("reading %s: %w", path, err)
			}
			s.uid, known = uint32(n), true
		case name == "NSpid":
			s.depth = len(fields)
		}
	}
	if !known || s.depth == 0 {
		return s, fmt.Errorf("%s names no uid or no namespaces", path)
	}
	return s, nil
}
