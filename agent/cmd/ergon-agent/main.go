// Command ergon-agent is the agent: a daemon that follows Slurm jobs and brings their outputs to the control plane.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/ergon-hpc/ergon/agent/internal/spawn"
	"github.com/ergon-hpc/ergon/shared/buildinfo"
	"github.com/spf13/cobra"
)

func main() { os.Exit(run()) }

// run is main without os.Exit, so that deferred work happens.
func run() int {
	if len(os.Args) == 2 && os.Args[1] == spawn.HelperArg {
		return report(spawn.HelperMain(context.Background()))
	}
	ctx, stop := untilSignal(context.Background())
	defer stop()
	a := &app{out: os.Stdout, env: os.Getenv, environ: os.Environ(), now: time.Now, rand: rand.Reader}
	root := a.newRoot()
	err := root.ExecuteContext(ctx)
	var exit exitCode
	if errors.As(err, &exit) {
		return int(exit)
	}
	return report(err)
}

// exitCode ends the program with a code and no message: somebody else has said it.
type exitCode int

// Error is never printed.
func (e exitCode) Error() string { return fmt.Sprintf("exit %d", int(e)) }

func report(err error) int {
	if err != nil {
		fmt.Fprintln(os.Stderr, "ergon-agent: "+err.Error())
		return 1
	}
	return 0
}

// untilSignal ends the context at the first SIGTERM or SIGINT and the process at the second.
func untilSignal(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, os.Interrupt)
	go func() {
		<-signals
		cancel()
		<-signals
		fmt.Fprintln(os.Stderr, "ergon-agent: second signal, ending at once; the journal is safe")
		os.Exit(1)
	}()
	return ctx, cancel
}

// app is what the commands share: the outside world, by the door.
type app struct {
	out     io.Writer
	env     func(string) string
	environ []string
	now     func() time.Time
	rand    io.Reader
}

func (a *app) newRoot() *cobra.Command {
	root := &cobra.Command{
		Use: "ergon-agent", Short: "Follow Slurm jobs and bring their outputs to the control plane",
		Version: buildinfo.String(), SilenceUsage: true, SilenceErrors: true, Args: cobra.NoArgs,
	}
	root.SetOut(a.out)
	root.AddCommand(a.runCommand(), a.enrolCommand(), a.rotateCommand(), a.checkCommand())
	return root
}
