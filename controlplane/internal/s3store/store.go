// Package s3store is the adapter to an S3 store: the embedded one, MinIO, or any other that checks signed headers.
//
// It holds three clients. The put signer and the get signer only compute signatures, for the public URL; they send nothing.
// Maintenance talks to the store's own URL and signs nothing for clients. So a presigned PUT can never read
// (facts/object-storage.md: MinIO takes an unsigned copy source), and a leaked signer cannot list or delete.
package s3store

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/ergon-hpc/ergon/controlplane/internal/storage"
	"github.com/ergon-hpc/ergon/shared/secret"
)

// Identity is one pair of credentials.
type Identity struct {
	AccessKey string
	SecretKey secret.Secret
}

// Config says where the store is. All but PublicURL and Transport are required.
type Config struct {
	URL       string // for the server's own calls
	PublicURL string // for signing: how clients reach the store; empty means URL
	Region    string // fixed: signatures name it, and nobody is asked for it
	Bucket    string

	Maintenance Identity
	PutSigner   Identity
	GetSigner   Identity

	Transport http.RoundTripper // of maintenance; nil means minio-go's default
}

// Store implements storage.Signer, storage.Bytes and storage.Multiparts. It is safe for concurrent use.
type Store struct {
	bucket string
	core   minio.Core // maintenance
	put    *minio.Client
	get    *minio.Client
	cfg    Config

	versions versioning
}

var (
	_ storage.Signer     = (*Store)(nil)
	_ storage.Bytes      = (*Store)(nil)
	_ storage.Multiparts = (*Store)(nil)
	_ storage.Eraser     = (*Store)(nil)
)

// maxRetries of one call; the callers above retry too, and a request must not hang for minutes.
const maxRetries = 3

// Open checks the configuration and makes the clients. It does not talk to the store: see Check and CheckIdentities.
func Open(cfg Config) (*Store, error) {
	if cfg.PublicURL == "" {
		cfg.PublicURL = cfg.URL
	}
	if cfg.Region == "" || cfg.Bucket == "" {
		return nil, errors.New("opening the object store: region and bucket must be set")
	}
	maintenance, err := client(cfg, cfg.URL, cfg.Maintenance)
	if err != nil {
		return nil, err
	}
	put, err := client(cfg, cfg.PublicURL, cfg.PutSigner)
	if err != nil {
		return nil, err
	}
	get, err := client(cfg, cfg.PublicURL, cfg.GetSigner)
	if err != nil {
		return nil, err
	}
	return &Store{bucket: cfg.Bucket, core: minio.Core{Client: maintenance}, put: put, get: get, cfg: cfg}, nil
}

func client(cfg Config, rawURL string, id Identity) (*minio.Client, error) {
	u, err := parseURL(rawURL)
	if err != nil {
		return nil, err
	}
	if id.AccessKey == "" || id.SecretKey.IsZero() {
		return nil, errors.New("opening the object store: an access key or secret key is missing; it wants three identities: maintenance, put signer, get signer")
	}
	c, err := minio.New(u.Host, &minio.Options{
		Creds:        credentials.NewStaticV4(id.AccessKey, id.SecretKey.Reveal(), ""),
		Secure:       u.Scheme == "https",
		Region:       cfg.Region,
		BucketLookup: minio.BucketLookupPath,
		Transport:    cfg.Transport,
		MaxRetries:   maxRetries,
	})
	if err != nil {
		return nil, fmt.Errorf("opening the object store: %w", err)
	}
	return c, nil
}

// parseURL accepts scheme://host[:port] and nothing more: a path or credentials would silently be lost. The URL may hold a
// password by mistake, so errors do not quote it.
func parseURL(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("opening the object store: its URL must be http://host:port or https://host:port")
	}
	if u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
		return nil, errors.New("opening the object store: its URL must be scheme, host and port only; the bucket is a setting of its own")
	}
	return u, nil
}
