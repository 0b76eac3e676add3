package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/ergon-hpc/ergon/controlplane/internal/app"
	"github.com/ergon-hpc/ergon/controlplane/internal/config"
)

func newServe(p *process) *cobra.Command {
	return &cobra.Command{
		Use:   "serve",
		Short: "Serve the API; with no configuration: SQLite and an object store of its own in the data directory",
		Long: "Serve the API. With no configuration everything is in the data directory: $STATE_DIRECTORY (systemd),\n" +
			"else $XDG_STATE_HOME/ergon, else ./ergon-data.\nThe first signal stops gracefully, a second one at once.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return serve(cmd.Context(), p) },
	}
}

func serve(ctx context.Context, p *process) error {
	cfg, err := p.load()
	if err != nil {
		return err
	}
	deps, err := p.deps(cfg)
	if err != nil {
		return err
	}
	deps.Notify = notifier(p.environ)
	collectSooner(p.environ)
	a, err := app.New(ctx, cfg, deps)
	if err != nil {
		return err
	}
	announce(p.stdout, a, cfg)
	defer forceOnSecondSignal(ctx, a)()
	return errors.Join(a.Run(ctx), a.Close())
}

// garbagePercent is GOGC of the server: the contract and the tables that are made at the start leave tens of MiB of
// garbage, which at Go's 100 would stay resident; the server waits for databases more than it computes.
const garbagePercent = 50

// collectSooner bounds the memory of the process, unless who starts it set GOGC.
func collectSooner(environ []string) {
	if !slices.ContainsFunc(environ, func(v string) bool { return strings.HasPrefix(v, "GOGC=") }) {
		debug.SetGCPercent(garbagePercent)
	}
}

// announce tells the human where to go on.
func announce(w io.Writer, a *app.App, cfg config.Config) {
	fmt.Fprintf(w, "ergon-server listens on %s\n", a.URL())
	if addr := a.MetricsAddr(); addr != "" {
		fmt.Fprintf(w, "metrics are on http://%s/metrics\n", addr)
	}
	if dir := a.DataDir(); dir != "" {
		fmt.Fprintf(w, "data directory: %s\n", dir)
	}
	fmt.Fprintf(w, "first account:  ergon-server admin user create NAME --role admin   (asks for the password on standard input)\n")
	fmt.Fprintf(w, "registration:   %s\n", registration(cfg))
}

func registration(cfg config.Config) string {
	switch mode := app.Registration(cfg); mode {
	case "open":
		return "open: anybody who reaches this address may make an account (role user)"
	case "invite":
		return "by invitation: ergon-server admin user invite"
	default:
		return "closed: accounts are made with ergon-server admin user create (ERGON_AUTH_REGISTRATION changes it)"
	}
}

// forceOnSecondSignal waits for the signal after the one that ended ctx. The third one has its default effect.
func forceOnSecondSignal(ctx context.Context, a *app.App) func() {
	signals := make(chan os.Signal, 1)
	done := make(chan struct{})
	go func() {
		select {
		case <-ctx.Done():
		case <-done:
			return
		}
		signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
		defer signal.Stop(signals)
		select {
		case <-signals:
			a.Force()
		case <-done:
		}
	}()
	return func() { close(done) }
}

// notifier speaks sd_notify(3) when systemd listens; nil otherwise.
func notifier(environ []string) func(string) {
	for _, pair := range environ {
		path, ok := strings.CutPrefix(pair, "NOTIFY_SOCKET=")
		if !ok || path == "" {
			continue
		}
		addr := &net.UnixAddr{Net: "unixgram", Name: path} // net turns a leading @ into the abstract form
		return func(state string) {
			conn, err := net.DialUnix("unixgram", nil, addr)
			if err != nil {
				return // systemd went away: nobody is left to tell
			}
			defer conn.Close()
			_, _ = conn.Write([]byte(state))
		}
	}
	return nil
}
