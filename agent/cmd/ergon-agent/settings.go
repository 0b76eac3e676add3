package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/ergon-hpc/ergon/agent/internal/cloud"
	"github.com/ergon-hpc/ergon/agent/internal/config"
	"github.com/ergon-hpc/ergon/agent/internal/session"
	"github.com/ergon-hpc/ergon/agent/internal/spawn"
	"github.com/spf13/cobra"
)

// flags are those that several commands share.
type flags struct {
	system   bool
	file     string
	stateDir string
	socket   string
	runAs    string
}

func (f *flags) add(c *cobra.Command) {
	c.Flags().BoolVar(&f.system, "system", false, "serve all users of this node (systemd service, started as root)")
	c.Flags().StringVar(&f.file, "config", "", "settings (default "+config.SystemFile+" with --system, else ~/.config/ergon/agent.yaml)")
	c.Flags().StringVar(&f.stateDir, "state-dir", "", "journal and key (default /var/lib/ergon-agent with --system, else ~/.local/state/ergon)")
	c.Flags().StringVar(&f.socket, "socket", "", "where users connect (default /run/ergon/agent.sock with --system)")
	c.Flags().StringVar(&f.runAs, "run-as", "ergon", "with --system: the account without privileges that the agent runs as")
}

// load reads the settings and lays the flags over them.
func (a *app) load(f flags) (config.Config, error) {
	path, required := f.file, f.file != ""
	if path == "" {
		var err error
		if path, err = a.defaultFile(f.system); err != nil {
			return config.Config{}, err
		}
	}
	c, err := config.Load(path, required, config.Env{System: f.system, Getenv: a.env})
	if err != nil {
		return c, err
	}
	if f.stateDir != "" {
		c.StateDir = f.stateDir
	}
	if f.socket != "" {
		c.Socket = f.socket
	}
	if c.Slurm.BinDir == "" {
		c.Slurm.BinDir = slurmBin()
	}
	return c, c.Validate()
}

func (a *app) defaultFile(system bool) (string, error) {
	if system {
		return config.SystemFile, nil
	}
	dir, err := session.Dir(a.env)
	return filepath.Join(dir, "agent.yaml"), err
}

// slurmBin is where squeue is now; an absolute path from here on.
func slurmBin() string {
	if path, err := exec.LookPath("squeue"); err == nil && filepath.IsAbs(path) {
		return filepath.Dir(path)
	}
	return "/usr/bin"
}

// logger writes JSON to stderr, where systemd and tests read it.
func logger(level string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("log_level: %w", err)
	}
	return slog.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: l})), nil
}

// whoAmI asks the name service for the account that this process runs as.
func whoAmI(ctx context.Context) (cloud.Peer, error) {
	account, err := spawn.Lookup(ctx, strconv.Itoa(os.Getuid()))
	if err != nil {
		return cloud.Peer{}, fmt.Errorf("finding out who runs the agent: %w", err)
	}
	return cloud.Peer{UID: account.UID, GID: account.GID, Name: account.Name}, nil
}

// hostName is the node's short name.
func hostName() string {
	name, err := os.Hostname()
	if err != nil || name == "" {
		return "unknown"
	}
	short, _, _ := strings.Cut(name, ".")
	return short
}
