package harness

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"
)

// Stack is what one test binary has started. Close ends it in reverse order.
// It is used by one goroutine at a time.
type Stack struct {
	closers []func() error
}

// Defer adds an action to the end of the suite, run before those added earlier.
func (s *Stack) Defer(end func() error) { s.closers = append(s.closers, end) }

// Close ends everything, also when some of it fails, and returns all failures.
func (s *Stack) Close() error {
	slices.Reverse(s.closers)
	var errs []error
	for _, end := range s.closers {
		errs = append(errs, end())
	}
	s.closers = nil
	return errors.Join(errs...)
}

// StartSlurm starts a cluster that ends with the stack.
func (s *Stack) StartSlurm(ctx context.Context, opts SlurmOptions) (*Slurm, error) {
	cluster, err := StartSlurm(ctx, opts)
	if err != nil {
		return nil, err
	}
	s.Defer(cluster.Close)
	return cluster, nil
}

// StartPostgres starts a PostgreSQL that ends with the stack.
func (s *Stack) StartPostgres(ctx context.Context) (*Postgres, error) {
	server, err := StartPostgres(ctx)
	if err != nil {
		return nil, err
	}
	s.Defer(server.Close)
	return server, nil
}

// StartNetPair makes two joined namespaces that end with the stack.
func (s *Stack) StartNetPair(ctx context.Context) (*NetPair, error) {
	pair, err := StartNetPair(ctx)
	if err != nil {
		return nil, err
	}
	s.Defer(pair.Close)
	return pair, nil
}

// Main is the body of a suite's TestMain: set up, run, tear down. It returns the exit
// status. A failed set-up or tear-down fails the suite. A suite whose set-up returns a
// *Missing is run with nothing started, so that its tests can Skip with that reason.
func Main(m *testing.M, setup func(context.Context, *Stack) error) int {
	return run(m.Run, setup)
}

func run(tests func() int, setup func(context.Context, *Stack) error) (code int) {
	stack := &Stack{}
	defer func() {
		if err := stack.Close(); err != nil {
			fmt.Fprintf(os.Stderr, "harness: tearing down: %v\n", err)
			code = max(code, 1)
		}
	}()
	err := setup(context.Background(), stack)
	var missing *Missing
	switch {
	case errors.As(err, &missing):
		fmt.Fprintf(os.Stderr, "harness: skipping: %v\n", err)
		if err := os.Setenv(missingVar, err.Error()); err != nil {
			return 1
		}
	case err != nil:
		fmt.Fprintf(os.Stderr, "harness: setting up: %v\n", err)
		return 1
	}
	return tests()
}
