package enrol

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/ergon-hpc/ergon/agent/internal/durable"
	"golang.org/x/sys/unix"
)

// nextKeyFile is the key that the server may or may not know yet. It lies beside the old one until the server has answered,
// so that a rotation that is killed at any point is finished by the next.
const nextKeyFile = "agent.key.next"

// Rotation is a change of the key under way: Old is what the agent signs with until Finish, New what it signs with after.
type Rotation struct {
	Old, New Identity

	dir  string
	lock *os.File
}

// ErrNoRotation says that no rotation waits to be finished.
var ErrNoRotation = errors.New("no rotation of the key was interrupted")

// BeginRotation makes a new key on disk, or takes up the one of a rotation that was interrupted. Two at once are refused.
func BeginRotation(dir string, random io.Reader) (*Rotation, error) {
	return begin(dir, func(path string) (ed25519.PrivateKey, error) { return nextKey(path, random) })
}

// ResumeRotation takes up a rotation that was interrupted, or gives ErrNoRotation; it makes no key.
func ResumeRotation(dir string) (*Rotation, error) {
	r, err := begin(dir, readKey)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNoRotation
	}
	return r, err
}

func begin(dir string, next func(path string) (ed25519.PrivateKey, error)) (*Rotation, error) {
	lock, err := os.Open(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNotEnrolled
	}
	if err != nil {
		return nil, fmt.Errorf("locking the agent's directory: %w", err)
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("another program is changing the key in %s; try again when it has ended: %w", dir, err), lock.Close())
	}
	r := &Rotation{dir: dir, lock: lock}
	if err := r.prepare(next); err != nil {
		r.Release()
		return nil, err
	}
	return r, nil
}

func (r *Rotation) prepare(next func(path string) (ed25519.PrivateKey, error)) (err error) {
	if r.Old, err = Load(r.dir); err != nil {
		return err
	}
	r.New = r.Old
	if r.New.key, err = next(filepath.Join(r.dir, nextKeyFile)); err != nil {
		return fmt.Errorf("the next key: %w", err)
	}
	return nil
}

func nextKey(path string, random io.Reader) (ed25519.PrivateKey, error) {
	key, err := readKey(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	if _, key, err = ed25519.GenerateKey(random); err != nil {
		return nil, err
	}
	return key, writeKey(path, key)
}

// Finish puts the new key in the old one's place, for the server knows it now.
func (r *Rotation) Finish() error {
	if err := os.Rename(filepath.Join(r.dir, nextKeyFile), filepath.Join(r.dir, keyFile)); err != nil {
		return fmt.Errorf("replacing the key: %w", err)
	}
	return durable.SyncDir(r.dir)
}

// Release lets others rotate; without Finish the next rotation goes on with the same key.
func (r *Rotation) Release() { _ = r.lock.Close() }
