package objectstore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/versity/versitygw/backend/posix"
)

// joiningSuffix ends the name that versitygw's posix backend gives to the directory of an upload's parts while it joins
// them: <upload id>.<etag>.inprogress (posix.go, CompleteMultipartUpload). Upload ids are UUIDs and have no dot.
const joiningSuffix = ".inprogress"

// unclaim gives the parts of completions that a kill cut off their upload id back: versitygw never does, so the upload
// would be unknown for ever and its bytes would stay. Only the one process that holds the store may call it, before it
// serves; nothing is being joined then.
func unclaim(cfg childConfig) error {
	roots := []string{cfg.Data}
	if cfg.Sidecar != "" {
		roots = []string{cfg.Sidecar, cfg.Data} // metadata first: parts without it would be no parts
	}
	for _, root := range roots {
		if err := unclaimIn(filepath.Join(root, cfg.Bucket, posix.MetaTmpMultipartDir)); err != nil {
			return fmt.Errorf("looking after uploads that were being completed: %w", err)
		}
	}
	return nil
}

func unclaimIn(dir string) error {
	keys, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, key := range keys {
		uploads, err := os.ReadDir(filepath.Join(dir, key.Name()))
		if err != nil {
			return err
		}
		for _, upload := range uploads {
			if err := giveBack(filepath.Join(dir, key.Name()), upload.Name()); err != nil {
				return err
			}
		}
	}
	return nil
}

func giveBack(dir, name string) error {
	id, _, claimed := strings.Cut(name, ".")
	if !claimed || id == "" || !strings.HasSuffix(name, joiningSuffix) {
		return nil
	}
	return os.Rename(filepath.Join(dir, name), filepath.Join(dir, id))
}
