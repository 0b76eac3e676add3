package app

import (
	"context"
	"errors"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
	"github.com/ergon-hpc/ergon/controlplane/internal/config"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore"
	"github.com/ergon-hpc/ergon/controlplane/internal/s3store"
	"github.com/ergon-hpc/ergon/controlplane/internal/storage"
	"github.com/ergon-hpc/ergon/shared/secret"
)

// Storage is the feature storage without a server, for admin commands.
type Storage struct {
	Service *storage.Service
	Store   *s3store.Store
	end     func() error
}

// OpenStorage opens it on an open base: beside a server, whose embedded store it then uses, or without one.
func OpenStorage(ctx context.Context, cfg config.Config, base *Base, deps Deps) (*Storage, error) {
	s := &Storage{end: func() error { return nil }}
	var reached s3store.Config
	var err error
	if cfg.Store.URL == "" {
		reached, s.end, err = attachObjectStore(ctx, cfg.Store, base.Dir, deps)
	} else {
		reached, err = externalStore(cfg.Store)
	}
	if err != nil {
		return nil, err
	}
	if s.Store, err = s3store.Open(reached); err == nil {
		s.Service, err = newStorage(cfg, base.Store, s.Store, deps)
	}
	if err != nil {
		return nil, errors.Join(err, s.end())
	}
	return s, nil
}

// Close ends what was opened.
func (s *Storage) Close() error { return errors.Join(s.Service.Close(), s.end()) }

// newStorage joins the feature.
func newStorage(cfg config.Config, db *gormstore.Store, store *s3store.Store, deps Deps) (*storage.Service, error) {
	rows := db.Storage()
	return storage.New(storage.Config{
		Ledger: rows, Book: rows, Catalogue: rows, Owners: rows, Recounter: rows, Census: rows,
		Signer: store, Bytes: store, Multiparts: store, Eraser: store,
		Log: deps.Log, Now: deps.Now, NewID: func() uuid.UUID { return newID(deps) },
		Quota: siteQuota(cfg), JobQuota: storage.Limit{Bytes: cfg.Quota.JobBytes, Objects: cfg.Quota.JobObjects},
		URLLifetime: cfg.Store.URLTTL, Retention: retention(cfg.Retention),
	})
}

// newID is a random id; crypto/rand never fails.
func newID(deps Deps) uuid.UUID { return uuid.Must(uuid.NewRandomFromReader(deps.Rand)) }

func externalStore(c config.Store) (s3store.Config, error) {
	if c.PutAccessKey == "" || c.GetAccessKey == "" {
		return s3store.Config{}, apperr.New(apperr.InvalidRequest, "ERGON_STORE_URL needs identities of their own for signing").
			WithHint("set ERGON_STORE_PUT_ACCESS_KEY and ERGON_STORE_GET_ACCESS_KEY with their secrets; the one may only s3:PutObject, the other only s3:GetObject")
	}
	transport, err := s3store.Transport(c.URL, c.CAFile, "")
	if err != nil {
		return s3store.Config{}, err
	}
	return s3store.Config{
		URL: c.URL, PublicURL: c.PublicURL, Region: c.Region, Bucket: c.Bucket, Transport: transport,
		Maintenance: s3store.Identity{AccessKey: c.AccessKey, SecretKey: secret.New(c.SecretKey.Reveal())},
		PutSigner:   s3store.Identity{AccessKey: c.PutAccessKey, SecretKey: secret.New(c.PutSecretKey.Reveal())},
		GetSigner:   s3store.Identity{AccessKey: c.GetAccessKey, SecretKey: secret.New(c.GetSecretKey.Reveal())},
	}, nil
}
