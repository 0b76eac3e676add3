package s3store

import (
	"errors"
	"testing"

	"github.com/minio/minio-go/v7"

	"github.com/ergon-hpc/ergon/controlplane/internal/storage"
)

func TestWhatTheStoreSaysIsNamed(t *testing.T) {
	for code, want := range map[string]error{
		"NoSuchKey": storage.ErrNoObject, "NoSuchUpload": storage.ErrNoUpload, "PreconditionFailed": storage.ErrExists, "InvalidPart": storage.ErrParts,
		"InsufficientStorage": storage.ErrFull, "XMinioStorageFull": storage.ErrFull,
	} {
		if err := mapErr("asking", minio.ErrorResponse{Code: code}); !errors.Is(err, want) {
			t.Errorf("%s: %v", code, err)
		}
	}
	if err := mapErr("asking", minio.ErrorResponse{Code: "InternalError"}); err == nil || errors.Is(err, storage.ErrFull) {
		t.Errorf("another error: %v", err)
	}
}
