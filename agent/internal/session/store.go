// Package session keeps who is logged in at the command line and gives every command a client that is authenticated.
package session

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/ergon-hpc/ergon/agent/internal/durable"
	"golang.org/x/sys/unix"
)

// ErrNotLoggedIn says that there is no session; its text tells what to do.
var ErrNotLoggedIn = errors.New("you are not logged in; run: ergon login --server https://…")

// State is the content of the session file. Both tokens are secrets.
type State struct {
	Server       string    `json:"server"`
	Username     string    `json:"username"`
	UserID       string    `json:"user_id"`
	SessionID    string    `json:"session_id"`
	AccessToken  string    `json:"access_token"`
	RefreshToken string    `json:"refresh_token"`
	ExpiresAt    time.Time `json:"expires_at"`
}

// Store is the session file, 0600 in a directory of mode 0700.
type Store struct{ dir string }

// Dir tells where a user's own configuration lies: $ERGON_CONFIG_DIR, else $XDG_CONFIG_HOME/ergon, else ~/.config/ergon.
func Dir(env func(string) string) (string, error) {
	if dir := env("ERGON_CONFIG_DIR"); filepath.IsAbs(dir) {
		return dir, nil
	}
	if dir := env("XDG_CONFIG_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "ergon"), nil
	}
	if home := env("HOME"); filepath.IsAbs(home) {
		return filepath.Join(home, ".config", "ergon"), nil
	}
	return "", errors.New("HOME is not set; set it, or ERGON_CONFIG_DIR, to an absolute path")
}

// NewStore names the directory; nothing is touched yet.
func NewStore(dir string) *Store { return &Store{dir: dir} }

func (s *Store) path() string { return filepath.Join(s.dir, "session.json") }

// Load reads the session. It returns ErrNotLoggedIn when there is none, and refuses a file that others can read.
func (s *Store) Load() (State, error) {
	info, err := os.Stat(s.path())
	if errors.Is(err, fs.ErrNotExist) {
		return State{}, ErrNotLoggedIn
	}
	if err != nil {
		return State{}, fmt.Errorf("reading the session: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return State{}, fmt.Errorf("%s can be read by others; run: chmod 600 %s, then ergon logout and ergon login", s.path(), s.path())
	}
	data, err := os.ReadFile(s.path())
	if err != nil {
		return State{}, fmt.Errorf("reading the session: %w", err)
	}
	var state State
	if err := json.Unmarshal(data, &state); err != nil || state.Server == "" {
		return State{}, fmt.Errorf("%s is damaged; run: ergon login --server https://…", s.path())
	}
	return state, nil
}

// Save replaces the session file atomically.
func (s *Store) Save(state State) error {
	if err := durable.PrivateDir(s.dir); err != nil {
		return err
	}
	data, err := json.MarshalIndent(state, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding the session: %w", err)
	}
	return durable.WriteFile(s.path(), data, 0o600)
}

// Remove forgets the session; a missing file is no error.
func (s *Store) Remove() error {
	if err := os.Remove(s.path()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing the session: %w", err)
	}
	return nil
}

// lockRetry is how often a taken lock is tried again.
const lockRetry = 20 * time.Millisecond

// WithLock runs f while no other process of this user runs one: a refresh token works once, so two commands must not
// use it at the same time. The kernel drops the lock when the process dies.
func (s *Store) WithLock(ctx context.Context, f func() error) (err error) {
	if err := durable.PrivateDir(s.dir); err != nil {
		return err
	}
	lock, err := os.OpenFile(filepath.Join(s.dir, "session.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("opening the session's lock: %w", err)
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	if err := waitFlock(ctx, lock); err != nil {
		return fmt.Errorf("waiting for another ergon command: %w", err)
	}
	return f()
}

func waitFlock(ctx context.Context, f *os.File) error {
	ticker := time.NewTicker(lockRetry)
	defer ticker.Stop()
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}
