package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/ergon-hpc/ergon/agent/internal/enrol"
	"github.com/ergon-hpc/ergon/agent/internal/outbound"
	"github.com/ergon-hpc/ergon/agent/internal/spawn"
	"github.com/ergon-hpc/ergon/shared/buildinfo"
	"github.com/spf13/cobra"
)

type enrolFlags struct {
	flags
	server    string
	tokenFile string
	name      string
}

func (a *app) enrolCommand() *cobra.Command {
	var f enrolFlags
	c := &cobra.Command{
		Use: "enrol --server URL", Short: "Register this node's agent with a one-time token (read from --token-file or standard input)", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return a.enrol(c.Context(), f, c.InOrStdin()) },
	}
	f.add(c)
	c.Flags().StringVar(&f.server, "server", "", "address of the control plane")
	c.Flags().StringVar(&f.tokenFile, "token-file", "-", "file with the token, - for standard input (a token on the command line could be read by everybody)")
	c.Flags().StringVar(&f.name, "name", hostName(), "name of this node in the control plane")
	return c
}

func (a *app) enrol(ctx context.Context, f enrolFlags, in io.Reader) error {
	c, err := a.load(f.flags)
	if err != nil {
		return err
	}
	token, err := readToken(f.tokenFile, in)
	if err != nil {
		return err
	}
	e := enrol.Request{Server: f.server, Token: token, Name: f.name, UID: -1, Version: buildinfo.String(), Rand: a.rand, HTTP: outbound.NewClient(time.Minute)}
	if !f.system {
		self, err := whoAmI(ctx)
		if err != nil {
			return err
		}
		e.UID, e.User = int64(self.UID), self.Name
	}
	id, err := enrol.Register(ctx, c.StateDir, e)
	if err != nil {
		return err
	}
	if f.system && os.Getuid() == 0 {
		if err := handOver(ctx, c.StateDir, f.runAs); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(a.out, "Enrolled at %s as %s agent %s of cluster %s. A running agent takes it up within seconds.\n", id.Server, id.Kind, id.AgentID, id.Cluster)
	return err
}

// maxToken bounds a token file, in bytes.
const maxToken = 4096

func readToken(path string, in io.Reader) (string, error) {
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return "", fmt.Errorf("reading the token: %w", err)
		}
		defer f.Close()
		in = f
	}
	data, err := io.ReadAll(io.LimitReader(in, maxToken))
	if err != nil {
		return "", fmt.Errorf("reading the token: %w", err)
	}
	token := strings.TrimSpace(string(data))
	if token == "" {
		return "", errors.New("the token is empty; an administrator makes one with POST /agents/enrolments")
	}
	return token, nil
}

// handOver gives what root has written to the account that the agent runs as.
func handOver(ctx context.Context, dir, account string) error {
	owner, err := spawn.Lookup(ctx, account)
	if err != nil {
		return fmt.Errorf("the agent's account %q: %w", account, err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	paths := []string{dir}
	for _, e := range entries {
		paths = append(paths, filepath.Join(dir, e.Name()))
	}
	for _, p := range paths {
		if err := os.Lchown(p, int(owner.UID), int(owner.GID)); err != nil {
			return fmt.Errorf("giving %s to %s: %w", p, account, err)
		}
	}
	return nil
}
