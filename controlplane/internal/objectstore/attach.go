package objectstore

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
)

// ErrNotRunning says that no store serves from a directory.
var ErrNotRunning = errors.New("no object store runs on this directory")

// Attach tells how to reach the store that another process runs on the directory, for commands beside a server. It holds
// nothing. ErrNotRunning when none answers there.
func Attach(ctx context.Context, cfg Config) (*Server, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	var set settings
	var keys keyFile
	if err := errors.Join(readJSON(filepath.Join(cfg.Dir, "settings.json"), &set), readJSON(filepath.Join(cfg.Dir, "keys.json"), &keys)); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotRunning, err)
	}
	s := &Server{cfg: cfg, probe: probeClient(cfg.ProbeTimeout), child: childConfig{
		Data: dataDir(cfg.Dir), Addr: set.Addr, CertFile: cfg.CertFile, KeyFile: cfg.KeyFile, Region: cfg.Region, Bucket: cfg.Bucket, Keys: keys,
	}}
	if err := s.ask(ctx); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotRunning, err)
	}
	return s, nil
}
