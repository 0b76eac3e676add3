package s3store

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"

	"github.com/minio/minio-go/v7"
)

// Transport is minio-go's for a URL, trusting also the PEM certificates of caFile, and expecting serverName (empty: the
// host of the URL) in the store's certificate.
func Transport(rawURL, caFile, serverName string) (http.RoundTripper, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, errors.New("the URL of the object store cannot be read")
	}
	t, err := minio.DefaultTransport(u.Scheme == "https")
	if err != nil {
		return nil, fmt.Errorf("preparing connections to the object store: %w", err)
	}
	if u.Scheme != "https" {
		return t, nil
	}
	if t.TLSClientConfig == nil {
		t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	t.TLSClientConfig.ServerName = serverName
	if caFile == "" {
		return t, nil
	}
	pem, err := os.ReadFile(caFile)
	if err != nil {
		return nil, fmt.Errorf("reading the certificates to trust: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("reading the certificates to trust: %s holds none in PEM form", caFile)
	}
	t.TLSClientConfig.RootCAs = pool
	return t, nil
}
