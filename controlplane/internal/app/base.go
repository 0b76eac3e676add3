package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/ergon-hpc/ergon/controlplane/internal/audit"
	"github.com/ergon-hpc/ergon/controlplane/internal/config"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore"
	"github.com/ergon-hpc/ergon/controlplane/internal/jobs"
)

// Base is the database and the secret, without a server: the admin commands work on it too.
type Base struct {
	Store  *gormstore.Store
	Dir    *Dir // nil when nothing is kept locally
	Secret []byte
	Audit  *audit.Log // this process's chain; NewIdentity begins it

	// Intake is what the site leaves out of accounting.
	Intake     jobs.Intake
	clusterDir string // what the site says of its clusters
}

// Close releases it.
func (b *Base) Close() error {
	err := b.Store.Close()
	if b.Dir != nil {
		err = errors.Join(err, b.Dir.Close())
	}
	return err
}

// OpenBase opens the data directory for this process alone, reads or makes the secret, opens the database and brings its
// schema up to date (or checks it, when ERGON_DATABASE_AUTO_MIGRATE is false).
func OpenBase(ctx context.Context, cfg config.Config, deps Deps) (*Base, error) {
	return openBase(ctx, cfg, deps, OpenDir)
}

// OpenBaseShared is OpenBase beside a server that runs on the same data directory.
func OpenBaseShared(ctx context.Context, cfg config.Config, deps Deps) (*Base, error) {
	return openBase(ctx, cfg, deps, OpenDirShared)
}

func openBase(ctx context.Context, cfg config.Config, deps Deps, open func(string) (*Dir, error)) (_ *Base, err error) {
	b := &Base{Secret: []byte(cfg.Auth.Secret.Reveal()), clusterDir: cfg.Insight.ClusterDir, Intake: intake(cfg.Ingest)}
	if needsDir(cfg) {
		if b.Dir, err = open(cfg.DataDir); err != nil {
			return nil, err
		}
	}
	defer func() {
		if err != nil && b.Dir != nil {
			err = errors.Join(err, b.Dir.Close())
		}
	}()
	if len(b.Secret) == 0 {
		if b.Secret, err = b.Dir.Key("auth.key", deps.Rand); err != nil {
			return nil, err
		}
	}
	if b.Store, err = gormstore.Open(ctx, storeConfig(cfg, deps, b.Dir)); err != nil {
		return nil, fmt.Errorf("opening the database: %w", err)
	}
	if err := migrate(ctx, cfg, deps, b.Store); err != nil {
		return nil, errors.Join(err, b.Store.Close())
	}
	return b, nil
}

// needsDir: with PostgreSQL, an external store and a configured secret a replica keeps nothing.
func needsDir(cfg config.Config) bool {
	return cfg.Database.URL == "" || cfg.Store.URL == "" || cfg.Auth.Secret == ""
}

func storeConfig(cfg config.Config, deps Deps, dir *Dir) gormstore.Config {
	c := gormstore.Config{
		URL: cfg.Database.URL.Reveal(), Synchronous: cfg.Database.Synchronous, MaxConns: cfg.Database.MaxConns, Log: deps.Log,
	}
	if c.URL == "" {
		c.Path = dir.File("ergon.db")
	}
	return c
}

func migrate(ctx context.Context, cfg config.Config, deps Deps, store *gormstore.Store) error {
	if !cfg.Database.AutoMigrate {
		return store.CheckMigrated(ctx)
	}
	applied, err := store.Migrate(ctx)
	if len(applied) > 0 {
		deps.Log.InfoContext(ctx, "database schema brought up to date", "applied", strings.Join(applied, " "))
	}
	return err
}

// File is the path of a file of the directory.
func (d *Dir) File(name string) string { return filepath.Join(d.Path, name) }

// Sub makes a sub-directory of mode 0700.
func (d *Dir) Sub(name string) (string, error) {
	path := d.File(name)
	if err := os.MkdirAll(path, 0o700); err != nil {
		return "", fmt.Errorf("making a directory below the data directory: %w", err)
	}
	return path, nil
}
