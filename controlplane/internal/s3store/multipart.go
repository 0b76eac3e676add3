package s3store

import (
	"context"
	"errors"
	"fmt"

	"github.com/minio/minio-go/v7"

	"github.com/ergon-hpc/ergon/controlplane/internal/storage"
)

const partsPage = 1000

// Create begins a multipart that wants a SHA-256 with each part.
func (s *Store) Create(ctx context.Context, key, contentType string) (string, error) {
	id, err := s.core.NewMultipartUpload(ctx, s.bucket, key, minio.PutObjectOptions{
		ContentType:  contentType,
		UserMetadata: map[string]string{"X-Amz-Checksum-Algorithm": "SHA256", "X-Amz-Checksum-Type": "COMPOSITE"},
	})
	if err != nil {
		return "", mapErr("beginning a multipart upload", err)
	}
	return id, nil
}

// Parts lists all parts, page by page.
func (s *Store) Parts(ctx context.Context, key, storeUploadID string) ([]storage.Part, error) {
	var parts []storage.Part
	for marker := 0; ; {
		page, err := s.core.ListObjectParts(ctx, s.bucket, key, storeUploadID, marker, partsPage)
		if err != nil {
			return nil, mapErr("listing parts", err)
		}
		for _, p := range page.ObjectParts {
			part, err := fromPart(p)
			if err != nil {
				return nil, err
			}
			parts = append(parts, part)
		}
		if !page.IsTruncated || page.NextPartNumberMarker <= marker {
			return parts, nil
		}
		marker = page.NextPartNumberMarker
	}
}

func fromPart(p minio.ObjectPart) (storage.Part, error) {
	digest, err := storage.ParseChecksum(p.ChecksumSHA256)
	if err != nil {
		return storage.Part{}, fmt.Errorf("listing parts: the store gives no SHA-256 of part %d: %w", p.PartNumber, err)
	}
	return storage.Part{Number: int32(p.PartNumber), SizeBytes: p.Size, SHA256: digest, ETag: p.ETag}, nil
}

// Complete joins the parts unless an object is there.
func (s *Store) Complete(ctx context.Context, key, storeUploadID string, parts []storage.Part) error {
	list := make([]minio.CompletePart, 0, len(parts))
	for _, p := range parts {
		list = append(list, minio.CompletePart{PartNumber: int(p.Number), ETag: p.ETag, ChecksumSHA256: p.SHA256.Checksum()})
	}
	var opts minio.PutObjectOptions
	opts.SetMatchETagExcept("*")
	_, err := s.core.CompleteMultipartUpload(ctx, s.bucket, key, storeUploadID, list, opts)
	return mapErr("completing a multipart upload", err)
}

// Abort drops the parts; no such upload is success.
func (s *Store) Abort(ctx context.Context, key, storeUploadID string) error {
	err := mapErr("aborting a multipart upload", s.core.AbortMultipartUpload(ctx, s.bucket, key, storeUploadID))
	if errors.Is(err, storage.ErrNoUpload) {
		return nil
	}
	return err
}
