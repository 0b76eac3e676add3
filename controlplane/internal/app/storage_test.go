package app

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
	"github.com/ergon-hpc/ergon/controlplane/internal/config"
	"github.com/ergon-hpc/ergon/controlplane/internal/objectstore"
	"github.com/ergon-hpc/ergon/controlplane/internal/s3store"
	"github.com/ergon-hpc/ergon/controlplane/internal/s3store/miniotest"
)

// externalEmbedded is the embedded store, used as if it were somebody else's.
func externalEmbedded(t *testing.T) s3store.Config {
	t.Helper()
	server, err := objectstore.Start(context.Background(), objectstore.Config{
		Dir: t.TempDir(), Command: []string{testDeps().Executable, "objectstore"}, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	cfg, err := reach(server, config.Store{})
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func storeEnviron(c s3store.Config) []string {
	return []string{
		"ERGON_STORE_URL=" + c.URL, "ERGON_STORE_BUCKET=" + c.Bucket,
		"ERGON_STORE_ACCESS_KEY=" + c.Maintenance.AccessKey, "ERGON_STORE_SECRET_KEY=" + c.Maintenance.SecretKey.Reveal(),
		"ERGON_STORE_PUT_ACCESS_KEY=" + c.PutSigner.AccessKey, "ERGON_STORE_PUT_SECRET_KEY=" + c.PutSigner.SecretKey.Reveal(),
		"ERGON_STORE_GET_ACCESS_KEY=" + c.GetSigner.AccessKey, "ERGON_STORE_GET_SECRET_KEY=" + c.GetSigner.SecretKey.Reveal(),
	}
}

// T12: an identity that signs and can read or list would make every URL a way to others' files.
func TestThreat_T12_AServerWhoseSigningIdentitiesCanReadOrListDoesNotStart(t *testing.T) {
	for name, start := range map[string]func(t *testing.T) s3store.Config{
		"embedded": externalEmbedded,
		"minio":    func(t *testing.T) s3store.Config { t.Helper(); return miniotest.Start(t).Config },
	} {
		t.Run(name, func(t *testing.T) {
			good := start(t)
			a := boot(t, testConfig(t, storeEnviron(good)...))
			code, checks := newAdmin(t, a, "root1").readiness()
			if code != 200 || checks["object_store_versioning"] == "" || checks["object_store_encryption"] == "" {
				t.Errorf("with three identities: %d %v", code, checks)
			}
			for fault, change := range map[string]func(*s3store.Config){
				"put signer cannot read":   func(c *s3store.Config) { c.PutSigner = c.Maintenance },
				"get signer cannot list":   func(c *s3store.Config) { c.GetSigner = c.Maintenance },
				"get signer cannot write":  func(c *s3store.Config) { c.GetSigner = c.PutSigner },
				"put signer cannot read: ": func(c *s3store.Config) { c.PutSigner = c.GetSigner },
			} {
				bad := good
				change(&bad)
				_, err := New(t.Context(), testConfig(t, storeEnviron(bad)...), testDeps())
				if err == nil || !strings.Contains(err.Error(), strings.TrimRight(fault, ": ")) {
					t.Errorf("%s: %v", fault, err)
				}
				if e, ok := errors.AsType[*apperr.Error](err); !ok || !strings.Contains(e.Hint, "docs/install.md") || !strings.Contains(e.Hint, "ERGON_STORE_PUT_ACCESS_KEY") {
					t.Errorf("%s: the hint does not say how to make the right one: %v", fault, err)
				}
			}
		})
	}
}
