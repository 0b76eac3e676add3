package main

import (
	"fmt"
	"os"
	"time"

	"github.com/ergon-hpc/ergon/agent/internal/config"
	"github.com/ergon-hpc/ergon/agent/internal/submit"
	"github.com/ergon-hpc/ergon/agent/internal/term"
	"github.com/spf13/cobra"
)

// sbatch runs the wrapper and gives sbatch's exit code. It does not return when it can become sbatch. ergon-sbatch is the
// same wrapper without the rest of this program, which takes longer to load than the wrapper to run.
func (a *app) sbatch(started time.Time, args []string) int {
	c := submit.New(started, args)
	c.Stage = a.stage
	c.Full = func() submit.Site { return a.site().Site() }
	code, err := submit.Run(c)
	if err != nil {
		fmt.Fprintln(a.Err, "ergon: "+term.Clean(err.Error()))
	}
	return code
}

// inputsCommand is what ergon-sbatch calls for a script with inputs.
func (a *app) inputsCommand() *cobra.Command {
	return &cobra.Command{
		Use: submit.InputsCommand + " DIR NAME...", Short: "Bring stored files into a directory, and verify them", Hidden: true, Args: cobra.MinimumNArgs(2),
		RunE: func(c *cobra.Command, args []string) error { return a.stage(c.Context(), args[0], args[1:]) },
	}
}

// site reads the node's file. A file that is wrong must not keep anybody from submitting: the defaults count then, and
// `ergon doctor` says what is wrong.
func (a *app) site() config.Config {
	env := config.Env{System: true, Getenv: a.Env}
	path, required := config.SystemFile, false
	if own := a.Env("ERGON_SITE_CONFIG"); own != "" {
		path, required = own, true
	}
	c, err := config.Load(path, required, env)
	if err != nil {
		c, _ = config.Default(env) // cannot fail in system mode
	}
	return c
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
