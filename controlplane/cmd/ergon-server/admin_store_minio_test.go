package main

import (
	"regexp"
	"strings"
	"testing"

	"github.com/ergon-hpc/ergon/controlplane/internal/s3store"
	"github.com/ergon-hpc/ergon/controlplane/internal/s3store/miniotest"
)

// on is a command line whose configuration names a store.
func on(t *testing.T, cfg s3store.Config) cli {
	t.Helper()
	c := newCLI(t)
	c.environ = append(
		c.environ, "ERGON_STORE_URL="+cfg.URL, "ERGON_STORE_BUCKET="+cfg.Bucket, "ERGON_STORE_REGION="+cfg.Region,
		"ERGON_STORE_ACCESS_KEY="+cfg.Maintenance.AccessKey, "ERGON_STORE_SECRET_KEY="+cfg.Maintenance.SecretKey.Reveal(),
		"ERGON_STORE_PUT_ACCESS_KEY="+cfg.PutSigner.AccessKey, "ERGON_STORE_PUT_SECRET_KEY="+cfg.PutSigner.SecretKey.Reveal(),
		"ERGON_STORE_GET_ACCESS_KEY="+cfg.GetSigner.AccessKey, "ERGON_STORE_GET_SECRET_KEY="+cfg.GetSigner.SecretKey.Reveal(),
	)
	return c
}

// line finds what a table for people says of a feature: supported, in force, needed.
func line(t *testing.T, table, feature string) [3]string {
	t.Helper()
	m := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(feature) + ` {2,}(\S+) +(\S+) +(\S+) `).FindStringSubmatch(table)
	if m == nil {
		t.Fatalf("nothing is said of %q:\n%s", feature, table)
	}
	return [3]string{m[1], m[2], m[3]}
}

func TestStoreCheckPrintsItsTableAndFailsWhereASignerCanDoTooMuch(t *testing.T) {
	cfg := miniotest.Start(t).Config
	out, err := on(t, cfg).try("", "admin", "store", "check")
	if err != nil {
		t.Errorf("a MinIO with the right identities: %v", err)
	}
	for feature, want := range map[string][3]string{
		"CORS":                   {"yes", "yes", "no"}, // MinIO allows every origin
		"put signer cannot read": {"yes", "yes", "yes"},
		"SHA-256 of objects":     {"yes", "yes", "yes"},
	} {
		if got := line(t, out, feature); got != want {
			t.Errorf("%s: %v, want %v", feature, got, want)
		}
	}
	cfg.PutSigner = cfg.Maintenance
	out, err = on(t, cfg).try("", "admin", "store", "check")
	if err == nil || !strings.Contains(err.Error(), "put signer cannot read") || !strings.Contains(err.Error(), "put signer cannot list") {
		t.Errorf("a put signer that is maintenance: %v", err)
	}
	for feature, inForce := range map[string]string{
		"put signer cannot read": "no", "put signer cannot list": "no", "get signer cannot list": "yes",
		"presigned PUT refuses an unsigned copy source": "no", // what MinIO does for a signer that can read
	} {
		if got := line(t, out, feature); got[1] != inForce {
			t.Errorf("%s: %v, want %s", feature, got, inForce)
		}
	}
}
