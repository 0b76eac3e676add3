package grafana

import (
	"context"
	"encoding/csv"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/ergon-hpc/ergon/e2e/harness"
)

// database is one database of the suite's server. Names and passwords travel in the environment, not in arguments.
type database struct{ env []string }

func open(text string) (database, error) {
	u, err := url.Parse(text)
	if err != nil {
		return database{}, err
	}
	password, _ := u.User.Password()
	return database{env: []string{
		"PATH=/usr/bin:/bin", "LC_ALL=C.UTF-8", "TZ=UTC", "PGHOST=" + u.Hostname(), "PGPORT=" + u.Port(), "PGUSER=" + u.User.Username(),
		"PGPASSWORD=" + password, "PGDATABASE=" + strings.TrimPrefix(u.Path, "/"), "PGSSLMODE=disable",
	}}, nil
}

// as is the same database for another role.
func (d database) as(user, password string) database {
	env := append([]string{}, d.env...)
	return database{env: append(env, "PGUSER="+user, "PGPASSWORD="+password)}
}

func (d database) run(ctx context.Context, args ...string) (string, error) {
	got, err := harness.Spec{Dir: "/", Env: d.env, Args: append([]string{"psql", "-qX", "-v", "ON_ERROR_STOP=1"}, args...)}.Run(ctx)
	if err != nil {
		return "", err
	}
	if got.Code != 0 {
		return "", fmt.Errorf("psql: %s", strings.TrimSpace(got.Stderr))
	}
	return got.Stdout, nil
}

// null is how a NULL comes out of query: an empty line of CSV would be lost.
const null = "NULL"

// query returns the result's lines; the first holds the columns' names.
func (d database) query(ctx context.Context, sql string) ([][]string, error) {
	out, err := d.run(ctx, "--csv", "-P", "null="+null, "-c", sql)
	if err != nil {
		return nil, err
	}
	return csv.NewReader(strings.NewReader(out)).ReadAll()
}

// prepare brings an empty database to the schema of the built server, and makes Grafana's role as the shipped file does.
func prepare(ctx context.Context, text, password string) (database, error) {
	d, err := open(text)
	if err != nil {
		return d, err
	}
	server, err := harness.Binary("ergon-server")
	if err != nil {
		return d, err
	}
	root, err := harness.Root()
	if err != nil {
		return d, err
	}
	env := []string{"PATH=/usr/bin:/bin", "ERGON_DATABASE_URL=" + text, "ERGON_AUTH_SECRET=" + strings.Repeat("a secret of a test ", 3)}
	got, err := harness.Spec{Dir: "/", Env: env, Args: []string{server, "migrate"}}.Run(ctx)
	if err != nil {
		return d, err
	}
	if got.Code != 0 {
		return d, fmt.Errorf("ergon-server migrate: %s", got.Stderr)
	}
	if _, err := d.run(ctx, "-f", filepath.Join(root, "grafana", "provisioning", "role.sql")); err != nil {
		return d, err
	}
	_, err = d.run(ctx, "-c", "ALTER ROLE ergon_grafana PASSWORD '"+password+"'")
	return d, err
}

func (d database) load(ctx context.Context, file string) error {
	dir, err := os.Getwd()
	if err != nil {
		return err
	}
	_, err = d.run(ctx, "-1", "-f", filepath.Join(dir, file))
	return err
}
