package server

import (
	"context"
	"errors"
	"net/http"
	"os"
	"testing"

	"github.com/ergon-hpc/ergon/agent/internal/socket"
)

func TestObjectionsAreOfWhoAsks(t *testing.T) {
	t.Parallel()
	c := find(t, serveWith(t, &backend{}, -1, objections{}))
	uid := uint32(os.Getuid())
	if o, err := c.Objection(t.Context()); err != nil || o.UID != uid || o.UnixName != "standing" {
		t.Errorf("%+v, %v", o, err)
	}
	if o, err := c.Object(t.Context()); err != nil || o.UID != uid || o.UnixName != "object" {
		t.Errorf("%+v, %v", o, err)
	}
	var shown *socket.Error
	if _, err := c.TakeBackObjection(t.Context()); !errors.As(err, &shown) || shown.Status != http.StatusConflict || shown.Message != "later" {
		t.Errorf("%v", err)
	}
}

func TestAnAgentThatTakesNoObjectionsSaysSo(t *testing.T) {
	t.Parallel()
	c := find(t, serve(t, &backend{}, -1))
	for name, call := range map[string]func(context.Context) (socket.Objection, error){"standing": c.Objection, "object": c.Object, "take back": c.TakeBackObjection} {
		var shown *socket.Error
		if _, err := call(t.Context()); !errors.As(err, &shown) || shown.Status != http.StatusForbidden {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// One user's loop around objections must not use up what the server lets the whole node ask.
func TestThreat_T26_ObjectionsAreSlowedDownAndOtherRoutesAreNot(t *testing.T) {
	t.Parallel()
	c := find(t, serveWith(t, &backend{}, -1, objections{}))
	let, slowed := 0, 0
	for range 3 * objectingBurst {
		var shown *socket.Error
		switch _, err := c.Object(t.Context()); {
		case err == nil:
			let++
		case errors.As(err, &shown) && shown.Status == http.StatusTooManyRequests:
			slowed++
		default:
			t.Fatal(err)
		}
	}
	if let < objectingBurst || slowed == 0 {
		t.Errorf("%d were let through, %d slowed down", let, slowed)
	}
	if _, err := c.Status(t.Context()); err != nil {
		t.Errorf("another route: %v", err)
	}
}
