package spawn

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// order is what the broker asks of the parent. There are two orders; neither can name a program or an argument.
type order struct {
	// Spawn is the uid to start a helper for.
	Spawn *uint32 `json:"spawn,omitempty"`
	// Kill is the token of a helper to end.
	Kill uint64 `json:"kill,omitempty"`
}

// report is the parent's answer; a spawn's socket travels beside it as SCM_RIGHTS.
type report struct {
	Token uint64 `json:"token,omitempty"`
	Error string `json:"error,omitempty"`
	// Refused says that the uid is none that a helper may run for.
	Refused bool `json:"refused,omitempty"`
}

// maxPacket bounds one message; the socket keeps packets apart (SOCK_SEQPACKET).
const maxPacket = 4096

func sendPacket(c *net.UnixConn, v any, file *os.File) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	var rights []byte
	if file != nil {
		rights = unix.UnixRights(int(file.Fd()))
	}
	_, _, err = c.WriteMsgUnix(body, rights, nil)
	return err
}

// receivePacket reads one message and at most one descriptor. A closed socket is net.ErrClosed.
func receivePacket(c *net.UnixConn, v any) (*os.File, error) {
	body, rights := make([]byte, maxPacket), make([]byte, unix.CmsgSpace(4))
	n, nRights, flags, _, err := c.ReadMsgUnix(body, rights)
	if err != nil {
		return nil, err
	}
	file, err := descriptor(rights[:nRights])
	switch {
	case err != nil:
		return nil, err
	case n == 0:
		return nil, net.ErrClosed
	case flags&(unix.MSG_TRUNC|unix.MSG_CTRUNC) != 0:
		err = errors.New("a message over the limit")
	default:
		err = json.Unmarshal(body[:n], v)
	}
	if err != nil && file != nil {
		err = errors.Join(err, file.Close())
	}
	if err != nil {
		return nil, fmt.Errorf("reading a message: %w", err)
	}
	return file, nil
}

func descriptor(rights []byte) (*os.File, error) {
	if len(rights) == 0 {
		return nil, nil
	}
	messages, err := unix.ParseSocketControlMessage(rights)
	if err != nil || len(messages) != 1 {
		return nil, fmt.Errorf("reading a descriptor: %d messages: %w", len(messages), err)
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		return nil, fmt.Errorf("reading a descriptor: %d of them: %w", len(fds), err)
	}
	unix.CloseOnExec(fds[0])
	return os.NewFile(uintptr(fds[0]), "helper"), nil
}
