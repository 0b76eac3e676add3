package app

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"gorm.io/gorm"

	"github.com/ergon-hpc/ergon/shared/api"
)

// newAdmin is an administrator at a running server.
func newAdmin(t *testing.T, a *App, name string) *visitor {
	t.Helper()
	v := newVisitor(t, a.URL(), name)
	if err := a.store.Tx(t.Context(), func(tx *gorm.DB) error {
		return tx.Exec("UPDATE users SET role = 'admin' WHERE username = ?", name).Error
	}); err != nil {
		t.Fatal(err)
	}
	var pair api.TokenPair
	v.token = ""
	v.want(http.StatusOK, http.MethodPost, "/auth/login", api.Credentials{Username: name, Password: visitorPassword}, &pair)
	v.token = pair.AccessToken
	return v
}

func (v *visitor) readiness() (code int, checks map[string]string) {
	v.t.Helper()
	var h api.Health
	code = v.call(http.MethodGet, "/readyz", nil, &h)
	if h.Checks != nil {
		checks = *h.Checks
	}
	return code, checks
}

// storeChild is the process of the embedded store.
func storeChild(t *testing.T) int {
	t.Helper()
	entries, err := filepath.Glob("/proc/self/task/*/children") // of whichever thread started it
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		text, err := os.ReadFile(e)
		if err != nil {
			continue
		}
		for _, pid := range strings.Fields(string(text)) {
			line, err := os.ReadFile(fmt.Sprintf("/proc/%s/cmdline", pid))
			if err == nil && strings.Contains(string(line), "\x00objectstore") {
				n, err := strconv.Atoi(pid)
				if err != nil {
					t.Fatal(err)
				}
				return n
			}
		}
	}
	t.Fatal("the embedded object store is not running")
	return 0
}

func TestReadinessFollowsTheEmbeddedStore(t *testing.T) {
	a := boot(t, testConfig(t))
	admin, nobody := newAdmin(t, a, "root1"), &visitor{t: t, url: a.URL()}
	if code, checks := admin.readiness(); code != http.StatusOK || checks["object_store"] != "ok" || checks["database"] != "ok" || checks["data_directory"] != "ok" {
		t.Fatalf("before: %d %v", code, checks)
	}
	child := storeChild(t)
	if err := syscall.Kill(child, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if code, checks := admin.readiness(); code != http.StatusServiceUnavailable || checks["object_store"] != "failing" || checks["database"] != "ok" {
		t.Errorf("while the store hangs: %d %v", code, checks)
	}
	if code, checks := nobody.readiness(); code != http.StatusServiceUnavailable || checks != nil {
		t.Errorf("while the store hangs everybody reads: %d %v", code, checks)
	}
	if err := syscall.Kill(child, syscall.SIGCONT); err != nil && err != syscall.ESRCH { // replaced already
		t.Fatal(err)
	}
	within(t, "the store answers again", func() bool { code, _ := nobody.readiness(); return code == http.StatusOK })
	if err := syscall.Kill(storeChild(t), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	within(t, "the store was started again", func() bool {
		code, checks := admin.readiness()
		return code == http.StatusOK && checks["object_store"] == "ok"
	})
}
