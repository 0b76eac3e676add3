package way

import (
	"encoding/json"
	"testing"

	"github.com/ergon-hpc/ergon/e2e/site"
)

// seff is the report that needs no server.
func seff(t *testing.T, id string) site.Report {
	t.Helper()
	var report site.Report
	out := alice.Must(t, "ergon", "seff", id, "-o", "json")
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		t.Fatalf("ergon seff -o json: %v\n%s", err, out)
	}
	return report
}
