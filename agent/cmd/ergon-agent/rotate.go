package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/ergon-hpc/ergon/agent/internal/cloud"
	"github.com/ergon-hpc/ergon/agent/internal/config"
	"github.com/ergon-hpc/ergon/agent/internal/enrol"
	"github.com/ergon-hpc/ergon/agent/internal/outbound"
	"github.com/spf13/cobra"
)

func (a *app) rotateCommand() *cobra.Command {
	var f flags
	c := &cobra.Command{
		Use: "rotate-key", Short: "Replace this agent's key; repeat it when it was interrupted", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return a.rotate(c.Context(), f) },
	}
	f.add(c)
	return c
}

func (a *app) rotate(ctx context.Context, f flags) error {
	c, err := a.load(f)
	if err != nil {
		return err
	}
	rotation, err := enrol.BeginRotation(c.StateDir, a.rand)
	if err != nil {
		return err
	}
	defer rotation.Release()
	if f.system && os.Getuid() == 0 { // the running agent must be able to read both keys at any time
		if err := handOver(ctx, c.StateDir, f.runAs); err != nil {
			return err
		}
	}
	crash := a.crashing()
	crash("rotation.begun")
	if err := a.register(ctx, c, rotation); err != nil {
		return fmt.Errorf("the old key stays; run this command again: %w", err)
	}
	crash("rotation.taken")
	if err := rotation.Finish(); err != nil {
		return fmt.Errorf("the server has the new key; run this command again: %w", err)
	}
	_, err = fmt.Fprintf(a.out, "The key of agent %s was replaced. A running agent takes it up within a minute.\n", rotation.Old.AgentID)
	return err
}

// crashing kills this process where a crash test wants it, and does nothing in other builds.
func (a *app) crashing() func(point string) {
	if hook := crashHook(a.env); hook != nil {
		return hook
	}
	return func(string) {}
}

// register gives the new key to the server: with the old key, or, where the answer to an earlier try was lost, finds that
// the server has it already.
func (a *app) register(ctx context.Context, c config.Config, r *enrol.Rotation) error {
	log, err := logger("error")
	if err != nil {
		return err
	}
	options := cloud.Options{Identity: r.Old, HTTP: outbound.NewClient(time.Minute), Audience: c.Audience, Now: a.now, Log: log}
	return cloud.RotateKey(ctx, options, r.New)
}
