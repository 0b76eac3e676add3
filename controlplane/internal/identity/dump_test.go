package identity_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore"
)

// dumpText is every value of the tables of identity, as text.
func dumpText(t *testing.T, st *gormstore.Store) string {
	t.Helper()
	var b strings.Builder
	for _, table := range []string{
		"users", "sessions", "refresh_tokens", "signing_keys", "clusters", "enrolments", "agents", "assertions", "link_challenges", "links",
		"login_throttle", "invitations", "audit", "device_grants", "personal_tokens", "oidc_subjects",
	} {
		dumpTable(t, &b, st, table)
	}
	return b.String()
}

func dumpTable(t *testing.T, b *strings.Builder, st *gormstore.Store, table string) {
	t.Helper()
	rows, err := st.SQL().QueryContext(t.Context(), "SELECT * FROM "+table)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		values := make([]any, len(columns))
		for i := range values {
			values[i] = new(any)
		}
		if err := rows.Scan(values...); err != nil {
			t.Fatal(err)
		}
		for _, v := range values {
			fmt.Fprintf(b, "%v\n", *v.(*any))
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
}

func containsText(dump, secret string) bool { return secret != "" && strings.Contains(dump, secret) }
