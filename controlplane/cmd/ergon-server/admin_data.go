package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ergon-hpc/ergon/controlplane/internal/app"
	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
	"github.com/ergon-hpc/ergon/controlplane/internal/config"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore"
	"github.com/ergon-hpc/ergon/controlplane/internal/principal"
)

// adminData are the commands that work on the data alone, with or without a server beside them.
func adminData(p *process) []*cobra.Command {
	return []*cobra.Command{newAdminImport(p), newAdminUsage(p), newAdminReanalyse(p), newAdminTariffs(p)}
}

// dataDirFlag adds --data-dir, which stands for ERGON_DATA_DIR.
func dataDirFlag(cmd *cobra.Command, dir *string) {
	cmd.Flags().StringVar(dir, "data-dir", "", "the data `directory` (default: ERGON_DATA_DIR, else as ergon-server serve finds it)")
}

// withBase opens the database of the data directory, or the configured one, for fn. A server may run beside it: SQLite lets
// both write in turns.
func withBase(ctx context.Context, p *process, dir string, fn func(context.Context, *app.Base, app.Deps) error) error {
	environ := p.environ
	if dir != "" {
		environ = append(append([]string{}, environ...), "ERGON_DATA_DIR="+dir)
	}
	cfg, err := config.Load(config.Source{Environ: environ, File: p.configFile})
	if err != nil {
		return err
	}
	deps, err := p.deps(cfg)
	if err != nil {
		return err
	}
	base, err := app.OpenBaseShared(ctx, cfg, deps)
	if err != nil {
		return err
	}
	if deps.Now, err = base.DatabaseClock(ctx, deps.Now); err != nil {
		return errors.Join(err, base.Close())
	}
	return errors.Join(fn(principal.With(ctx, operator(os.Getuid(), environ)), base, deps), base.Close())
}

// operator is who runs the command, for the audit log: the uid in clear, as of links, and the name sealed. Under sudo the
// kernel says root, and sudo says who asked.
func operator(uid int, environ []string) principal.Principal {
	p := principal.Principal{Kind: principal.AdminCLI, ID: "uid:" + strconv.Itoa(uid), Private: map[string]string{}}
	if u, err := user.LookupId(strconv.Itoa(uid)); err == nil {
		p.Private["os_user"] = u.Username
	}
	for _, e := range environ {
		if name, ok := strings.CutPrefix(e, "SUDO_USER="); ok && uid == 0 {
			p.Private["sudo_user"] = clean(name[:min(len(name), maxSudoUser)])
		}
	}
	return p
}

// maxSudoUser bounds what the environment says, in bytes.
const maxSudoUser = 64

// zone reads --timezone; empty is the zone of this machine, which is the one sacct printed times in here.
func zone(name string) (*time.Location, error) {
	if name == "" {
		return time.Local, nil
	}
	loc, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("--timezone: %q is no time zone such as Europe/Berlin or UTC", name)
	}
	return loc, nil
}

// clusterExists says so when a cluster that was named does not exist; "" names none.
func clusterExists(ctx context.Context, rows *gormstore.Jobs, name string) error {
	if name == "" {
		return nil
	}
	_, _, err := rows.ClusterByName(ctx, name, false)
	if apperr.Is(err, apperr.NotFound) {
		return apperr.Newf(apperr.NotFound, "there is no cluster %q", name).WithHint("`ergon-server admin usage --by cluster` lists those that have jobs")
	}
	return err
}
