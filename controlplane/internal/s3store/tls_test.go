package s3store_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ergon-hpc/ergon/controlplane/internal/objectstore"
	"github.com/ergon-hpc/ergon/controlplane/internal/s3store"
)

// certificate writes a self-signed pair for 127.0.0.1.
func certificate(t *testing.T) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ergon test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for name, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "PRIVATE KEY", Bytes: raw}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certFile, keyFile
}

// Both settings that a site may need: TLS of its own, and metadata in files where the file system has no attributes.
func TestEmbeddedStoreWithTLSAndMetadataInFiles(t *testing.T) {
	dir := t.TempDir()
	// What a first start on a file system without extended attributes leaves behind.
	if err := os.WriteFile(filepath.Join(dir, "settings.json"), []byte(`{"addr":"","sidecar":true}`), 0o600); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile := certificate(t)
	own := objectstore.Config{Dir: dir, Command: []string{self, "objectstore"}, Log: slog.New(slog.DiscardHandler), CertFile: certFile, KeyFile: keyFile}
	server, err := objectstore.Start(t.Context(), own)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	}()
	if !server.Sidecar() || !strings.HasPrefix(server.URL(), "https://") || server.Health(t.Context()) != nil {
		t.Fatalf("sidecar %v at %s: %v", server.Sidecar(), server.URL(), server.Health(t.Context()))
	}
	cfg := configOf(server)
	if cfg.Transport, err = s3store.Transport(cfg.URL, certFile, ""); err != nil {
		t.Fatal(err)
	}
	s := open(t, cfg)
	wantFeatures(t, s, map[string]s3store.Answer{"versioning": s3store.No})
	distrust := cfg
	distrust.Transport = nil
	if err := open(t, distrust).Check(t.Context()); err == nil {
		t.Error("a certificate that nobody vouches for is trusted")
	}
	attached, err := objectstore.Attach(t.Context(), own)
	if err != nil || attached.URL() != server.URL() || !attached.Keys().Maintenance.SecretKey.Equal(server.Keys().Maintenance.SecretKey) {
		t.Errorf("a command beside the server finds %v", err)
	}
	if entries, err := os.ReadDir(filepath.Join(dir, "sidecar")); err != nil || len(entries) == 0 {
		t.Errorf("no metadata in files: %v", err)
	}
}

func TestAttachSaysWhenNoStoreRuns(t *testing.T) {
	cfg := objectstore.Config{Dir: t.TempDir(), Command: []string{"x"}, Log: slog.New(slog.DiscardHandler)}
	if _, err := objectstore.Attach(context.Background(), cfg); !errors.Is(err, objectstore.ErrNotRunning) {
		t.Errorf("on an empty directory: %v", err)
	}
}
