package socket

import (
	"context"
	"errors"
	"net"
	"net/http"
	"path/filepath"
	"testing"
	"time"
)

// A person may think between two questions for longer than an answer may take.
func TestEachQuestionIsBoundedByItself(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "agent.sock")
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", path)
	if err != nil {
		t.Fatal(err)
	}
	hang, done := make(chan struct{}), make(chan struct{})
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut {
			<-hang
		}
		_, _ = w.Write([]byte("{}"))
	})}
	go func() { _ = server.Serve(l); close(done) }()
	t.Cleanup(func() { close(hang); _ = server.Close(); <-done })

	c, err := FindNode(t.Context(), func(string) string { return path })
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.Each = time.Second
	if _, err := c.Objection(t.Context()); err != nil {
		t.Fatal(err)
	}
	time.Sleep(c.Each + 100*time.Millisecond) // thinks
	if _, err := c.Objection(t.Context()); err != nil {
		t.Errorf("after a while: %v", err)
	}
	if _, err := c.Object(t.Context()); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("an agent that hangs: %v", err)
	}
}
