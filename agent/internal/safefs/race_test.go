package safefs

import (
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

// racer swaps root/sub between a directory and a link to outside, and root/sub/f's meaning with it, until stop closes.
func racer(root, outside string, swaps *atomic.Int64, stop <-chan struct{}) {
	dir, link := filepath.Join(root, "sub"), filepath.Join(root, "swap")
	_ = os.Symlink(outside, link)
	for {
		select {
		case <-stop:
			return
		default:
			if unix.Renameat2(unix.AT_FDCWD, dir, unix.AT_FDCWD, link, unix.RENAME_EXCHANGE) == nil {
				swaps.Add(1)
			}
		}
	}
}

// race counts how often open read the outside file while the racer runs: until so many swaps, or the first escape.
func race(t *testing.T, limit int64, open func(root string) (string, error)) (escapes, reads int) {
	t.Helper()
	base := t.TempDir()
	root, outside := filepath.Join(base, "root"), filepath.Join(base, "outside")
	write(t, filepath.Join(root, "sub", "f"), "inside")
	write(t, filepath.Join(outside, "f"), "outside")
	stop := make(chan struct{})
	var swaps atomic.Int64
	var running sync.WaitGroup
	running.Go(func() { racer(root, outside, &swaps, stop) })
	for swaps.Load() < limit && escapes == 0 {
		text, err := open(root)
		if err != nil {
			continue
		}
		reads++
		if text == "outside" {
			escapes++
		}
	}
	close(stop)
	running.Wait()
	t.Logf("%d escapes in %d reads beside %d swaps", escapes, reads, swaps.Load())
	return escapes, reads
}

const fullSwaps = 1_000_000

// wantedSwaps is the full figure in `make test-full` only.
func wantedSwaps() int64 {
	if os.Getenv("ERGON_TEST_FULL") == "1" {
		return fullSwaps
	}
	return 20_000
}

func TestThreat_T02_NoEscapeThroughASwappedDirectory(t *testing.T) {
	escapes, reads := race(t, wantedSwaps(), func(root string) (string, error) {
		d, err := OpenDir(root, me())
		if err != nil {
			return "", err
		}
		defer func() { _ = d.Close() }()
		f, err := d.Open("sub/f")
		if err != nil {
			return "", err
		}
		defer func() { _ = f.Close() }()
		text, err := io.ReadAll(io.NewSectionReader(f, 0, f.Stat().SizeBytes))
		return string(text), err
	})
	if escapes != 0 || reads == 0 {
		t.Errorf("%d escapes in %d reads", escapes, reads)
	}
}

// The control shows that the racer works: checking a path and then opening it must be seen to escape.
func TestThreat_T02_ControlCheckThenOpenDoesEscape(t *testing.T) {
	escapes, reads := race(t, fullSwaps, func(root string) (string, error) {
		dir := filepath.Join(root, "sub")
		if st, err := os.Lstat(dir); err != nil || !st.IsDir() {
			return "", os.ErrInvalid
		}
		text, err := os.ReadFile(filepath.Join(dir, "f"))
		return string(text), err
	})
	if escapes == 0 {
		t.Errorf("the naive way never escaped in %d reads: the racer proves nothing", reads)
	}
}
