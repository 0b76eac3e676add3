package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// manyFiles makes a directory of files to put.
func manyFiles(t *testing.T, n int) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("f%02d", i)), fmt.Append(nil, i), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// More than the default, so that a command that forgets its flag never has them together. That there are never more is shown
// in package transfer.
func TestParallelIsHowManyFilesAreOnTheirWayAtOnce(t *testing.T) {
	t.Parallel()
	const files, parallel = 14, 7
	d := newDesk(t)
	s := d.login()
	s.takeUploads()
	for i := range files {
		s.hold(fmt.Sprintf("out/%02d", i), fmt.Sprint(i), nil)
	}
	for _, command := range [][]string{{"files", "put", "-r", manyFiles(t, files)}, {"files", "get", "--force", "--class", "output", t.TempDir()}} {
		for _, n := range []int{parallel, 1} {
			s.crowd = newCrowd(t, n)
			d.want(exitOK, append(command, "--parallel", fmt.Sprint(n)), fmt.Sprintf("%d of %d files are ", files, files))
			if most := s.crowd.seen(); most != n {
				t.Errorf("%v --parallel %d: %d requests were on their way at once", command[:2], n, most)
			}
		}
	}
	for _, n := range []string{"0", "33", "-1"} {
		d.want(exitUsage, []string{"files", "get", "--parallel", n, "--class", "output", t.TempDir()}, "--parallel must be 1 to 32")
	}
}
