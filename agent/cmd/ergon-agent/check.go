package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/ergon-hpc/ergon/agent/internal/cloud"
	"github.com/ergon-hpc/ergon/agent/internal/config"
	"github.com/ergon-hpc/ergon/agent/internal/enrol"
	"github.com/ergon-hpc/ergon/agent/internal/outbound"
	"github.com/ergon-hpc/ergon/agent/internal/slurm"
	"github.com/spf13/cobra"
)

func (a *app) checkCommand() *cobra.Command {
	var f flags
	c := &cobra.Command{
		Use: "check", Short: "Check settings, Slurm and server, and say what is wrong", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return a.check(c.Context(), f) },
	}
	f.add(c)
	return c
}

// errCheck ends a check that found something.
var errCheck = errors.New("something is wrong; see above")

func (a *app) check(ctx context.Context, f flags) error {
	c, err := a.load(f)
	if err != nil {
		return err
	}
	bad := false
	say := func(what string, err error) {
		mark := "ok   "
		if err != nil {
			mark, bad = "FAIL ", true
			what += ": " + err.Error()
		}
		fmt.Fprintln(a.out, mark+what)
	}
	say("settings", nil)
	for _, name := range []string{"squeue", "sacct", "scontrol"} {
		info, err := os.Stat(filepath.Join(c.Slurm.BinDir, name))
		if err == nil && info.Mode().Perm()&0o111 == 0 {
			err = errors.New("not executable")
		}
		say(filepath.Join(c.Slurm.BinDir, name), err)
	}
	say("slurmctld answers", a.askSlurm(ctx, c))
	id, err := enrol.Load(c.StateDir)
	say("enrolment in "+c.StateDir, err)
	if err == nil {
		say("the server takes this agent's key", a.askServer(ctx, c, id))
	}
	if bad {
		return errCheck
	}
	return nil
}

func (a *app) askSlurm(ctx context.Context, c config.Config) error {
	env := a.environ
	if c.Slurm.Conf != "" {
		env = append(append([]string{}, env...), "SLURM_CONF="+c.Slurm.Conf)
	}
	r, err := slurm.NewRunner(slurm.Options{BinDir: c.Slurm.BinDir, Env: env, Timeout: 30 * time.Second, Now: a.now, Rand: a.rand})
	if err != nil {
		return err
	}
	_, err = r.Config(ctx)
	return err
}

func (a *app) askServer(ctx context.Context, c config.Config, id enrol.Identity) error {
	log, err := logger("error")
	if err != nil {
		return err
	}
	client, err := cloud.New(cloud.Options{Identity: id, HTTP: outbound.NewClient(30 * time.Second), Audience: c.Audience, Now: a.now, Log: log})
	if err != nil {
		return err
	}
	_, err = client.Self(ctx)
	return err
}
