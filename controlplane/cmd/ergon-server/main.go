// Command ergon-server is the control plane: `ergon-server serve` needs no configuration.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/ergon-hpc/ergon/controlplane/internal/protect"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, stop)
	os.Exit(code)
}

func run(ctx context.Context, stop func()) int {
	defer stop()
	if err := protect.Process(); err != nil {
		fmt.Fprintln(os.Stderr, "ergon-server:", err)
		return 1
	}
	root := newRoot(process{
		args: os.Args[1:], environ: os.Environ(), stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, executable: os.Executable,
	})
	if err := root.ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "ergon-server:", describe(err))
		return 1
	}
	return 0
}
