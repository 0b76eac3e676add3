package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/vbauerster/mpb/v8"
	"golang.org/x/sys/unix"
)

// runWatched runs a command whose standard error is a terminal, and gives what somebody saw there. Bars that never end would
// hold it up for ever.
func (d *desk) runWatched(args ...string) (code int, seen string) {
	d.t.Helper()
	master, slave := pty(d.t)
	if err := unix.IoctlSetWinsize(int(slave.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 50, Col: 120}); err != nil {
		d.t.Fatal(err)
	}
	screen := make(chan string)
	go func() {
		text, _ := io.ReadAll(master) // ends with EIO when nobody has the terminal any more
		screen <- string(text)
	}()
	ended := make(chan int)
	go func() {
		a := &app{In: strings.NewReader(""), Out: &d.out, Err: slave, Env: func(name string) string { return d.env[name] }, Now: func() time.Time { return now }}
		ended <- a.execute(d.t.Context(), args)
	}()
	select {
	case code = <-ended:
	case <-time.After(time.Minute):
		d.t.Fatal("the bars never end")
	}
	if err := slave.Close(); err != nil {
		d.t.Fatal(err)
	}
	return code, <-screen
}

var escapes = regexp.MustCompile("\x1b\\[[0-9;?]*[A-Za-z]")

// lastOf is the last line on a screen that holds a text, without its colours.
func lastOf(screen, text string) (line string) {
	for l := range strings.Lines(escapes.ReplaceAllString(screen, "")) {
		if strings.Contains(l, text) {
			line = l
		}
	}
	return line
}

func TestBarsOfAFewFilesEndFull(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	s := d.login()
	for i, content := range []string{"content", "", strings.Repeat("x", 100_000)} {
		s.hold(fmt.Sprintf("dir/file-%d", i), content, nil)
	}
	bad := s.hold("dir/damaged", "what was stored", nil)
	s.data[bad.Id.String()] = []byte("what is there..")
	dir := t.TempDir()
	code, screen := d.runWatched("files", "get", "--class", "output", dir)
	if code != exitFailed || !strings.Contains(screen, "3 of 4 files") || !strings.Contains(screen, "not those that were stored") {
		t.Errorf("exit code %d, the screen shows\n%s", code, screen)
	}
	for _, name := range []string{"file-0", "file-1", "file-2"} {
		if line := lastOf(screen, name); !strings.Contains(line, "100 %") && name != "file-1" || line == "" {
			t.Errorf("the bar of %s ends as %q", name, line)
		}
		if _, err := os.Stat(filepath.Join(dir, "dir", name)); err != nil {
			t.Error(err)
		}
	}
}

func TestOfManyFilesOneBarCountsAllAlsoThoseThatFail(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	s := d.login()
	const many = fewBars + 4
	for i := range many {
		f := s.hold(fmt.Sprintf("dir/file-%02d", i), strings.Repeat("x", i%3*50_000), nil)
		if i == 5 {
			s.data[f.Id.String()] = []byte("something else")
		}
	}
	code, screen := d.runWatched("files", "get", "--class", "output", t.TempDir())
	if code != exitFailed || !strings.Contains(screen, fmt.Sprintf("%d of %d files", many-1, many)) {
		t.Errorf("exit code %d, the screen shows\n%s", code, screen)
	}
	if line := lastOf(screen, fmt.Sprintf(" / %d files", many)); !strings.Contains(line, fmt.Sprintf("%d / %d files", many, many)) {
		t.Errorf("the bar of all ends as %q", line)
	}
	if line := lastOf(screen, "files"); !strings.Contains(line, "files are in") {
		t.Errorf("after what was said last a bar was painted: %q", line)
	}
}

func TestBarsOfAPutEndFullAlsoAfterAFault(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	uploads := d.login().takeUploads()
	dir := t.TempDir()
	var paths []string
	for name, size := range map[string]int{"small": 7, "large": 100 << 10, "again": 50 << 10, "empty": 0} {
		paths = append(paths, filepath.Join(dir, name))
		if err := os.WriteFile(filepath.Join(dir, name), make([]byte, size), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	uploads.broken["again"] = 1
	code, screen := d.runWatched(append([]string{"files", "put"}, paths...)...)
	if code != exitOK || !strings.Contains(screen, "4 of 4 files are stored") {
		t.Errorf("exit code %d, the screen shows\n%s", code, screen)
	}
	for name, want := range map[string]string{"small": "7.0 b / 7.0 b", "large": "100.0 KiB / 100.0 KiB", "again": "50.0 KiB / 50.0 KiB"} {
		if line := lastOf(screen, name); !strings.Contains(line, want) || !strings.Contains(line, "100 %") {
			t.Errorf("the bar of %s ends as %q", name, line)
		}
	}
	if lastOf(screen, "empty") == "" {
		t.Error("an empty file has no bar")
	}
}

func TestOfAPutOfManyFilesOneBarCountsAll(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.login().takeUploads()
	const many = fewBars + 4
	code, screen := d.runWatched("files", "put", "-r", manyFiles(t, many))
	if code != exitOK || !strings.Contains(screen, fmt.Sprintf("%d of %d files are stored", many, many)) {
		t.Errorf("exit code %d, the screen shows\n%s", code, screen)
	}
	if line := lastOf(screen, fmt.Sprintf(" / %d files", many)); !strings.Contains(line, fmt.Sprintf("%d / %d files", many, many)) || !strings.Contains(line, "100 %") {
		t.Errorf("the bar of all ends as %q", line)
	}
}

// Bytes that were sent for nothing leave the bar again: it must not be done before its file is.
func TestABarThatWasFullOnceGoesBack(t *testing.T) {
	t.Parallel()
	bars := &barProgress{bars: mpb.New(mpb.WithOutput(io.Discard))}
	b := bars.Begin("x", 100).(bar)
	b.Add(100)
	b.Add(-100)
	if b.Completed() || b.Current() != 0 {
		t.Errorf("all bytes have to be sent again, and the bar stands at %d, done: %v", b.Current(), b.Completed())
	}
	b.Add(60)
	if b.Current() != 60 {
		t.Errorf("60 bytes are sent, and the bar stands at %d", b.Current())
	}
	b.Add(40)
	b.End(nil)
	bars.close()
	if !b.Completed() {
		t.Error("the file is done, and its bar is not")
	}
}
