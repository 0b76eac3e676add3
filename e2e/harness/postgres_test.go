package harness

import (
	"os"
	"strings"
	"testing"
)

func TestPostgresMakesDatabasesAndLeavesNothing(t *testing.T) {
	skipUnlessRoot(t)
	p, err := StartPostgres(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	url, err := p.NewDatabase(t.Context(), "first_suite")
	if err != nil {
		t.Fatal(err)
	}
	got, err := hostSpec("psql", url, "-tAX", "-c", "select current_database(), inet_server_addr()").Run(t.Context())
	if err != nil || strings.TrimSpace(got.Stdout) != "first_suite|127.0.0.1" {
		t.Errorf("psql over loopback: %+v, %v", got, err)
	}
	wrong := strings.Replace(url, "ergon:", "ergon:x", 1)
	if got, err := hostSpec("psql", wrong, "-tAX", "-c", "select 1").Run(t.Context()); err != nil || got.Code == 0 {
		t.Errorf("a wrong password is let in: %+v, %v", got, err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(p.Prefix); err == nil {
		t.Errorf("%s is still there", p.Prefix)
	}
}
