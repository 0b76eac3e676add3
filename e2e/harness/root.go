package harness

import (
	"fmt"
	"os"
	"path/filepath"
)

// Root returns the top of the source tree: the directory of go.work.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("finding the source tree: %w", err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.work")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", fmt.Errorf("finding the source tree: no go.work above the working directory")
		}
		dir = parent
	}
}

// Binary returns the path of a built program (ergon, ergon-agent, ergon-server):
// from $ERGON_BIN_DIR, else from bin/ of the tree.
func Binary(name string) (string, error) {
	dir := os.Getenv("ERGON_BIN_DIR")
	if dir == "" {
		root, err := Root()
		if err != nil {
			return "", err
		}
		dir = filepath.Join(root, "bin")
	}
	path := filepath.Join(dir, name)
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("finding program %s: %w; run `make build` first", name, err)
	}
	return path, nil
}
