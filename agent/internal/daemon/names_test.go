package daemon

import (
	"context"
	"errors"
	"testing"
	"time"
)

func TestNamesAndFailuresAreRememberedForAWhile(t *testing.T) {
	t.Parallel()
	now, asked := time.Unix(1, 0), 0
	var fault error
	n := newNames(func(context.Context, uint32) (string, error) { asked++; return "alice", fault }, func() time.Time { return now })
	ask := func(wantName string, wantErr error, wantAsked int) {
		t.Helper()
		if name, err := n.of(t.Context(), 7); name != wantName || !errors.Is(err, wantErr) || asked != wantAsked {
			t.Fatalf("got %q, %v after %d questions; want %q, %v after %d", name, err, asked, wantName, wantErr, wantAsked)
		}
	}
	fault = errors.New("unreachable")
	ask("", fault, 1)
	ask("", fault, 1)
	now = now.Add(failureLife)
	fault = nil
	ask("alice", nil, 2)
	now = now.Add(nameLife)
	fault = errors.New("unreachable again")
	ask("alice", fault, 3)
	if name, fresh := n.remembered(7); name != "alice" || !fresh {
		t.Fatalf("got %q, %v: a name that was heard once is still the best there is", name, fresh)
	}
	if name, fresh := n.remembered(8); name != "" || fresh {
		t.Fatalf("got %q, %v of a uid that nobody asked for", name, fresh)
	}
}

func TestAnAskerWhoGoesAwayLeavesNoFailure(t *testing.T) {
	t.Parallel()
	n := newNames(func(ctx context.Context, _ uint32) (string, error) { return "", ctx.Err() }, time.Now)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := n.of(ctx, 7); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	if _, fresh := n.remembered(7); fresh {
		t.Fatal("his going is remembered as the name service's answer")
	}
}
