package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/ergon-hpc/ergon/agent/internal/config"
	"github.com/ergon-hpc/ergon/agent/internal/outbound"
	"github.com/ergon-hpc/ergon/agent/internal/slurm"
	"github.com/ergon-hpc/ergon/agent/internal/socket"
	"github.com/ergon-hpc/ergon/agent/internal/submit"
	"github.com/ergon-hpc/ergon/agent/internal/term"
	"github.com/spf13/cobra"
)

func (a *app) doctorCommand() *cobra.Command {
	return &cobra.Command{
		Use: "doctor", Short: "Check everything between you and a report, and say what to do", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return a.doctor(c.Context()) },
	}
}

// finding is one line of the doctor. A warning is no failure: that part is not needed for what works.
type finding struct {
	what    string
	err     error
	warning bool
}

// errDoctor ends a visit that found something.
var errDoctor = errors.New("something is wrong; see the lines marked FAIL")

func (a *app) doctor(ctx context.Context) error {
	failed := false
	for _, check := range []func(context.Context) finding{a.checkSite, a.checkSbatch, a.checkSlurm, a.checkAgent, a.checkSession} {
		f := check(ctx)
		mark := "ok   "
		switch {
		case f.err != nil && f.warning:
			mark = "warn "
		case f.err != nil:
			mark, failed = "FAIL ", true
		}
		line := mark + f.what
		if f.err != nil {
			line += ": " + f.err.Error()
		}
		fmt.Fprintln(a.Out, term.Clean(line))
	}
	if failed {
		return errDoctor
	}
	return nil
}

func (a *app) checkSite(context.Context) finding {
	_, err := config.Load(config.SystemFile, false, config.Env{System: true, Getenv: a.Env})
	return finding{what: "the node's settings, " + config.SystemFile, err: err}
}

func (a *app) checkSbatch(context.Context) finding {
	if submit.Disabled(a.Env, exists) {
		return finding{what: "the wrapper", err: errors.New("it is switched off (ERGON_DISABLE, ~/.config/ergon/off or /etc/ergon/disabled)"), warning: true}
	}
	self, err := os.Executable()
	if err != nil {
		return finding{what: "this program", err: err}
	}
	path, err := submit.FindSbatch(a.site().Slurm.Sbatch, a.Env("PATH"), self)
	if err == nil {
		_, err = os.Stat(path)
	}
	return finding{what: "the real sbatch " + path, err: err}
}

// slurmRunner asks Slurm with the node's settings, for the few questions of the command line.
func (a *app) slurmRunner() (*slurm.Runner, error) {
	dir := a.site().Slurm.BinDir
	if dir == "" {
		path, err := exec.LookPath("scontrol")
		if err != nil {
			return nil, fmt.Errorf("scontrol is not on PATH: %w", err)
		}
		if dir, err = filepath.Abs(filepath.Dir(path)); err != nil {
			return nil, err
		}
	}
	return slurm.NewRunner(slurm.Options{BinDir: dir, Env: os.Environ(), Timeout: 30 * time.Second, Now: a.Now, Rand: rand.Reader})
}

func (a *app) clusterName(ctx context.Context) (string, error) {
	r, err := a.slurmRunner()
	if err != nil {
		return "", err
	}
	cfg, err := r.Config(ctx)
	if err != nil {
		return "", err
	}
	name, ok := cfg.Get("ClusterName")
	if !ok || name == "" {
		return "", errors.New("scontrol show config names no cluster")
	}
	return name, nil
}

func (a *app) checkSlurm(ctx context.Context) finding {
	name, err := a.clusterName(ctx)
	return finding{what: "Slurm's controller answers, cluster " + name, err: err}
}

func (a *app) checkAgent(ctx context.Context) finding {
	f := finding{what: "the agent on this node"}
	f.err = a.withAgent(ctx, func(ctx context.Context, c *socket.Client) error {
		s, err := c.Status(ctx)
		switch {
		case err != nil:
			return err
		case !s.Enrolled:
			return errors.New("it is not enrolled; run: ergon agent enrol, or ask your administrators")
		case s.Revoked:
			return errors.New("the server refuses its key; it must be enrolled again")
		case len(s.Problems) > 0:
			return errors.New(s.Problems[0])
		case s.Linked != nil && !*s.Linked:
			return errors.New("your unix account is not linked; run: ergon link")
		}
		return nil
	})
	f.warning = errors.Is(f.err, socket.ErrNoAgent) // seff and explain work without one
	return f
}

func (a *app) checkSession(ctx context.Context) finding {
	f := finding{what: "your session at the server", warning: true}
	m, err := a.sessions()
	if err != nil {
		return finding{what: f.what, err: err}
	}
	client, err := m.API(ctx)
	if err != nil {
		f.err = err
		return f
	}
	resp, err := client.GetMeWithResponse(ctx)
	if err != nil {
		return finding{what: f.what, err: outbound.Explain("the server", err)}
	}
	return finding{what: f.what, err: outbound.Check(resp.HTTPResponse, resp.ApplicationproblemJSONDefault, 200)}
}
