package safefs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestHashIsOfTheContentAndAChangeIsSeen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	write(t, path, "hello")
	f, err := hold(t, filepath.Dir(path), me()).Open("f")
	must(t, err)
	defer func() { _ = f.Close() }()
	sum, err := f.SHA256(context.Background())
	want := sha256.Sum256([]byte("hello"))
	if err != nil || sum != hex.EncodeToString(want[:]) {
		t.Errorf("got %s %v", sum, err)
	}
	part, err := f.HashRange(context.Background(), 1, 3)
	want = sha256.Sum256([]byte("ell"))
	if err != nil || part != hex.EncodeToString(want[:]) {
		t.Errorf("part: got %s %v", part, err)
	}
	write(t, path, "hallo")
	if _, err := f.SHA256(context.Background()); !errors.Is(err, ErrChanged) {
		t.Errorf("after a rewrite: got %v, want ErrChanged", err)
	}
}

func TestATruncatedFileIsChangedAndNotShort(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	write(t, path, "hello")
	f, err := hold(t, filepath.Dir(path), me()).Open("f")
	must(t, err)
	defer func() { _ = f.Close() }()
	must(t, os.Truncate(path, 2))
	if _, err := f.HashRange(context.Background(), 0, 5); !errors.Is(err, ErrChanged) {
		t.Errorf("got %v, want ErrChanged", err)
	}
}

func TestMtimeSetBackIsStillSeen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	write(t, path, "hello")
	f, err := hold(t, filepath.Dir(path), me()).Open("f")
	must(t, err)
	defer func() { _ = f.Close() }()
	write(t, path, "hallo")
	must(t, os.Chtimes(path, f.Stat().Modified, f.Stat().Modified))
	if err := f.Unchanged(); !errors.Is(err, ErrChanged) {
		t.Errorf("got %v, want ErrChanged", err)
	}
}
