package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/ergon-hpc/ergon/agent/internal/session"
	"github.com/ergon-hpc/ergon/agent/internal/socket"
	"github.com/ergon-hpc/ergon/agent/internal/term"
)

// askAgentFor bounds a question to the agent that the answer is not worth waiting for.
const askAgentFor = 2 * time.Second

// loginDevice shows the code and waits until a person has confirmed it in a browser.
func (a *app) loginDevice(ctx context.Context, m *session.Manager, server string) error {
	state, err := m.LoginDevice(ctx, server, a.deviceClient(ctx), func(p session.DevicePrompt) {
		fmt.Fprintf(a.Err, "Open   %s\nType   %s\nThe code is good for %d minutes. Waiting …\n", term.Clean(p.Page), term.Clean(p.UserCode), int(p.Life.Minutes()))
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(a.Out, "Logged in at %s as %s.\n", state.Server, term.Clean(state.Username))
	return nil
}

// deviceClient is what the page shows of this program: where it runs.
func (a *app) deviceClient(ctx context.Context) session.DeviceClient {
	var c session.DeviceClient
	c.Host, _ = os.Hostname() // the page then says that it was not said
	ctx, cancel := context.WithTimeout(ctx, askAgentFor)
	defer cancel()
	agent, err := socket.Find(ctx, a.Env)
	if err != nil {
		return c
	}
	defer agent.Close()
	if status, err := agent.Status(ctx); err == nil {
		c.Cluster = status.Cluster
	}
	return c
}

// unixLogin asks the agent of this node for a login by unix identity. A node without an agent, and a site that does not log in
// that way, is session.ErrNotLoggedIn like any other missing login.
func (a *app) unixLogin(ctx context.Context, stale string) (session.State, error) {
	agent, err := socket.Find(ctx, a.Env)
	if err != nil {
		return session.State{}, session.ErrNotLoggedIn
	}
	defer agent.Close()
	t, err := agent.Token(ctx, stale != "")
	var refused *socket.Error
	if errors.As(err, &refused) && refused.Status >= http.StatusInternalServerError {
		return session.State{}, fmt.Errorf("logging in by your unix identity: %s", term.Clean(refused.Message))
	}
	if err != nil {
		return session.State{}, session.ErrNotLoggedIn
	}
	return session.State{Server: t.Server, Username: t.Username, UserID: t.UserID.String(), AccessToken: t.AccessToken, ExpiresAt: t.ExpiresAt}, nil
}
