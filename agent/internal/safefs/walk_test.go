package safefs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

func visited(t *testing.T, d *Dir, limits Limits) (good []string, refused map[string]error, err error) {
	t.Helper()
	refused = map[string]error{}
	err = d.Walk(context.Background(), limits, func(name string, _ Stat, err error) error {
		if err != nil {
			refused[name] = err
			return nil //nolint:nilerr // kept in refused
		}
		good = append(good, name)
		return nil
	})
	return good, refused, err
}

func TestWalkNamesEveryFileAndSaysWhyOthersAreRefused(t *testing.T) {
	root := t.TempDir()
	for _, name := range []string{"b", "a/x", "a/y/z", "new\nline|bar", "bad\xff"} {
		write(t, filepath.Join(root, name), name)
	}
	must(t, os.Symlink("/etc", filepath.Join(root, "a", "link")))
	must(t, unix.Mkfifo(filepath.Join(root, "fifo"), 0o600))
	good, refused, err := visited(t, hold(t, root, me()), Limits{MaxEntries: 100, MaxDepth: 10})
	must(t, err)
	if want := []string{"a/x", "a/y/z", "b", "bad\xff", "new\nline|bar"}; !slices.Equal(good, want) {
		t.Errorf("got %q, want %q", good, want)
	}
	if !errors.Is(refused["a/link"], ErrEscapes) || !errors.Is(refused["fifo"], ErrNotRegular) || len(refused) != 2 {
		t.Errorf("refused: %v", refused)
	}
}

func TestWalkEndsAtItsLimits(t *testing.T) {
	root := t.TempDir()
	for i := range 50 {
		write(t, filepath.Join(root, fmt.Sprintf("f%d", i)), "x")
	}
	if _, _, err := visited(t, hold(t, root, me()), Limits{MaxEntries: 49, MaxDepth: 1}); !errors.Is(err, ErrTooMany) {
		t.Errorf("got %v, want ErrTooMany", err)
	}
	deep := t.TempDir()
	write(t, filepath.Join(deep, "1/2/3/f"), "x")
	good, refused, err := visited(t, hold(t, deep, me()), Limits{MaxEntries: 10, MaxDepth: 2})
	must(t, err)
	if len(good) != 0 || refused["1/2/3"] == nil {
		t.Errorf("good %v, refused %v", good, refused)
	}
}

func TestWalkStopsWithItsContext(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, "f"), "x")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	err := hold(t, root, me()).Walk(ctx, Limits{MaxEntries: 10, MaxDepth: 1}, func(string, Stat, error) error { return nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
