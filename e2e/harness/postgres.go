package harness

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Postgres is a private server of Debian's build. Nothing of it reaches the disk.
type Postgres struct {
	Prefix string
	URL    string // of the database postgres, with a password: never log it
	ports  *PortRange
	dir    string // dev/postgres
}

// StartPostgres brings up a server on a Unix socket and a loopback port; about one second.
func StartPostgres(ctx context.Context) (*Postgres, error) {
	err := errors.Join(requireRoot("a PostgreSQL server"), requirePrograms("setpriv", "psql"))
	if err != nil {
		return nil, err
	}
	root, err := Root()
	if err != nil {
		return nil, err
	}
	ports, err := ReservePorts()
	if err != nil {
		return nil, err
	}
	p := &Postgres{Prefix: newPrefix("postgres"), ports: ports, dir: filepath.Join(root, "dev", "postgres")}
	for _, prefix := range orphans("postgres") {
		_, _ = p.script(ctx, "down", prefix) // what stays shows as a port in use
	}
	out, err := p.script(ctx, "up", p.Prefix, strconv.Itoa(ports.Base))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("starting PostgreSQL: %w", err), p.Close())
	}
	_, url, _ := strings.Cut(out, "'")
	p.URL, _, _ = strings.Cut(url, "'")
	return p, nil
}

func (p *Postgres) script(ctx context.Context, name string, args ...string) (string, error) {
	return hostSpec(append([]string{filepath.Join(p.dir, name)}, args...)...).must(ctx)
}

// NewDatabase makes an empty database and returns its URL. The name is an SQL identifier
// of lower-case letters, digits and underscores.
func (p *Postgres) NewDatabase(ctx context.Context, name string) (string, error) {
	spec := hostSpec("psql", "-qX", "-h", p.Prefix, "-p", strconv.Itoa(p.ports.Base), "-U", "ergon", "-d", "postgres",
		"-c", `create database "`+name+`"`)
	if _, err := spec.must(ctx); err != nil {
		return "", fmt.Errorf("creating database %s: %w", name, err)
	}
	return strings.Replace(p.URL, "/postgres?", "/"+name+"?", 1), nil
}

// Close ends the server at once and removes its files.
func (p *Postgres) Close() error {
	_, err := p.script(context.Background(), "down", p.Prefix)
	if _, stat := os.Stat(p.Prefix); err == nil && stat == nil {
		err = fmt.Errorf("ending PostgreSQL: %s is still there", p.Prefix)
	}
	return errors.Join(err, p.ports.Close())
}
