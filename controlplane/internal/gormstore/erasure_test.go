package gormstore_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore/storetest"
)

// notExported are tables that name an account or a job, with the reason why an export leaves them out.
var notExported = map[string]string{
	"link_challenges": "good for two minutes, and only as hashes",
	"refresh_tokens":  "hashes of secrets, of the sessions that are exported",
	"erasures":        "receipts: the account that could ask is gone",
	"idempotency":     "hashes of keys and of bodies, for a day; what the calls made is exported",
	"coordinators":    "Slurm's roles by unix name, refreshed by the agent; sacctmgr shows them",
	"enrolments":      "hashes of tokens that end by themselves; the agents that came of them are exported",
	"audit_keys":      "keys of the audit log, sealed; what they open is shown to operators only",
	"invitations":     "hashes of tokens that end by themselves",
}

// A table that is added later must be in the export, or say here why not.
func TestEveryTableAboutAnAccountIsExported(t *testing.T) {
	listed := gormstore.ExportedTables()
	storetest.Each(t, func(t *testing.T, s *gormstore.Store) {
		query := columnsSQLite
		if s.Dialect() == gormstore.Postgres {
			query = columnsPostgres
		}
		seen := map[string]bool{}
		for _, column := range columns(t, s, query) {
			name, _, _ := strings.Cut(column, " ")
			table, field, _ := strings.Cut(name, ".")
			seen[table] = true
			if slices.Contains(storetest.Personal, field) && !slices.Contains(listed, table) && notExported[table] == "" {
				t.Errorf("%s has the column %s, and no export reads it", table, field)
			}
		}
		for _, table := range append(slices.Collect(maps.Keys(notExported)), listed...) {
			if !seen[table] {
				t.Errorf("%s is no table", table)
			}
		}
	})
}
