// Package miniotest runs a real MinIO for tests: built once by dev/minio/build.sh, one of its own for each caller, with the
// bucket and the three identities of design 03.
//
// ERGON_SKIP_MINIO=1 skips, and says so.
package miniotest

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/minio/minio-go/v7/pkg/signer"

	"github.com/ergon-hpc/ergon/controlplane/internal/s3store"
	"github.com/ergon-hpc/ergon/shared/secret"
)

// Server is a running MinIO with what opens a store on it.
type Server struct {
	Config s3store.Config
	Addr   string
	root   s3store.Identity
}

// Start runs one until the test ends, with settings of its own (NAME=value).
func Start(t testing.TB, environ ...string) Server {
	t.Helper()
	if os.Getenv("ERGON_SKIP_MINIO") == "1" {
		t.Skip("ERGON_SKIP_MINIO=1: not tested against MinIO")
	}
	top := topDir(t)
	if out, err := exec.CommandContext(t.Context(), filepath.Join(top, "dev/minio/build.sh")).CombinedOutput(); err != nil {
		t.Fatalf("building MinIO: %v\n%s\nERGON_SKIP_MINIO=1 does without", err, out)
	}
	s := Server{Addr: freeAddr(t), root: s3store.Identity{AccessKey: "root", SecretKey: secret.New(rand.Text())}}
	bin := filepath.Join(top, ".cache/minio")
	runMinio(t, bin, s.Addr, s.root, environ)
	s.Config = s3store.Config{
		URL: "http://" + s.Addr, Region: "us-east-1", Bucket: "ergon",
		Maintenance: newIdentity("maintenance"), PutSigner: newIdentity("put"), GetSigner: newIdentity("get"),
	}
	if err := s.Root(t).MakeBucket(context.Background(), s.Config.Bucket, minio.MakeBucketOptions{}); err != nil {
		t.Fatal(err)
	}
	makeIdentities(t, bin+"-identities", s.Addr, s.root, s.Config)
	return s
}

// Encrypting is the setting with which MinIO can encrypt: a key of its own, which no test keeps.
func Encrypting() string {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails (crypto/rand)
	return "MINIO_KMS_SECRET_KEY=ergon:" + base64.StdEncoding.EncodeToString(key)
}

// Root is a client that may do everything.
func (s Server) Root(t testing.TB) *minio.Client {
	t.Helper()
	c, err := minio.New(s.Addr, &minio.Options{Creds: credentials.NewStaticV4(s.root.AccessKey, s.root.SecretKey.Reveal(), ""), Region: "us-east-1"})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// AllowPutSigner lets the put signer do more with the bucket than it needs, as a careless operator would.
func (s Server) AllowPutSigner(t testing.TB, actions ...string) {
	t.Helper()
	bucket := "arn:aws:s3:::" + s.Config.Bucket
	s.setPolicy(t, "ergon-put", map[string]any{"Version": "2012-10-17", "Statement": []map[string]any{
		{"Effect": "Allow", "Action": []string{"s3:PutObject"}, "Resource": []string{bucket + "/*"}},
		{"Effect": "Allow", "Action": actions, "Resource": []string{bucket}},
	}})
}

// setPolicy replaces a policy that the identities were made with (dev/minio/identities).
func (s Server) setPolicy(t testing.TB, name string, doc map[string]any) {
	t.Helper()
	raw, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://"+s.Addr+"/minio/admin/v3/add-canned-policy?name="+name, bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(raw)
	req.Header.Set("X-Amz-Content-Sha256", hex.EncodeToString(sum[:]))
	client := http.Client{Timeout: 30 * time.Second}
	resp, err := client.Do(signer.SignV4(*req, s.root.AccessKey, s.root.SecretKey.Reveal(), "", "us-east-1"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("changing a policy answers %d", resp.StatusCode)
	}
}

// topDir is the directory that holds dev/, above the package under test.
func topDir(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "dev/minio/build.sh")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			t.Fatal("dev/minio/build.sh is in no directory above the test's")
		}
		dir = filepath.Dir(dir)
	}
}

func newIdentity(name string) s3store.Identity {
	return s3store.Identity{AccessKey: name, SecretKey: secret.New(rand.Text())}
}

func freeAddr(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func runMinio(t testing.TB, bin, addr string, root s3store.Identity, environ []string) {
	t.Helper()
	dir := t.TempDir()
	// Not bound to the test's context, which ends before the cleanups that still ask the store.
	cmd := exec.CommandContext(context.Background(), bin, "server", "--quiet", "--address", addr, "--console-address", freeAddr(t), filepath.Join(dir, "data"))
	cmd.Dir = dir
	cmd.Env = append([]string{
		"HOME=" + dir, "MINIO_ROOT_USER=" + root.AccessKey, "MINIO_ROOT_PASSWORD=" + root.SecretKey.Reveal(), "MINIO_BROWSER=off",
		"MINIO_UPDATE=off", "MINIO_CI_CD=1",
	}, environ...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	client := http.Client{Timeout: 5 * time.Second}
	deadline := time.Now().Add(5 * time.Minute) // only ends a wait that would be for ever
	for {
		resp, err := client.Get("http://" + addr + "/minio/health/live") //nolint:noctx // it has a time limit of its own
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("MinIO does not start: %s", log.String())
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func makeIdentities(t testing.TB, bin, addr string, root s3store.Identity, cfg s3store.Config) {
	t.Helper()
	pair := func(id s3store.Identity) map[string]string {
		return map[string]string{"access_key": id.AccessKey, "secret_key": id.SecretKey.Reveal()}
	}
	order, err := json.Marshal(map[string]any{
		"endpoint": addr, "root_user": root.AccessKey, "root_secret": root.SecretKey.Reveal(), "bucket": cfg.Bucket,
		"maintenance": pair(cfg.Maintenance), "put": pair(cfg.PutSigner), "get": pair(cfg.GetSigner),
	})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), bin)
	cmd.Stdin = bytes.NewReader(order)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatal(errors.Join(err, errors.New(string(out))))
	}
}
