package gormstore

import (
	"context"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
	"github.com/ergon-hpc/ergon/migrations"
)

// Migrate brings the schema to the version of this build and returns the names of what it applied.
// On PostgreSQL replicas may call it at once: a session lock makes them queue. River's own tables are not its business.
func (s *Store) Migrate(ctx context.Context) ([]string, error) {
	p, err := s.provider()
	if err != nil {
		return nil, err
	}
	results, err := p.Up(ctx)
	if err != nil {
		return nil, fmt.Errorf("applying migrations: %w", err)
	}
	applied := make([]string, 0, len(results))
	for _, r := range results {
		applied = append(applied, r.Source.Path)
	}
	return applied, nil
}

// CheckMigrated fails unless the schema is exactly that of this build, and says what to run.
func (s *Store) CheckMigrated(ctx context.Context) error {
	p, err := s.provider()
	if err != nil {
		return err
	}
	current, target, err := p.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("reading the schema version: %w", err)
	}
	if current == target {
		return nil
	}
	return apperr.Newf(apperr.Conflict, "the database has schema version %d and this build needs %d", current, target).
		WithHint("run `ergon-server migrate` of the build that shall serve")
}

func (s *Store) provider() (*goose.Provider, error) {
	dialect, files, dir := goose.DialectSQLite3, migrations.SQLite, "sqlite"
	var opts []goose.ProviderOption
	if s.dialect == Postgres {
		dialect, files, dir = goose.DialectPostgres, migrations.Postgres, "postgres"
		locker, err := lock.NewPostgresSessionLocker()
		if err != nil {
			return nil, fmt.Errorf("preparing the migration lock: %w", err)
		}
		opts = append(opts, goose.WithSessionLocker(locker))
	}
	sub, err := fs.Sub(files, dir)
	if err != nil {
		return nil, fmt.Errorf("reading embedded migrations: %w", err)
	}
	opts = append(opts, goose.WithDisableGlobalRegistry(true))
	p, err := goose.NewProvider(dialect, s.sql, sub, opts...)
	if err != nil {
		return nil, fmt.Errorf("preparing migrations: %w", err)
	}
	return p, nil
}
