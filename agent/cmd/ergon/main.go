// Command ergon is the command line of Ergon, and, called as sbatch, the wrapper of the real one.
package main

import (
	"context"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

func main() { os.Exit(run()) }

// run is main without os.Exit, so that deferred work happens.
func run() int {
	started := time.Now()
	a := &app{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Env: os.Getenv, Now: time.Now}
	if filepath.Base(os.Args[0]) == "sbatch" {
		return a.sbatch(started, os.Args[1:])
	}
	if len(os.Args) > 1 && os.Args[1] == "sbatch" {
		return a.sbatch(started, os.Args[2:]) // before any signal handling or flag parsing of ours
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return a.execute(ctx, os.Args[1:])
}
