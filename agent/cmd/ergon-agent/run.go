package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"runtime/debug"
	"strconv"

	"github.com/coreos/go-systemd/v22/activation"
	systemd "github.com/coreos/go-systemd/v22/daemon"
	"github.com/ergon-hpc/ergon/agent/internal/config"
	"github.com/ergon-hpc/ergon/agent/internal/daemon"
	"github.com/ergon-hpc/ergon/agent/internal/outputs"
	"github.com/ergon-hpc/ergon/agent/internal/spawn"
	"github.com/ergon-hpc/ergon/agent/internal/upload"
	"github.com/ergon-hpc/ergon/shared/buildinfo"
	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
)

func (a *app) runCommand() *cobra.Command {
	var f flags
	c := &cobra.Command{
		Use: "run", Short: "Run the agent in the foreground, as yourself or with --system for all users", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return a.run(c.Context(), f) },
	}
	f.add(c)
	return c
}

// run decides which process this is: the privileged parent, its broker, or a user's own agent.
func (a *app) run(ctx context.Context, f flags) error {
	remote, err := spawn.FromParent()
	if err != nil {
		return err
	}
	if f.system && remote == nil && os.Getuid() == 0 {
		return a.parent(ctx, f)
	}
	c, err := a.load(f)
	if err != nil {
		return err
	}
	log, err := logger(c.LogLevel)
	if err != nil {
		return err
	}
	if err := protect(); err != nil {
		return err
	}
	h := hands{worker: a.worker(f.system, remote, c, log)}
	if remote != nil {
		h.helpers = remote
		defer func() { _ = remote.Close() }()
	}
	return a.serve(ctx, f.system, c, h, log)
}

// parent keeps the three capabilities that helpers need, reads no settings, and starts the rest without privileges.
func (a *app) parent(ctx context.Context, f flags) error {
	defaults, err := config.Default(config.Env{System: true, Getenv: a.env})
	if err != nil {
		return err
	}
	log, err := logger("info")
	if err != nil {
		return err
	}
	state, sock := orDefault(f.stateDir, defaults.StateDir), orDefault(f.socket, defaults.Socket)
	args := []string{"run", "--system", "--state-dir", state, "--socket", sock, "--run-as", f.runAs}
	if f.file != "" {
		args = append(args, "--config", f.file)
	}
	cfg := spawn.ParentConfig{Broker: f.runAs, Args: args, StateDir: state, Socket: sock, Log: log}
	if os.Getenv("LISTEN_FDS") != "" {
		cfg.Socket = ""
	}
	// The broker gets the signals from us and ends; our own context must not end before it has.
	code, err := spawn.RunParent(context.WithoutCancel(ctx), cfg)
	if err == nil && code != 0 {
		err = exitCode(code)
	}
	return err
}

func orDefault(value, otherwise string) string {
	if value != "" {
		return value
	}
	return otherwise
}

// protect keeps others from reading keys and tokens: no ptrace, no /proc/PID/mem, no core, and files of our own only.
func protect() error {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("closing the process to others: %w", err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("switching core files off: %w", err)
	}
	unix.Umask(0o077)
	return nil
}

// hands are what acts as users: for their files, and for questions to Slurm. nil cannot.
type hands struct {
	worker  outputs.Worker
	helpers daemon.Helpers
}

// worker is nil where nothing can be collected: in system mode without the privileged parent.
func (a *app) worker(system bool, remote *spawn.Remote, c config.Config, log *slog.Logger) outputs.Worker {
	switch {
	case remote != nil:
		return upload.New(remote, upload.Settings{})
	case system:
		if on := c.Uploads.Enabled; on != nil && *on {
			log.Warn("uploads are switched on, but the agent was not started as root, so it cannot act for users; nothing is collected")
		}
		return nil
	}
	return upload.New(spawn.Self{}, upload.Settings{})
}

// gcPercent has the collector run twice as often as usual: a login node's memory belongs to its users, and one answer of
// squeue may name all jobs of a site.
const gcPercent = 50

func (a *app) serve(ctx context.Context, system bool, c config.Config, h hands, log *slog.Logger) error {
	debug.SetGCPercent(gcPercent)
	self, err := whoAmI(ctx)
	if err != nil {
		return err
	}
	listener, err := inherited()
	if err != nil {
		return err
	}
	interval, err := systemd.SdWatchdogEnabled(false)
	if err != nil {
		return fmt.Errorf("reading the watchdog's interval: %w", err)
	}
	return daemon.Run(ctx, daemon.Options{
		Helpers: h.helpers, Config: c, System: system, Self: self, Version: buildinfo.String(), Environ: a.environ, Listener: listener, Worker: h.worker,
		Name: spawn.Name, Place: place, Crash: crashHook(a.env), Ages: crashAges(a.env), Watchdog: interval, Log: log, Now: a.now,
		Notify: func(state string) {
			if _, err := systemd.SdNotify(false, state); err != nil {
				log.Warn("telling the service manager", "state", state, "error", err)
			}
		},
	})
}

// inherited takes the socket from the parent, or from systemd's socket activation; nil when there is none.
func inherited() (net.Listener, error) {
	l, err := spawn.Listener()
	if l != nil || err != nil {
		return l, err
	}
	listeners, err := activation.Listeners()
	if err != nil {
		return nil, fmt.Errorf("taking over systemd's socket: %w", err)
	}
	if len(listeners) > 1 {
		return nil, errors.New("systemd handed over several sockets; the unit must name one")
	}
	if len(listeners) == 1 {
		return listeners[0], nil
	}
	return nil, nil
}

// place asks the name service where a user's files are.
func place(ctx context.Context, uid uint32) (daemon.Place, error) {
	account, err := spawn.Lookup(ctx, strconv.FormatUint(uint64(uid), 10))
	return daemon.Place{Home: account.Home, GID: account.GID}, err
}
