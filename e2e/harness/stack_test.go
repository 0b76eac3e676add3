package harness

import (
	"context"
	"errors"
	"os"
	"slices"
	"testing"
)

func TestStackClosesInReverseOrderAndReportsEveryFailure(t *testing.T) {
	var order []int
	first, second := errors.New("first"), errors.New("second")
	s := &Stack{}
	s.Defer(func() error { order = append(order, 1); return first })
	s.Defer(func() error { order = append(order, 2); return nil })
	s.Defer(func() error { order = append(order, 3); return second })
	err := s.Close()
	if !errors.Is(err, first) || !errors.Is(err, second) {
		t.Errorf("Close() = %v, want both failures", err)
	}
	if want := []int{3, 2, 1}; !slices.Equal(order, want) {
		t.Errorf("order %v, want %v", order, want)
	}
	if err := s.Close(); err != nil {
		t.Errorf("a second Close() = %v, want nothing to do", err)
	}
}

func TestRunReportsTheStatusOfTheSuite(t *testing.T) {
	t.Cleanup(func() { os.Unsetenv(missingVar) })
	broken := errors.New("broken")
	tests := map[string]struct {
		setup    func(context.Context, *Stack) error
		tests    int
		want     int
		wantTest bool
	}{
		"passing tests pass":              {func(context.Context, *Stack) error { return nil }, 0, 0, true},
		"failing tests fail":              {func(context.Context, *Stack) error { return nil }, 1, 1, true},
		"a failed set-up runs no test":    {func(context.Context, *Stack) error { return broken }, 0, 1, false},
		"a lack of the machine lets skip": {func(context.Context, *Stack) error { return &Missing{"x", "y"} }, 0, 0, true},
		"a failed tear-down fails the suite": {func(_ context.Context, s *Stack) error {
			s.Defer(func() error { return broken })
			return nil
		}, 0, 1, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			ran := false
			got := run(func() int { ran = true; return test.tests }, test.setup)
			if got != test.want || ran != test.wantTest {
				t.Errorf("run = %d, tests ran %v; want %d, %v", got, ran, test.want, test.wantTest)
			}
		})
	}
}
