package harness

import (
	"fmt"
	"os"
)

// NewScratch makes an empty directory that everybody may pass through, and removes those whose test binary died.
// The kind is a word of lower-case letters. The caller removes it, best by Stack.Defer.
func NewScratch(kind string) (string, error) {
	for _, dir := range orphans(kind) {
		_ = os.RemoveAll(dir) // what stays costs memory until the next start
	}
	dir := newPrefix(kind)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("making a scratch directory: %w", err)
	}
	return dir, nil
}
