package s3store_test

import (
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"

	"github.com/ergon-hpc/ergon/controlplane/internal/s3store"
	"github.com/ergon-hpc/ergon/controlplane/internal/s3store/miniotest"
	"github.com/ergon-hpc/ergon/controlplane/internal/storage/storetest"
)

// T12: the lie table is part of the suite.
func TestThreat_T12_MinioConformsAndAcceptsNoLie(t *testing.T) {
	server := miniotest.Start(t)
	s := open(t, server.Config)
	storetest.Run(t, s)
	t.Run("unsigned headers change nothing", func(t *testing.T) { storetest.UnsignedChangesNothing(t, s) })
	t.Run("identities", func(t *testing.T) { wantSafe(t, s) })
	t.Run("one identity for all is found out", func(t *testing.T) {
		cfg := server.Config
		cfg.PutSigner, cfg.GetSigner = cfg.Maintenance, cfg.Maintenance
		findings, err := open(t, cfg).CheckIdentities(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		holes := map[string]bool{}
		for _, f := range findings {
			holes[f.Name] = !f.OK
		}
		if !holes["put signer cannot read"] || !holes["presigned PUT refuses an unsigned copy source"] {
			t.Errorf("the hole that MinIO has with one identity is not found: %+v", findings)
		}
	})
	t.Run("nothing is turned on by itself", func(t *testing.T) {
		wantFeatures(t, s, map[string]s3store.Answer{"versioning": s3store.No, "encryption": s3store.No, "lifecycle": s3store.No, "CORS": s3store.Yes})
	})
	t.Run("what is turned on is in force", func(t *testing.T) { setUpMinio(t, s, server) })
	t.Run("with versions it conforms as well", func(t *testing.T) { storetest.Run(t, s) })
	t.Run("deletion leaves no version", func(t *testing.T) { wantNoVersions(t, s, server) })
	t.Run("maintenance that may not remove versions is found out", func(t *testing.T) {
		cfg := server.Config
		cfg.Maintenance = cfg.PutSigner
		list, err := open(t, cfg).Inspect(t.Context())
		if err != nil {
			return
		}
		for _, f := range list {
			if f.Name == "deletion leaves nothing" && f.Needed && f.InForce == s3store.No {
				return
			}
		}
		t.Errorf("a maintenance identity that may only put passes: %+v", list)
	})
	t.Run("a put signer that can list and nothing more is found out", func(t *testing.T) { // the last: it stays so
		server.AllowPutSigner(t, "s3:ListBucket")
		wantOnlyFault(t, s, "put signer cannot list")
	})
}

// wantOnlyFault: one finding is bad, and says what to do.
func wantOnlyFault(t *testing.T, s *s3store.Store, name string) {
	t.Helper()
	findings, err := s.CheckIdentities(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, f := range findings {
		found = found || f.Name == name
		if f.OK == (f.Name == name) || !f.OK && !strings.Contains(f.Text, "policy") {
			t.Errorf("%s: %v, %s", f.Name, f.OK, f.Text)
		}
	}
	if !found {
		t.Errorf("nothing is said of %q", name)
	}
}

func setUpMinio(t *testing.T, s *s3store.Store, server miniotest.Server) {
	root := server.Root(t)
	for range 2 { // it may be repeated
		got := map[string]s3store.Attempt{}
		for _, a := range s.SetUp(t.Context(), s3store.Keep{OldVersions: 1, Multiparts: 8, Exports: 8}) {
			got[a.Name] = a
		}
		if !got["versioning"].Done || !got["lifecycle"].Done || got["encryption"].Done || got["encryption"].Text == "" {
			t.Errorf("%+v", got)
		}
		if text := got["lifecycle"].Text; !strings.Contains(text, "3 rules") || !strings.Contains(text, "ergon-multiparts") {
			t.Errorf("MinIO takes no rule for multiparts, which should be said: %q", text)
		}
	}
	if c, err := root.GetBucketVersioning(t.Context(), "ergon"); err != nil || !c.Enabled() {
		t.Errorf("versioning %+v, %v", c, err)
	}
	if c, err := root.GetBucketLifecycle(t.Context(), "ergon"); err != nil || len(c.Rules) != 3 {
		t.Errorf("lifecycle %+v, %v", c, err)
	}
	wantFeatures(t, s, map[string]s3store.Answer{"versioning": s3store.Yes, "encryption": s3store.No, "lifecycle": s3store.Yes})
}

// wantNoVersions overwrites and deletes as nobody of ours would, and then removes it as we do.
func wantNoVersions(t *testing.T, s *s3store.Store, server miniotest.Server) {
	root := server.Root(t)
	for _, key := range []string{"u/a", "u/a_b", "u/b"} {
		for _, text := range []string{"one", "two", "three"} {
			if _, err := root.PutObject(t.Context(), "ergon", key, strings.NewReader(text), int64(len(text)), minio.PutObjectOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		if err := root.RemoveObject(t.Context(), "ergon", key, minio.RemoveObjectOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Delete(t.Context(), "u/a"); err != nil {
		t.Fatal(err)
	}
	if n := versions(t, root, "u/"); n != 8 {
		t.Errorf("after deleting one key %d entries are left of the others, want 8", n)
	}
	for total := 0; ; {
		n, err := s.Erase(t.Context(), "u/", 3)
		if err != nil || n > 3 {
			t.Fatalf("erased %d, %v", n, err)
		}
		if total += n; n == 0 {
			if total != 8 {
				t.Errorf("erased %d entries, want 8", total)
			}
			break
		}
	}
	if n := versions(t, root, "u/"); n != 0 {
		t.Errorf("%d entries are left", n)
	}
}

func versions(t *testing.T, c *minio.Client, prefix string) (n int) {
	t.Helper()
	for o := range c.ListObjects(t.Context(), "ergon", minio.ListObjectsOptions{Prefix: prefix, Recursive: true, WithVersions: true}) {
		if o.Err != nil {
			t.Fatal(o.Err)
		}
		n++
	}
	return n
}
