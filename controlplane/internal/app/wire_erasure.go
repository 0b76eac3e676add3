package app

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/controlplane/internal/audit"
	"github.com/ergon-hpc/ergon/controlplane/internal/config"
	"github.com/ergon-hpc/ergon/controlplane/internal/erasure"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore"
	"github.com/ergon-hpc/ergon/controlplane/internal/httpapi"
	"github.com/ergon-hpc/ergon/controlplane/internal/identity"
	"github.com/ergon-hpc/ergon/controlplane/internal/queue"
)

const (
	accountsTask    = "accounts"
	accountsEvery   = time.Minute
	accountsTimeout = 6 * time.Hour
	// sessionMemory is how long a replica may believe that a session stands (identity), and a request may take.
	sessionMemory = time.Minute
)

// wireErasure joins the deletion and the export of accounts.
func (b *builder) wireErasure(files *Storage) error {
	svc, err := newErasure(b.cfg, b.store, files, b.ids, b.deps, func(ctx context.Context) {
		if b.queue != nil {
			b.queue.Kick(ctx, accountsTask)
		}
	})
	if err != nil {
		return err
	}
	b.tasks = append(b.tasks, queue.Task{Name: accountsTask, Every: accountsEvery, Timeout: accountsTimeout, Run: func(ctx context.Context) error {
		return errors.Join(svc.Run(ctx), svc.RunExports(ctx))
	}})
	b.handlers.Account = httpapi.Account{
		Erasures: svc, Recent: b.ids, Books: b.store.Storage().SiteQuotas(siteQuota(b.cfg)), Links: files.Store, URLLife: b.cfg.Store.URLTTL,
	}
	return nil
}

func newErasure(
	cfg config.Config, db *gormstore.Store, files *Storage, ids *identity.Service, deps Deps, kick func(context.Context),
) (*erasure.Service, error) {
	rows := db.Erasures(siteQuota(cfg))
	return erasure.New(erasure.Config{
		Store: rows, Exports: rows, Archive: files.Store, Access: ids, Files: files.Service,
		Names: auditedNames{ids: ids, keys: db, now: deps.Now}, Log: deps.Log, Now: deps.Now,
		NewID: func() uuid.UUID { return newID(deps) }, Kick: kick,
		URLLife: files.Service.URLLifetime + files.Service.TransferAllowance + sessionMemory,
	})
}

// OpenErasure gives the deletion of accounts to a command.
func OpenErasure(cfg config.Config, base *Base, files *Storage, ids *identity.Service, deps Deps) (*erasure.Service, error) {
	return newErasure(cfg, base.Store, files, ids, deps, nil)
}

// auditedNames joins the audit log.
type auditedNames struct {
	ids  *identity.Service
	keys audit.Keys
	now  func() time.Time
}

// Forget destroys the key of an account.
func (n auditedNames) Forget(ctx context.Context, userID string) error {
	return audit.ForgetUser(ctx, n.keys, userID, n.now())
}

// Record writes an audit row.
func (n auditedNames) Record(ctx context.Context, action, subject string, detail map[string]string) error {
	return n.ids.RecordAct(ctx, action, subject, detail)
}
