package objectstore

import (
	"strings"
	"testing"

	"github.com/ergon-hpc/ergon/controlplane/internal/storage/storetest"
)

// Each prefix is tried out against a running store (s3store).
func TestEveryRefusedHeaderIsTriedOut(t *testing.T) {
	for _, p := range refusedPrefixes {
		found := p == "x-amz-copy-source" // in the lie table
		for name := range storetest.Unsigned {
			found = found || strings.HasPrefix(strings.ToLower(name), p)
		}
		if !found {
			t.Errorf("no test sends a header that begins with %s", p)
		}
	}
	for name := range storetest.Unsigned {
		if !refused(strings.ToLower(name)) {
			t.Errorf("%s is tried out and not refused", name)
		}
	}
}
