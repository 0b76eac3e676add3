package s3store

import (
	"context"
	"fmt"
	"io"

	"github.com/minio/minio-go/v7"

	"github.com/ergon-hpc/ergon/controlplane/internal/storage"
	"github.com/ergon-hpc/ergon/shared/secret"
)

// Head asks for an object with its checksum.
func (s *Store) Head(ctx context.Context, key string) (storage.Info, error) {
	info, err := s.core.StatObject(ctx, s.bucket, key, minio.StatObjectOptions{Checksum: true})
	if err != nil {
		return storage.Info{}, mapErr("asking for an object", err)
	}
	return storage.Info{Key: key, SizeBytes: info.Size, Checksum: info.ChecksumSHA256, ModTime: info.LastModified}, nil
}

// Open reads an object as a stream.
func (s *Store) Open(ctx context.Context, key string) (io.ReadCloser, error) {
	body, _, _, err := s.core.GetObject(ctx, s.bucket, key, minio.GetObjectOptions{})
	if err != nil {
		return nil, mapErr("reading an object", err)
	}
	return body, nil
}

// Put writes what the platform itself makes, with the length known: at most 5 GiB.
func (s *Store) Put(ctx context.Context, key string, body io.ReadSeeker, sizeBytes int64, contentType string) error {
	_, err := s.core.Client.PutObject(ctx, s.bucket, key, body, sizeBytes,
		minio.PutObjectOptions{ContentType: contentType, DisableContentSha256: true, SendContentMd5: true, DisableMultipart: true})
	return mapErr("writing an object", err)
}

// List gives a page in byte order.
func (s *Store) List(ctx context.Context, prefix, after string, limit int) ([]storage.Info, error) {
	ctx, cancel := context.WithCancel(ctx) // ends minio-go's goroutine when the page is full
	defer cancel()
	var page []storage.Info
	for o := range s.core.ListObjectsIter(ctx, s.bucket, minio.ListObjectsOptions{
		Prefix: prefix, StartAfter: after, Recursive: true, MaxKeys: limit,
	}) {
		if o.Err != nil {
			return nil, mapErr("listing objects", o.Err)
		}
		page = append(page, storage.Info{Key: o.Key, SizeBytes: o.Size, ModTime: o.LastModified})
		if len(page) >= limit {
			break
		}
	}
	return page, nil
}

// codes of S3 and what they mean here.
var codes = map[string]error{
	"NoSuchKey":          storage.ErrNoObject,
	"NotFound":           storage.ErrNoObject,
	"NoSuchUpload":       storage.ErrNoUpload,
	"PreconditionFailed": storage.ErrExists,
	"InvalidPart":        storage.ErrParts,
	"InvalidPartOrder":   storage.ErrParts,
	"EntityTooSmall":     storage.ErrParts,
	"BadDigest":          storage.ErrParts,
	// versitygw's and MinIO's words for a full disk, which S3 has none for.
	"InsufficientStorage": storage.ErrFull,
	"XMinioStorageFull":   storage.ErrFull,
}

// mapErr names what the store said. minio-go's errors may quote URLs; those of maintenance carry no signature, but none is kept.
func mapErr(doing string, err error) error {
	if err == nil {
		return nil
	}
	code := minio.ToErrorResponse(err).Code
	if known, ok := codes[code]; ok {
		return fmt.Errorf("%s: %w", doing, known)
	}
	return fmt.Errorf("%s: %w", doing, secret.StripURL(err))
}
