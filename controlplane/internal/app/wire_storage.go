package app

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
	"github.com/ergon-hpc/ergon/controlplane/internal/config"
	"github.com/ergon-hpc/ergon/controlplane/internal/httpapi"
	"github.com/ergon-hpc/ergon/controlplane/internal/s3store"
	"github.com/ergon-hpc/ergon/controlplane/internal/storage"
)

// wireStorage joins keys, presigning, uploads and quota. (CP2 owns this file.)
func (b *builder) wireStorage(ctx context.Context) error {
	var cfg s3store.Config
	var err error
	if b.cfg.Store.URL == "" {
		cfg, err = b.startObjectStore(ctx)
	} else {
		cfg, err = externalStore(b.cfg.Store)
	}
	if err != nil {
		return err
	}
	b.warnOfLoopback(ctx, cfg)
	store, err := s3store.Open(cfg)
	if err != nil {
		return err
	}
	if err := b.checkStore(ctx, store); err != nil {
		return err
	}
	b.setUpBucket(ctx, store)
	return b.wireStorageService(store)
}

// checkStore refuses a store whose signing identities can do more than sign for: a leaked URL could then read everything.
func (b *builder) checkStore(ctx context.Context, store *s3store.Store) error {
	if err := store.Check(ctx); err != nil {
		return apperr.Wrap(apperr.StoreUnavailable, "the object store does not answer as it should", err).
			WithHint("check ERGON_STORE_URL, ERGON_STORE_BUCKET and the keys of the maintenance identity")
	}
	findings, err := store.CheckIdentities(ctx)
	if err != nil {
		return err
	}
	var faults []string
	for _, f := range findings {
		if !f.OK {
			faults = append(faults, f.Name+": "+f.Text)
		}
	}
	if len(faults) > 0 {
		return apperr.New(apperr.Conflict, "the object store cannot be used safely: "+strings.Join(faults, "; ")).
			WithHint("make three identities: maintenance (ERGON_STORE_ACCESS_KEY), one that may only s3:PutObject (ERGON_STORE_PUT_ACCESS_KEY) and one that may only s3:GetObject (ERGON_STORE_GET_ACCESS_KEY); docs/install.md has their policies")
	}
	b.check("object_store", store.Check)
	return nil
}

func (b *builder) wireStorageService(store *s3store.Store) error {
	svc, err := newStorage(b.cfg, b.store, store, b.deps)
	if err != nil {
		return err
	}
	b.storage, b.unannounced = svc, storage.NewUnannounced(svc, store, b.store.Storage(), b.cfg.Compat.BenchwrapMax)
	b.handlers.Files, b.handlers.AgentFiles = httpapi.NewFiles(svc, svc), httpapi.NewAgentUploads(svc)
	b.closeLast(svc.Close)
	if err := b.addStorageTasks(svc); err != nil {
		return err
	}
	return b.wireErasure(&Storage{Service: svc, Store: store})
}

// warnOfLoopback: login nodes elsewhere would be given URLs that point at themselves.
func (b *builder) warnOfLoopback(ctx context.Context, cfg s3store.Config) {
	signed := cfg.PublicURL
	if signed == "" {
		signed = cfg.URL
	}
	u, err := url.Parse(signed)
	if err != nil || loopback(b.cfg.HTTP.Listen) || !loopback(net.JoinHostPort(u.Hostname(), "0")) {
		return
	}
	b.deps.Log.WarnContext(ctx, "the API listens beyond this machine, but presigned URLs point at loopback: no other machine can upload or download",
		"api", b.cfg.HTTP.Listen, "store", fmt.Sprintf("%s://%s", u.Scheme, u.Host), "set", "ERGON_STORE_PUBLIC_URL and ERGON_STORE_LISTEN")
}

// Days after which the store itself removes what we should have removed before, where it has such rules.
const (
	keepOldVersions = 1
	keepMultiparts  = 8 // an upload may wait seven days for its next part
	keepExports     = 8
)

// setUpBucket turns on what the store has, and says what is in force.
func (b *builder) setUpBucket(ctx context.Context, store *s3store.Store) {
	if b.cfg.Store.URL != "" && b.cfg.Store.BucketSetup == "apply" {
		for _, a := range store.SetUp(ctx, s3store.Keep{OldVersions: keepOldVersions, Multiparts: keepMultiparts, Exports: keepExports}) {
			b.deps.Log.InfoContext(ctx, "bucket", "setting", a.Name, "in_force", a.Done, "text", a.Text)
		}
	}
	for _, f := range store.AtRest(ctx) {
		b.deps.Log.InfoContext(ctx, "object store", "feature", f.Name, "in_force", string(f.InForce), "text", f.Text)
		b.checks = append(b.checks, httpapi.Check{Name: "object_store_" + f.Name, Fact: string(f.InForce)})
	}
}

// retention turns days into what storage keeps by.
func retention(c config.Retention) storage.Retention {
	days := func(n int) time.Duration { return time.Duration(n) * 24 * time.Hour }
	return storage.NewRetention(days(c.OutputDays), days(c.ProfileDays), days(c.InputDays), days(c.UploadDays))
}
