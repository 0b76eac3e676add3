package badinput

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ergon-hpc/ergon/e2e/harness"
	"github.com/ergon-hpc/ergon/e2e/site"
)

func TestAFullDiskWhereAFileShallGo(t *testing.T) {
	harness.Need(t, world)
	world.LogOnFailure(t)
	dir := alice.Mkdir(t)
	content := strings.Repeat("0123456789abcdef", 512<<10) // 8 MiB
	alice.Must(t, "ergon", "files", "put", alice.WriteIn(t, dir, "eight.bin", content, 0o600))
	target := filepath.Join(dir, "small")
	if err := os.Mkdir(target, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("ergon-e2e", target, "tmpfs", 0, "size=4m,mode=777"); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unix.Unmount(target, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	}()
	got := filepath.Join(target, "eight.bin")
	result := alice.Run(t, "ergon", "files", "get", "eight.bin", got)
	if result.Code == 0 || !strings.Contains(result.Stderr, "no space left on device") {
		t.Errorf("code %d, %q; want the reason", result.Code, result.Stderr)
	}
	if _, err := os.Stat(got); !os.IsNotExist(err) {
		t.Errorf("half a file stands under the whole one's name: %v", err)
	}
	if err := unix.Mount("ergon-e2e", target, "tmpfs", unix.MS_REMOUNT, "size=20m,mode=777"); err != nil {
		t.Fatal(err)
	}
	alice.Must(t, "ergon", "files", "get", "eight.bin", got)
	if sum := site.SHA256(t, got); sum != site.Sum([]byte(content)) {
		t.Error("other bytes came back after the disk had room again")
	}
	alice.Must(t, "ergon", "files", "rm", "eight.bin")
}
