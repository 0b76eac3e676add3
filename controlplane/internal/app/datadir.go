package app

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Dir is the data directory: mode 0700, held by one server at a time.
type Dir struct {
	Path string // absolute
	lock *os.File
}

const keyBytes = 48

// OpenDir makes the directory when needed and takes it for this process. The lock goes with the process, however it ends.
func OpenDir(path string) (*Dir, error) {
	d, err := OpenDirShared(path)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(d.File("lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the lock of the data directory: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("another ergon-server uses the data directory %s: stop it, or give this one its own ERGON_DATA_DIR", d.Path)
		}
		return nil, fmt.Errorf("locking the data directory: %w", err)
	}
	d.lock = f
	return d, nil
}

// OpenDirShared opens the directory without the lock: for admin commands beside a running server.
func OpenDirShared(path string) (*Dir, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("finding the data directory: %w", err)
	}
	if err := os.MkdirAll(abs, 0o700); err != nil {
		return nil, fmt.Errorf("making the data directory: %w", err)
	}
	info, err := os.Stat(abs)
	if err != nil {
		return nil, fmt.Errorf("looking at the data directory: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("the data directory %s is open to others (mode %04o): chmod 700 it", abs, info.Mode().Perm())
	}
	return &Dir{Path: abs}, nil
}

// Close gives the directory free.
func (d *Dir) Close() error {
	if d.lock == nil {
		return nil
	}
	return d.lock.Close()
}

// Key reads a key file, or makes one of 48 random bytes with mode 0600. The file appears whole or not at all, and of two
// processes that make it at once both get the same.
func (d *Dir) Key(name string, rand io.Reader) ([]byte, error) {
	path := d.File(name)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := makeKey(path, rand); err != nil {
			return nil, err
		}
		text, err = os.ReadFile(path)
	}
	if err != nil {
		return nil, fmt.Errorf("reading a key of the data directory: %w", err)
	}
	key, err := base64.StdEncoding.DecodeString(string(text))
	if err != nil || len(key) < keyBytes {
		return nil, fmt.Errorf("the key file %s is damaged: restore it from a backup; without it nobody stays logged in and signing keys are lost", path)
	}
	return key, nil
}

func makeKey(path string, rand io.Reader) error {
	key := make([]byte, keyBytes)
	if _, err := io.ReadFull(rand, key); err != nil {
		return fmt.Errorf("drawing a key: %w", err)
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".key-*") // mode 0600
	if err != nil {
		return fmt.Errorf("making a key file: %w", err)
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.WriteString(base64.StdEncoding.EncodeToString(key))
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return fmt.Errorf("writing a key file: %w", err)
	}
	if err := os.Link(tmp.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("placing a key file: %w", err)
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("opening a directory: %w", err)
	}
	defer f.Close()
	if err := f.Sync(); err != nil {
		return fmt.Errorf("syncing a directory: %w", err)
	}
	return nil
}
