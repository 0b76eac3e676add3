package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"

	"github.com/ergon-hpc/ergon/agent/internal/socket"
	"golang.org/x/sys/unix"
)

// Listen makes the socket of a user's own agent: 0600 in a 0700 directory. A socket that a dead agent left is replaced.
func Listen(ctx context.Context, path string) (net.Listener, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("making the socket's directory: %w", err)
	}
	if err := Vacate(ctx, path); err != nil {
		return nil, err
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("listening on %s: %w", path, err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// peerConn is a connection whose other end is known.
type peerConn struct {
	net.Conn
	peer    socket.Peer
	release func()
}

// Close gives the connection's place back, once.
func (c *peerConn) Close() error {
	c.release()
	return c.Conn.Close()
}

// fairListener learns who connects and bounds how many connections one uid may have.
type fairListener struct {
	net.Listener
	perUID, total int

	mu    sync.Mutex
	count map[uint32]int
	all   int
}

func newFairListener(l net.Listener, perUID, total int) *fairListener {
	return &fairListener{Listener: l, perUID: perUID, total: total, count: map[uint32]int{}}
}

// Accept closes connections beyond the caps at once and goes on with the next.
func (l *fairListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		peer, err := peerOf(c)
		if err != nil || !l.admit(peer.UID) {
			_ = c.Close()
			continue
		}
		var once sync.Once
		return &peerConn{Conn: c, peer: peer, release: func() { once.Do(func() { l.leave(peer.UID) }) }}, nil
	}
}

func (l *fairListener) admit(uid uint32) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.count[uid] >= l.perUID || l.all >= l.total {
		return false
	}
	l.count[uid]++
	l.all++
	return true
}

func (l *fairListener) leave(uid uint32) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all--
	if l.count[uid]--; l.count[uid] <= 0 {
		delete(l.count, uid)
	}
}

// peerOf asks the kernel who connected; it sees through user namespaces (measured, design 03).
func peerOf(c net.Conn) (socket.Peer, error) {
	u, ok := c.(*net.UnixConn)
	if !ok {
		return socket.Peer{}, errors.New("not a unix socket")
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return socket.Peer{}, err
	}
	var cred *unix.Ucred
	var inner error
	err = raw.Control(func(fd uintptr) { cred, inner = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) })
	if err = errors.Join(err, inner); err != nil {
		return socket.Peer{}, fmt.Errorf("asking who connected: %w", err)
	}
	return socket.Peer{UID: cred.Uid, GID: cred.Gid, PID: cred.Pid}, nil
}
