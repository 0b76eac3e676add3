package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/ergon-hpc/ergon/agent/internal/outbound"
	"github.com/ergon-hpc/ergon/agent/internal/session"
	"github.com/ergon-hpc/ergon/agent/internal/term"
	"github.com/ergon-hpc/ergon/agent/internal/transfer"
	xterm "golang.org/x/term"
)

// app is what all commands share: the outside world, by the door.
type app struct {
	In       io.Reader
	Out, Err io.Writer
	Env      func(string) string
	Now      func() time.Time

	server string // --server
	// silence is how long staging waits for a byte; 0 is stageSilence.
	silence time.Duration
}

// Exit codes of ergon; `ergon sbatch` passes sbatch's own code through instead. docs/cli.md holds the same table.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitNotLoggedIn = 3
	exitUnreachable = 4
	exitNotFound    = 5
)

// statusError ends the program with a code of its own: not found, or the code of a watched job.
type statusError struct {
	error
	code int
}

// Unwrap gives the error itself.
func (e statusError) Unwrap() error { return e.error }

// usageError marks an error of the caller's arguments.
type usageError struct{ error }

// Unwrap gives the error itself.
func (e usageError) Unwrap() error { return e.error }

// exitCode tells the code that belongs to an error.
func exitCode(err error) int {
	var usage usageError
	var problem *outbound.Problem
	var status statusError
	var store *transfer.StoreError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &status):
		return status.code
	case errors.As(err, &usage):
		return exitUsage
	case errors.Is(err, session.ErrNotLoggedIn):
		return exitNotLoggedIn
	case errors.As(err, &problem) && problem.Status == 404:
		return exitNotFound
	case errors.As(err, &problem) && problem.Temporary():
		return exitUnreachable
	case errors.Is(err, outbound.ErrUnreachable), errors.As(err, &store) && store.Temporary():
		return exitUnreachable
	}
	return exitFailed
}

// execute runs one command line and prints its error, once.
func (a *app) execute(ctx context.Context, args []string) int {
	root := a.newRoot()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err != nil {
		fmt.Fprintln(a.Err, "ergon: "+term.Clean(err.Error()))
	}
	return exitCode(err)
}

// sessions gives the manager of the user's session; every command that talks to the server gets its client from it.
func (a *app) sessions() (*session.Manager, error) {
	dir, err := session.Dir(a.Env)
	if err != nil {
		return nil, err
	}
	m := session.NewManager(dir, nil, a.Now)
	m.Token, m.Local = strings.TrimSpace(a.Env("ERGON_TOKEN")), a.unixLogin
	if text := firstOf(a.server, a.Env("ERGON_SERVER")); text != "" {
		if m.Server, err = outbound.ParseServer(text); err != nil {
			return nil, usageError{err}
		}
	}
	return m, nil
}

func firstOf(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

// isTerminal says whether a stream is one; a test's buffer is not.
func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && xterm.IsTerminal(int(f.Fd()))
}
