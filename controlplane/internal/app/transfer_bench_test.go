package app

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/ergon-hpc/ergon/controlplane/internal/s3store"
	"github.com/ergon-hpc/ergon/controlplane/internal/s3store/miniotest"
)

// transferBytes is the file of BenchmarkTransfer: 16 parts of 16 MiB.
const transferBytes = 256 << 20

// BenchmarkTransfer moves one file by `ergon files` and by plain minio-go, to and from the same store over loopback, both with four
// requests at once: the embedded store, then a MinIO. ergon hashes the file before it sends it and every byte that it gets, and
// asks the server for each signature; minio-go does neither on downloads. The program is $ERGON_BIN_DIR/ergon, else bin/ergon.
func BenchmarkTransfer(b *testing.B) {
	const quota = "ERGON_QUOTA_BYTES=1000000000000"
	b.Run("embedded", func(b *testing.B) {
		a := boot(b, testConfig(b, quota))
		transfer(b, a, attachedConfig(b, a))
	})
	b.Run("minio", func(b *testing.B) {
		store := miniotest.Start(b).Config
		transfer(b, boot(b, testConfig(b, append(storeEnviron(store), quota)...)), store)
	})
}

func transfer(b *testing.B, a *App, store s3store.Config) {
	b.Helper()
	dir := b.TempDir()
	file := randomFile(b, dir)
	ergon, plain := ergonClient(b, a, dir), plainClient(b, store)
	measure := func(name string, move func(n int) error) {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(transferBytes)
			for n := range b.N {
				if err := move(n); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	measure("put/ergon", func(n int) error { return ergon("files", "put", "--name", fmt.Sprintf("file-%d", n), file) })
	measure("put/minio-go", func(n int) error {
		_, err := plain.FPutObject(b.Context(), store.Bucket, fmt.Sprintf("bench/file-%d", n), file, minio.PutObjectOptions{PartSize: 16 << 20, NumThreads: 4})
		return err
	})
	measure("get/ergon", func(int) error { return ergon("files", "get", "--force", "file-0", filepath.Join(dir, "ergon")) })
	measure("get/minio-go", func(int) error {
		return plain.FGetObject(b.Context(), store.Bucket, "bench/file-0", filepath.Join(dir, "minio"), minio.GetObjectOptions{})
	})
}

func randomFile(b *testing.B, dir string) string {
	b.Helper()
	file := filepath.Join(dir, "file")
	f, err := os.Create(file)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := io.CopyN(f, rand.Reader, transferBytes); err != nil {
		b.Fatal(err)
	}
	if err := f.Close(); err != nil {
		b.Fatal(err)
	}
	return file
}

// ergonClient logs the program in and gives a way to run it.
func ergonClient(b *testing.B, a *App, home string) func(args ...string) error {
	b.Helper()
	bin := os.Getenv("ERGON_BIN_DIR")
	if bin == "" {
		bin = filepath.Join("..", "..", "..", "bin")
	}
	program, err := filepath.Abs(filepath.Join(bin, "ergon"))
	if err != nil {
		b.Fatal(err)
	}
	run := func(stdin string, args ...string) error {
		cmd := exec.CommandContext(b.Context(), program, args...)
		cmd.Env, cmd.Dir, cmd.Stdin = []string{"HOME=" + home, "PATH=/usr/bin:/bin"}, home, strings.NewReader(stdin)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("ergon %v: %w: %s", args[:2], err, out)
		}
		return nil
	}
	if err := run(rand.Text(), "login", "--server", a.URL(), "--user", "bench", "--register", "--password-stdin"); err != nil {
		b.Fatal(err)
	}
	return func(args ...string) error { return run("", args...) }
}

// attachedConfig is the embedded store of a running server, as its maintenance identity reaches it.
func attachedConfig(b *testing.B, a *App) s3store.Config {
	b.Helper()
	reached, end, err := attachObjectStore(context.Background(), a.cfg.Store, a.dir, a.deps)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := end(); err != nil {
			b.Error(err)
		}
	})
	return reached
}

// plainClient is minio-go with the store's maintenance identity.
func plainClient(b *testing.B, store s3store.Config) *minio.Client {
	b.Helper()
	u, err := url.Parse(store.URL)
	if err != nil {
		b.Fatal(err)
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 8, DisableCompression: true}
	b.Cleanup(transport.CloseIdleConnections)
	client, err := minio.New(u.Host, &minio.Options{
		Creds:  credentials.NewStaticV4(store.Maintenance.AccessKey, store.Maintenance.SecretKey.Reveal(), ""),
		Region: store.Region, BucketLookup: minio.BucketLookupPath, Transport: transport,
	})
	if err != nil {
		b.Fatal(err)
	}
	return client
}
