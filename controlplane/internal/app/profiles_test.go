package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/ergon-hpc/ergon/controlplane/internal/insight"
	"github.com/ergon-hpc/ergon/controlplane/internal/storage"
)

// failing is an object store that opens nothing. Other calls panic.
type failing struct {
	storage.Bytes
	err error
}

func (f failing) Open(context.Context, string) (io.ReadCloser, error) { return nil, f.err }

// A lost object is said to be gone, so that its job is analysed without it; a store that is down is tried again.
func TestALostProfileIsToldFromAStoreThatIsDown(t *testing.T) {
	for _, c := range []struct {
		err  error
		gone bool
	}{{fmt.Errorf("reading an object: %w", storage.ErrNoObject), true}, {errors.New("503"), false}} {
		s := &storage.Service{}
		s.Bytes = failing{err: c.err}
		if _, err := (storedProfiles{s}).Open(t.Context(), "k"); err == nil || errors.Is(err, insight.ErrGone) != c.gone {
			t.Errorf("%v: %v", c.err, err)
		}
	}
}
