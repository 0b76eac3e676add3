package s3store_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"testing"

	"github.com/ergon-hpc/ergon/controlplane/internal/objectstore"
	"github.com/ergon-hpc/ergon/controlplane/internal/s3store"
	"github.com/ergon-hpc/ergon/controlplane/internal/storage/storetest"
)

// The test binary is the embedded store's child too.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "objectstore" {
		if err := objectstore.RunChild(context.Background()); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func embedded(t testing.TB) *objectstore.Server {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	server, err := objectstore.Start(context.Background(), objectstore.Config{
		Dir: t.TempDir(), Command: []string{self, "objectstore"}, Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	return server
}

func configOf(server *objectstore.Server) s3store.Config {
	k := server.Keys()
	return s3store.Config{
		URL: server.URL(), Region: server.Region(), Bucket: server.Bucket(),
		Maintenance: s3store.Identity(k.Maintenance), PutSigner: s3store.Identity(k.PutSigner), GetSigner: s3store.Identity(k.GetSigner),
	}
}

func open(t testing.TB, cfg s3store.Config) *s3store.Store {
	t.Helper()
	s, err := s3store.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// T12: the lie table is part of the suite.
func TestThreat_T12_EmbeddedStoreConformsAndAcceptsNoLie(t *testing.T) {
	storetest.Run(t, open(t, configOf(embedded(t))))
}

// T12: what is not signed is not taken.
func TestThreat_T12_EmbeddedStoreTakesNoUnsignedHeaders(t *testing.T) {
	storetest.RefusesUnsigned(t, open(t, configOf(embedded(t))))
}

func wantSafe(t *testing.T, s *s3store.Store) {
	t.Helper()
	findings, err := s.CheckIdentities(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(findings) < 10 {
		t.Errorf("only %d findings", len(findings))
	}
	for _, f := range findings {
		if !f.OK {
			t.Errorf("%s: %s", f.Name, f.Text)
		}
	}
}

// wantFeatures checks what is in force, that everything needed is, and that trying left nothing behind.
func wantFeatures(t *testing.T, s *s3store.Store, inForce map[string]s3store.Answer) {
	t.Helper()
	list, err := s.Inspect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, f := range list {
		seen[f.Name] = true
		if f.Needed && f.InForce != s3store.Yes {
			t.Errorf("%s is not in force: %s", f.Name, f.Text)
		}
		if want, ok := inForce[f.Name]; ok && f.InForce != want {
			t.Errorf("%s: in force %s, want %s (%s)", f.Name, f.InForce, want, f.Text)
		}
		if f.Text == "" {
			t.Errorf("%s says nothing", f.Name)
		}
	}
	for _, name := range []string{
		"versioning", "encryption", "lifecycle", "CORS", "SHA-256 of objects", "SHA-256 of multipart objects", "multiparts found by key",
		"deletion leaves nothing", "presigned PUT does not overwrite", "presigned PUT refuses an unsigned copy source",
	} {
		if !seen[name] {
			t.Errorf("nothing is said of %q", name)
		}
	}
	if left, err := s.List(t.Context(), "_ergon/", "", 10); err != nil || len(left) > 0 {
		t.Errorf("the check leaves %v behind, %v", left, err)
	}
}

func TestEmbeddedIdentitiesCanDoWhatTheyMayAndNoMore(t *testing.T) {
	s := open(t, configOf(embedded(t)))
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
	wantSafe(t, s)
	wantFeatures(t, s, map[string]s3store.Answer{"versioning": s3store.No, "encryption": s3store.No, "lifecycle": s3store.No, "CORS": s3store.No})
	attempts := s.SetUp(t.Context(), s3store.Keep{OldVersions: 1, Multiparts: 8, Exports: 8})
	if len(attempts) != 3 {
		t.Errorf("%d attempts: %+v", len(attempts), attempts)
	}
	for _, a := range attempts {
		if a.Done || a.Text == "" {
			t.Errorf("the embedded store has none of it, and %s is said to be done: %s", a.Name, a.Text)
		}
	}
}

func TestCheckFindsIdentitiesThatCanDoTooMuch(t *testing.T) {
	cfg := configOf(embedded(t))
	cfg.PutSigner, cfg.GetSigner = cfg.Maintenance, cfg.Maintenance
	findings, err := open(t, cfg).CheckIdentities(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	bad := 0
	for _, f := range findings {
		if !f.OK {
			bad++
		}
	}
	if bad < 4 {
		t.Errorf("only %d findings for signers that are maintenance: %+v", bad, findings)
	}
}

func TestCheckNamesAMissingBucketAndWrongKeys(t *testing.T) {
	cfg := configOf(embedded(t))
	missing := cfg
	missing.Bucket = "nowhere"
	if err := open(t, missing).Check(t.Context()); err == nil {
		t.Error("a missing bucket passes")
	}
	wrong := cfg
	wrong.Maintenance = wrong.GetSigner
	if _, err := open(t, wrong).CheckIdentities(t.Context()); err == nil {
		t.Error("maintenance that cannot write passes")
	}
}
