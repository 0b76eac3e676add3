// Package migrations carries the schema of the control plane, once per SQL dialect.
// Both dialects have the same tables and columns; a test says so. They are applied by goose.
package migrations

import "embed"

// Postgres holds the migrations for PostgreSQL below postgres/.
//
//go:embed postgres/*.sql
var Postgres embed.FS

// SQLite holds the migrations for SQLite below sqlite/.
//
//go:embed sqlite/*.sql
var SQLite embed.FS
