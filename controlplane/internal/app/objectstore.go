package app

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"github.com/ergon-hpc/ergon/controlplane/internal/config"
	"github.com/ergon-hpc/ergon/controlplane/internal/objectstore"
	"github.com/ergon-hpc/ergon/controlplane/internal/s3store"
)

// startObjectStore starts the embedded store and tells how to reach it.
func (b *builder) startObjectStore(ctx context.Context) (s3store.Config, error) {
	cfg, err := embeddedConfig(b.cfg.Store, b.dir, b.deps)
	if err != nil {
		return s3store.Config{}, err
	}
	server, err := objectstore.Start(ctx, cfg)
	if err != nil {
		return s3store.Config{}, err
	}
	b.closeLast(server.Close)
	b.check("object_store_process", server.Health)
	return reach(server, b.cfg.Store)
}

func embeddedConfig(c config.Store, dir *Dir, deps Deps) (objectstore.Config, error) {
	objects, err := dir.Sub("objects")
	return objectstore.Config{
		Dir: objects, Listen: c.Listen, Command: []string{deps.Executable, "objectstore"}, Region: c.Region, Bucket: c.Bucket,
		CertFile: c.TLSCertFile, KeyFile: c.TLSKeyFile, Log: deps.Log,
	}, err
}

// reach tells how the server itself reaches the embedded store.
func reach(server *objectstore.Server, c config.Store) (s3store.Config, error) {
	transport, err := embeddedTransport(server.URL(), c.PublicURL, c.TLSCertFile, c.CAFile)
	if err != nil {
		return s3store.Config{}, err
	}
	k := server.Keys()
	return s3store.Config{
		URL: server.URL(), PublicURL: c.PublicURL, Region: server.Region(), Bucket: server.Bucket(), Transport: transport,
		Maintenance: s3store.Identity(k.Maintenance), PutSigner: s3store.Identity(k.PutSigner), GetSigner: s3store.Identity(k.GetSigner),
	}, nil
}

// attachObjectStore reaches the embedded store of a server that runs beside, or starts it for as long as a command takes.
func attachObjectStore(ctx context.Context, c config.Store, dir *Dir, deps Deps) (_ s3store.Config, end func() error, err error) {
	cfg, err := embeddedConfig(c, dir, deps)
	if err != nil {
		return s3store.Config{}, nil, err
	}
	end = func() error { return nil }
	server, err := objectstore.Attach(ctx, cfg)
	if errors.Is(err, objectstore.ErrNotRunning) {
		if server, err = objectstore.Start(ctx, cfg); err == nil {
			end = server.Close
		}
	}
	if err != nil {
		return s3store.Config{}, nil, err
	}
	reached, err := reach(server, c)
	if err != nil {
		return s3store.Config{}, nil, errors.Join(err, end())
	}
	return reached, end, nil
}

// embeddedTransport trusts the store's own certificate, and expects the public name in it: the server calls by loopback.
func embeddedTransport(own, public, certFile, caFile string) (http.RoundTripper, error) {
	name := ""
	if u, err := url.Parse(public); err == nil {
		name = u.Hostname()
	}
	if caFile == "" {
		caFile = certFile
	}
	return s3store.Transport(own, caFile, name)
}
