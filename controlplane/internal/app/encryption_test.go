package app

import (
	"encoding/json"
	"log/slog"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"

	"github.com/ergon-hpc/ergon/controlplane/internal/s3store/miniotest"
)

// Where the store has a key, the server turns encryption on, says that it is in force, and what is stored is encrypted.
func TestEncryptionThatTheStoreHasIsTurnedOnAndSaid(t *testing.T) {
	store := miniotest.Start(t, miniotest.Encrypting())
	log := &lockedBuffer{}
	deps := testDeps()
	deps.Log = slog.New(slog.NewJSONHandler(log, nil))
	a := bootWith(t, testConfig(t, storeEnviron(store.Config)...), deps)
	said := inForce(log.String())
	if said["encryption"] != "yes" || said["versioning"] != "yes" {
		t.Errorf("the log of the start says %v", said)
	}
	admin := newAdmin(t, a, "root1")
	if code, checks := admin.readiness(); code != 200 || checks["object_store_encryption"] != "yes" || checks["object_store_versioning"] != "yes" {
		t.Errorf("/readyz says %d %v", code, checks)
	}
	admin.upload("f", "content")
	root, found := store.Root(t), 0
	for o := range root.ListObjects(t.Context(), store.Config.Bucket, minio.ListObjectsOptions{Recursive: true}) {
		info, err := root.StatObject(t.Context(), store.Config.Bucket, o.Key, minio.StatObjectOptions{})
		if how := info.Metadata.Get("X-Amz-Server-Side-Encryption"); err != nil || how != "AES256" {
			t.Errorf("%s is stored with %q, %v", o.Key, how, err)
		}
		found++
	}
	if found == 0 {
		t.Error("nothing is stored")
	}
}

// inForce is what the log says of the store's features.
func inForce(log string) map[string]string {
	said := map[string]string{}
	for line := range strings.Lines(log) {
		var l struct {
			Msg, Feature string
			InForce      string `json:"in_force"`
		}
		if json.Unmarshal([]byte(line), &l) == nil && l.Msg == "object store" {
			said[l.Feature] = l.InForce
		}
	}
	return said
}
