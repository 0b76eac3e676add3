package objectstore

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/versity/versitygw/auth"
	"github.com/versity/versitygw/backend/meta"
	"github.com/versity/versitygw/backend/posix"
	"github.com/versity/versitygw/embedgw"
	"github.com/versity/versitygw/s3api"
	"github.com/versity/versitygw/s3err"
)

// Descriptors that the parent hands to the child beside the standard three.
const (
	configFD = 3 // a pipe: the configuration as one JSON value; end of file means that the parent is gone
	readyFD  = 4 // a pipe: one byte when the child serves
	lockFD   = 5 // the lock, only held
)

const (
	healthPath     = "/-/health" // "-" is no valid bucket name
	maxConnections = 2048
	maxRequests    = 1024
	maxParts       = 10000
	copyThreshold  = 5 << 30
)

// childConfig crosses the pipe.
type childConfig struct {
	Data, Sidecar     string // Sidecar is empty when extended attributes are used
	Addr              string
	CertFile, KeyFile string
	Region, Bucket    string
	Keys              keyFile
}

// RunChild is the whole of `ergon-server objectstore`: it serves until the parent closes the pipe, ctx ends, or serving fails.
// It must run in a process of its own, which it owns: it changes the working directory.
func RunChild(ctx context.Context) error {
	pipe, ready := os.NewFile(configFD, "config"), os.NewFile(readyFD, "ready")
	if pipe == nil || ready == nil {
		return errors.New("this command is started by `ergon-server serve`, not by hand")
	}
	return serveChild(ctx, pipe, ready)
}

func serveChild(ctx context.Context, pipe io.Reader, ready io.WriteCloser) error {
	in := json.NewDecoder(pipe)
	var cfg childConfig
	if err := in.Decode(&cfg); err != nil {
		return errors.New("reading the configuration from descriptor 3 failed; this command is started by `ergon-server serve`, not by hand")
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() { // ends with the process at the latest: reading the pipe cannot be interrupted
		_, _ = io.Copy(io.Discard, pipe)
		cancel()
	}()
	be, err := openBackend(cfg)
	if err != nil {
		return err
	}
	if err := ensureBucket(ctx, be, cfg); err != nil {
		return err
	}
	if err := unclaim(cfg); err != nil {
		return err
	}
	if err := embedgw.RunVersityGW(ctx, be, gatewayConfig(cfg, ready)); err != nil {
		return fmt.Errorf("serving the object store: %w", err)
	}
	return nil
}

func openBackend(cfg childConfig) (*posix.Posix, error) {
	opts := posix.PosixOpts{SideCarDir: cfg.Sidecar, CopyObjectThreshold: copyThreshold}
	opts.SetNewDirPerm(0o700)
	opts.SetNewFilePerm(0o600)
	var store meta.MetadataStorer = meta.XattrMeta{}
	if cfg.Sidecar != "" {
		sidecar, err := meta.NewSideCar(cfg.Sidecar)
		if err != nil {
			return nil, fmt.Errorf("opening the sidecar directory: %w", err)
		}
		store = sidecar
	}
	be, err := posix.New(cfg.Data, store, opts)
	if err != nil {
		return nil, fmt.Errorf("opening the store's directory: %w", err)
	}
	return be, nil
}

func bucketIsThere(ctx context.Context, be *posix.Posix, bucket string) bool {
	_, err := be.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &bucket})
	return err == nil
}

// ensureBucket makes the bucket once and writes the policy at every start, so that changed keys take effect.
func ensureBucket(ctx context.Context, be *posix.Posix, cfg childConfig) error {
	acl, err := json.Marshal(auth.ACL{Owner: cfg.Keys.Maintenance.Access})
	if err != nil {
		return fmt.Errorf("encoding the bucket's owner: %w", err)
	}
	err = be.CreateBucket(ctx, &s3.CreateBucketInput{
		Bucket: &cfg.Bucket, ObjectOwnership: types.ObjectOwnershipBucketOwnerEnforced,
		CreateBucketConfiguration: &types.CreateBucketConfiguration{},
	}, acl)
	if _, exists := errors.AsType[s3err.BucketError](err); err != nil && !exists && !bucketIsThere(ctx, be, cfg.Bucket) {
		return fmt.Errorf("making the bucket: %w", err)
	}
	// Again, for a bucket whose making was interrupted before it had an owner.
	if err := be.PutBucketAcl(ctx, cfg.Bucket, acl); err != nil {
		return fmt.Errorf("setting the bucket's owner: %w", err)
	}
	doc, err := policy(cfg.Bucket, cfg.Keys)
	if err != nil {
		return err
	}
	if err := be.PutBucketPolicy(ctx, cfg.Bucket, doc); err != nil {
		return fmt.Errorf("writing the bucket policy: %w", err)
	}
	return nil
}

func gatewayConfig(cfg childConfig, ready io.WriteCloser) *embedgw.Config {
	return &embedgw.Config{
		RootUserAccess: "root-" + rand.Text(), RootUserSecret: rand.Text() + rand.Text(),
		Region: cfg.Region, Ports: []string{cfg.Addr}, CertFile: cfg.CertFile, KeyFile: cfg.KeyFile,
		MaxConnections: maxConnections, MaxRequests: maxRequests, MultipartMaxParts: maxParts,
		Quiet: true, KeepAlive: true, DisableACLs: true, HealthPath: healthPath,
		IAMService: newAccounts(cfg.Keys.Maintenance, cfg.Keys.PutSigner, cfg.Keys.GetSigner),
		S3Options: []s3api.Option{
			func(s *s3api.S3ApiServer) { s.Router.WithAdmSrv = false },
			s3api.WithMiddleware("/", refuseUnsigned),
			s3api.WithOnListen(func() {
				_, _ = ready.Write([]byte{1})
				_ = ready.Close()
			}),
		},
	}
}
