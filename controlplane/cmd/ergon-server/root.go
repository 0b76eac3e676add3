package main

import (
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ergon-hpc/ergon/controlplane/internal/app"
	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
	"github.com/ergon-hpc/ergon/controlplane/internal/config"
	"github.com/ergon-hpc/ergon/shared/buildinfo"
)

// process is the world outside, so that tests can hand in another.
type process struct {
	args           []string
	environ        []string
	stdin          io.Reader
	stdout, stderr io.Writer
	executable     func() (string, error)
	configFile     string
}

// newRoot builds the command tree. A new subcommand is one more line here.
func newRoot(p process) *cobra.Command {
	root := &cobra.Command{
		Use:           "ergon-server",
		Short:         "The control plane of Ergon",
		Long:          "The control plane of Ergon: accounts, tokens, presigned transfers, quotas, reports.\n`ergon-server serve` starts with no configuration; docs/configuration.md lists every setting.",
		Version:       buildinfo.String(),
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetArgs(p.args)
	root.SetIn(p.stdin)
	root.SetOut(p.stdout)
	root.SetErr(p.stderr)
	root.PersistentFlags().StringVar(&p.configFile, "config", "", "YAML file with settings; the environment (ERGON_…) goes over it")
	root.AddCommand(newServe(&p), newMigrate(&p), newConfig(&p), newHealthcheck(&p), newAdmin(&p), newObjectStore())
	refuseUnknown(root)
	return root
}

// refuseUnknown makes a group of commands print its help when it is called alone, and fail on a command that it does not have:
// cobra would print the help and end with success, and a script would not learn that nothing was done.
func refuseUnknown(c *cobra.Command) {
	if c.HasSubCommands() && !c.Runnable() {
		c.Args = cobra.NoArgs
		c.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
	}
	for _, sub := range c.Commands() {
		refuseUnknown(sub)
	}
}

// load reads the configuration.
func (p *process) load() (config.Config, error) {
	return config.Load(config.Source{Environ: p.environ, File: p.configFile})
}

// deps are the server's doors to the world.
func (p *process) deps(cfg config.Config) (app.Deps, error) {
	exe, err := p.executable()
	if err != nil {
		return app.Deps{}, err
	}
	return app.Deps{Log: newLogger(cfg.Log, p.stderr), Now: time.Now, Rand: rand.Reader, Executable: exe}, nil
}

func newLogger(cfg config.Log, w io.Writer) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(cfg.Level)) // checked by config
	opts := &slog.HandlerOptions{Level: level, ReplaceAttr: plain}
	if cfg.Format == "text" {
		return slog.New(slog.NewTextHandler(w, opts))
	}
	return slog.New(slog.NewJSONHandler(w, opts))
}

// plain replaces control characters that JSON leaves as they are: U+009B alone begins a command to a terminal that shows the log.
func plain(_ []string, a slog.Attr) slog.Attr {
	text := a.Value.String()
	if err, ok := a.Value.Any().(error); ok {
		text = err.Error()
	} else if a.Value.Kind() != slog.KindString {
		return a
	}
	a.Value = slog.StringValue(strings.Map(func(r rune) rune {
		if r >= 0x7f && r < 0xa0 {
			return '\ufffd'
		}
		return r
	}, text))
	return a
}

// describe adds the hint of an error for the human at the terminal.
func describe(err error) string {
	if e, ok := errors.AsType[*apperr.Error](err); ok && e.Hint != "" {
		return err.Error() + "; " + e.Hint
	}
	return err.Error()
}
