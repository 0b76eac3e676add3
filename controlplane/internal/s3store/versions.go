package s3store

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/minio/minio-go/v7"
	"golang.org/x/sync/errgroup"

	"github.com/ergon-hpc/ergon/controlplane/internal/storage"
	"github.com/ergon-hpc/ergon/shared/secret"
)

// versioning is what the bucket said of its versions, for a while.
type versioning struct {
	mu    sync.Mutex
	on    bool      // on now, or was once: there may be old versions
	asked time.Time // zero: not yet
}

const versioningKnown = time.Minute

// versioned reports whether objects may have old versions. A store that knows no versioning has none; one that does not let
// maintenance ask is taken as without, and Inspect says so.
func (s *Store) versioned(ctx context.Context) (bool, error) {
	s.versions.mu.Lock()
	defer s.versions.mu.Unlock()
	if time.Since(s.versions.asked) < versioningKnown {
		return s.versions.on, nil
	}
	c, err := s.core.GetBucketVersioning(ctx, s.bucket)
	if err != nil && !unsupported(err) && !denied(err) {
		return false, fmt.Errorf("asking whether the bucket keeps versions: %w", secret.StripURL(err))
	}
	s.versions.on, s.versions.asked = err == nil && (c.Enabled() || c.Suspended()), time.Now()
	return s.versions.on, nil
}

// unsupported says that the store does not know what it was asked for.
func unsupported(err error) bool {
	switch minio.ToErrorResponse(err).Code {
	case "NotImplemented", "MethodNotAllowed", "XMinioNotImplemented", "VersioningNotConfigured":
		return true
	}
	return false
}

func denied(err error) bool { return minio.ToErrorResponse(err).Code == "AccessDenied" }

// Delete removes an object with all of its versions; none is success.
func (s *Store) Delete(ctx context.Context, key string) error {
	on, err := s.versioned(ctx)
	if err != nil {
		return err
	}
	if on {
		return s.deleteVersions(ctx, key)
	}
	err = mapErr("deleting an object", s.core.RemoveObject(ctx, s.bucket, key, minio.RemoveObjectOptions{}))
	if errors.Is(err, storage.ErrNoObject) {
		return nil
	}
	return err
}

// deleteVersions removes each version by its id: a plain deletion would only add a marker.
func (s *Store) deleteVersions(ctx context.Context, key string) error {
	for {
		page, err := s.entries(ctx, key, true, func(o minio.ObjectInfo) bool { return o.Key == key }, erasePage)
		if err != nil || len(page) == 0 {
			return err
		}
		if err := s.drop(ctx, page); err != nil {
			return err
		}
	}
}

const (
	erasePage    = 1000
	eraseWorkers = 8
)

// Erase removes objects below prefix, and their versions and delete markers where the bucket keeps any.
func (s *Store) Erase(ctx context.Context, prefix string, limit int) (int, error) {
	on, err := s.versioned(ctx)
	if err != nil {
		return 0, err
	}
	page, err := s.entries(ctx, prefix, on, func(minio.ObjectInfo) bool { return true }, limit)
	if err != nil {
		return 0, err
	}
	return len(page), s.drop(ctx, page)
}

// entries lists what is below prefix and wanted, at most limit.
func (s *Store) entries(ctx context.Context, prefix string, versions bool, wanted func(minio.ObjectInfo) bool, limit int) ([]minio.ObjectInfo, error) {
	ctx, cancel := context.WithCancel(ctx) // ends minio-go's goroutine when the page is full
	defer cancel()
	var page []minio.ObjectInfo
	for o := range s.core.ListObjectsIter(ctx, s.bucket, minio.ListObjectsOptions{Prefix: prefix, Recursive: true, WithVersions: versions}) {
		if o.Err != nil {
			return nil, mapErr("listing what is to be removed", o.Err)
		}
		if wanted(o) {
			page = append(page, o)
		}
		if len(page) >= limit {
			break
		}
	}
	return page, nil
}

func (s *Store) drop(ctx context.Context, page []minio.ObjectInfo) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(eraseWorkers)
	for _, o := range page {
		group.Go(func() error {
			err := s.core.RemoveObject(ctx, s.bucket, o.Key, minio.RemoveObjectOptions{VersionID: o.VersionID})
			if err = mapErr("removing an object or a version", err); errors.Is(err, storage.ErrNoObject) {
				return nil
			}
			return err
		})
	}
	return group.Wait()
}

// AbortAll drops the multipart uploads of exactly this key. MinIO lists them only by a whole key, which this is.
func (s *Store) AbortAll(ctx context.Context, key string) (int, error) {
	return s.abortListed(ctx, key, func(other string) bool { return other == key })
}

// AbortBelow drops those below prefix, as far as the store lists them.
func (s *Store) AbortBelow(ctx context.Context, prefix string) (int, error) {
	return s.abortListed(ctx, prefix, func(string) bool { return true })
}

const uploadsPage = 1000

func (s *Store) abortListed(ctx context.Context, prefix string, wanted func(key string) bool) (aborted int, err error) {
	keyMarker, idMarker := "", ""
	for {
		page, err := s.core.ListMultipartUploads(ctx, s.bucket, prefix, keyMarker, idMarker, "", uploadsPage)
		if err != nil {
			return aborted, mapErr("listing multipart uploads", err)
		}
		for _, u := range page.Uploads {
			if !wanted(u.Key) {
				continue
			}
			if err := s.Abort(ctx, u.Key, u.UploadID); err != nil {
				return aborted, err
			}
			aborted++
		}
		if !page.IsTruncated || page.NextKeyMarker == keyMarker && page.NextUploadIDMarker == idMarker {
			return aborted, nil
		}
		keyMarker, idMarker = page.NextKeyMarker, page.NextUploadIDMarker
	}
}
