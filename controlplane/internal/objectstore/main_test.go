package objectstore_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"testing"

	"github.com/ergon-hpc/ergon/controlplane/internal/objectstore"
)

// The test binary is its own child, as ergon-server is, and also a parent that can be killed.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "objectstore":
			ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM)
			defer cancel()
			exit(objectstore.RunChild(ctx))
		case "parent":
			exit(parent(os.Args[2]))
		}
	}
	os.Exit(m.Run())
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// parent runs a store until its standard input closes or it is killed.
func parent(dir string) error {
	s, err := objectstore.Start(context.Background(), config(dir, slog.New(slog.DiscardHandler)))
	if err != nil {
		return err
	}
	fmt.Println(s.PID(), s.URL())
	_, _ = io.Copy(io.Discard, os.Stdin)
	return s.Close()
}

func config(dir string, log *slog.Logger) objectstore.Config {
	self, err := os.Executable()
	if err != nil {
		panic(err)
	}
	return objectstore.Config{Dir: dir, Command: []string{self, "objectstore"}, Log: log}
}
