package helper

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ergon-hpc/ergon/agent/internal/outputs"
	"github.com/ergon-hpc/ergon/agent/internal/safefs"
)

func free(outputs.JobFiles) error { return nil }

// talk starts a helper in a goroutine for a directory with one file.
func talk(t *testing.T, confine Confine) (*Client, string, error) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "f"), []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	ours, theirs := net.Pipe()
	var done sync.WaitGroup
	done.Go(func() { _ = Serve(t.Context(), theirs, confine) })
	t.Cleanup(func() { _ = ours.Close(); done.Wait() })
	job := outputs.JobFiles{UID: uint32(os.Getuid()), Dirs: outputs.Dirs{Output: dir}}
	c, err := NewClient(t.Context(), ours, job)
	return c, dir, err
}

func TestErrorsKeepTheirNamesAcrossTheSocket(t *testing.T) {
	c, dir, err := talk(t, free)
	if err != nil {
		t.Fatal(err)
	}
	m, err := c.Collect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	e := m.Entries[0]
	if err := os.WriteFile(filepath.Join(dir, "f"), []byte("changed"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := c.HashPart(t.Context(), e, 0, 5); !errors.Is(err, safefs.ErrChanged) {
		t.Errorf("changed: got %v", err)
	}
	if err := os.Remove(filepath.Join(dir, "f")); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Hash(t.Context(), e); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("gone: got %v", err)
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, "f")); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Hash(t.Context(), e); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "symbolic link") {
		t.Errorf("a link: got %v, want it refused in the user's words", err)
	}
}

func TestAKernelThatCannotConfineEndsTheHelper(t *testing.T) {
	_, _, err := talk(t, func(outputs.JobFiles) error { return outputs.ErrUnsupported })
	if !errors.Is(err, outputs.ErrUnsupported) {
		t.Errorf("got %v, want ErrUnsupported", err)
	}
}

func TestAHelperThatHangsIsLeftWhenTheContextEnds(t *testing.T) {
	ours, theirs := net.Pipe()
	go func() { _, _ = io.Copy(io.Discard, theirs) }() // reads and never answers; ends with the pipe
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := NewClient(ctx, ours, outputs.JobFiles{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestAStrangersFirstWordsEndTheConversation(t *testing.T) {
	for name, text := range map[string]string{
		"huge length": "\xff\xff\xff\xff", "no JSON": "\x00\x00\x00\x01x", "no begin": frame(`{"verb":"collect"}`),
		"two messages in a frame": frame(`{"verb":"begin","job":{}}{}`), "cut": "\x00\x00",
	} {
		t.Run(name, func(t *testing.T) {
			conn := &script{Reader: strings.NewReader(text)}
			err := Serve(t.Context(), conn, func(outputs.JobFiles) error { t.Error("began"); return nil })
			if err == nil && name != "cut" {
				t.Error("accepted")
			}
		})
	}
}

func frame(body string) string {
	return string(binary.BigEndian.AppendUint32(nil, uint32(len(body)))) + body
}

// script is a connection that says its text and hears nothing.
type script struct{ io.Reader }

func (*script) Write(p []byte) (int, error) { return len(p), nil }
func (*script) Close() error                { return nil }

func FuzzFrames(f *testing.F) {
	f.Add([]byte(frame(`{"id":1,"verb":"begin","job":{}}`)))
	f.Add([]byte("\x00\x00\x00\x04null"))
	f.Fuzz(func(_ *testing.T, data []byte) {
		for _, v := range []any{&request{}, &response{}} {
			fr := &frames{conn: &script{Reader: bytes.NewReader(data)}}
			_ = fr.read(v)
		}
	})
}

func TestAPutNeverFollowsARedirectAndNeedsAWebURL(t *testing.T) {
	for _, url := range []string{"", "file:///etc/passwd", "ftp://x/y", "://", "http:///nohost"} {
		err := send(t.Context(), newHTTPClient(), put{URL: url}, strings.NewReader(""), 0)
		if store, ok := errors.AsType[*StoreError](err); !ok || store.Status != 0 {
			t.Errorf("%q: got %v", url, err)
		}
	}
}
