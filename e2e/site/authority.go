package site

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// authority is a certificate authority made for one test, with one certificate for one address.
type authority struct {
	certFile         string // of the authority: what clients trust
	chainFile        string // of the server
	keyFile          string
	pool             *x509.CertPool
	key              *ecdsa.PrivateKey
	cert             *x509.Certificate
	notAfter, before time.Time
}

func newAuthority(dir, address string) (*authority, error) {
	now := time.Now()
	a := &authority{
		certFile: filepath.Join(dir, "ca.pem"), chainFile: filepath.Join(dir, "server.pem"), keyFile: filepath.Join(dir, "server.key"),
		pool: x509.NewCertPool(), before: now.Add(-time.Hour), notAfter: now.Add(24 * time.Hour),
	}
	if err := errors.Join(a.makeRoot(), a.issue(address)); err != nil {
		return nil, fmt.Errorf("making certificates: %w", err)
	}
	return a, nil
}

func (a *authority) makeRoot() (err error) {
	if a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return err
	}
	root := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Ergon e2e"}, NotBefore: a.before, NotAfter: a.notAfter,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, root, root, &a.key.PublicKey, a.key)
	if err != nil {
		return err
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		return err
	}
	a.pool.AddCert(a.cert)
	return writePEM(a.certFile, "CERTIFICATE", der, 0o644)
}

func (a *authority) issue(address string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "ergon-server"}, NotBefore: a.before, NotAfter: a.notAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, IPAddresses: []net.IP{net.ParseIP(address)},
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, a.cert, &key.PublicKey, a.key)
	if err != nil {
		return err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return errors.Join(writePEM(a.chainFile, "CERTIFICATE", der, 0o644), writePEM(a.keyFile, "PRIVATE KEY", secret, 0o600))
}

func (a *authority) client() *tls.Config {
	return &tls.Config{RootCAs: a.pool, MinVersion: tls.VersionTLS12}
}

func writePEM(path, kind string, der []byte, mode os.FileMode) error {
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), mode)
}
