package app

import (
	"context"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
	"github.com/ergon-hpc/ergon/controlplane/internal/benchwrap"
	"github.com/ergon-hpc/ergon/controlplane/internal/httpapi"
	"github.com/ergon-hpc/ergon/controlplane/internal/storage"
)

// wireBenchwrap joins the original client. What it uploaded is settled also when its routes are off.
func (b *builder) wireBenchwrap(ctx context.Context) error {
	svc := benchwrap.New(b.store.Benchwrap(), vault{b.storage, b.unannounced}, b.deps.Now, b.deps.Log)
	b.run("benchwrap", svc.Run)
	if !b.cfg.Compat.Benchwrap {
		return nil
	}
	b.deps.Log.WarnContext(ctx, "the routes of the original client benchwrap are on: it sends passwords in queries, so no proxy in front may log them",
		"setting", "ERGON_COMPAT_BENCHWRAP")
	b.benchwrap = &httpapi.Benchwrap{Accounts: b.ids, Files: svc, Audit: b.audit}
	return nil
}

// vault is storage in the words of package benchwrap.
type vault struct {
	files       *storage.Service
	unannounced *storage.Unannounced
}

var _ benchwrap.Vault = vault{}

// Presign reserves and signs.
func (v vault) Presign(ctx context.Context, userID, name string) (uuid.UUID, benchwrap.Signed, error) {
	u, put, err := v.unannounced.Presign(ctx, userID, name)
	return u.ID, signed(u.Key, put), err
}

func signed(key string, p storage.Presigned) benchwrap.Signed {
	return benchwrap.Signed{Key: key, URL: p.URL.Reveal(), Headers: p.Headers}
}

// Settle books what came.
func (v vault) Settle(ctx context.Context, id uuid.UUID) error {
	_, err := v.unannounced.Settle(ctx, id)
	return err
}

// Attach gives a profile to its job.
func (v vault) Attach(ctx context.Context, id uuid.UUID, job benchwrap.Job) error {
	return v.unannounced.Attach(ctx, id, storage.JobRef{ID: job.ID, Attempt: job.Attempt})
}

// Find looks for a key, then for a name.
func (v vault) Find(ctx context.Context, userID, keyOrName string) (benchwrap.Object, error) {
	page, err := v.files.List(ctx, userID, storage.Listing{Name: keyOrName, Limit: 1000})
	if err != nil {
		return benchwrap.Object{}, err
	}
	if rest, own := strings.CutPrefix(keyOrName, userID+"/"); own {
		keyed, err := v.files.List(ctx, userID, storage.Listing{Prefix: rest, Limit: 1})
		if err != nil {
			return benchwrap.Object{}, err
		}
		if len(keyed.Objects) == 1 && keyed.Objects[0].Key == keyOrName {
			page = keyed
		}
	}
	if len(page.Objects) == 0 {
		return benchwrap.Object{}, apperr.New(apperr.NotFound, "there is no such file")
	}
	return found(slices.MaxFunc(page.Objects, func(a, b storage.Object) int { return a.CreatedAt.Compare(b.CreatedAt) })), nil
}

func found(o storage.Object) benchwrap.Object {
	return benchwrap.Object{ID: o.ID, Key: o.Key, Name: o.Name, SizeBytes: o.SizeBytes, StoredAt: o.CreatedAt}
}

// Download signs a GET.
func (v vault) Download(ctx context.Context, userID string, id uuid.UUID) (benchwrap.Signed, error) {
	o, get, err := v.files.Download(ctx, userID, id)
	return signed(o.Key, get), err
}

// List gives a page.
func (v vault) List(ctx context.Context, userID, cursor string) ([]benchwrap.Object, string, error) {
	page, err := v.files.List(ctx, userID, storage.Listing{Cursor: cursor, Limit: 1000})
	if err != nil {
		return nil, "", err
	}
	list := make([]benchwrap.Object, 0, len(page.Objects))
	for _, o := range page.Objects {
		list = append(list, found(o))
	}
	return list, page.Next, nil
}
