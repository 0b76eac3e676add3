package way

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ergon-hpc/ergon/e2e/site"
)

// signature is in every presigned URL and nowhere else.
const signature = "X-Amz-Signature"

// processWatch looks at command lines and environments of the product's processes while they live.
type processWatch struct {
	mu     sync.Mutex
	seen   map[string]int // by program: how often its arguments were seen
	faults []string
	stop   chan struct{}
	done   chan struct{}
}

func watchProcesses(t *testing.T) *processWatch {
	w := &processWatch{seen: map[string]int{}, stop: make(chan struct{}), done: make(chan struct{})}
	go w.loop()
	t.Cleanup(w.end)
	return w
}

func (w *processWatch) end() {
	select {
	case <-w.stop:
	default:
		close(w.stop)
	}
	<-w.done
}

func (w *processWatch) loop() {
	defer close(w.done)
	for {
		for _, program := range []string{"ergon", "ergon-sbatch", "ergon-agent", "ergon-server"} {
			for _, pid := range world.Processes(program) {
				w.look(program, pid)
			}
		}
		select {
		case <-w.stop:
			return
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (w *processWatch) look(program string, pid int) {
	for _, file := range []string{"cmdline", "environ"} {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, file))
		if err != nil {
			continue // it has ended
		}
		w.mu.Lock()
		if file == "cmdline" && len(text) > 0 {
			w.seen[program]++
		}
		for _, secret := range forbidden() {
			if bytes.Contains(text, []byte(secret)) {
				w.faults = append(w.faults, fmt.Sprintf("/proc/%d/%s holds %s", pid, file, mask(secret)))
			}
		}
		w.mu.Unlock()
	}
}

// forbidden are texts that nobody but their two ends may see.
func forbidden() []string {
	return []string{signature, alice.Password(), bob.Password(), alice.Token(), bob.Token()}
}

// mask keeps a secret out of the test's own output.
func mask(secret string) string {
	if secret == signature {
		return secret
	}
	return "a password or token"
}

func secrets(t *testing.T, w *processWatch) {
	w.end()
	for _, program := range []string{"ergon-agent", "ergon-server"} { // the others are there for moments
		if w.seen[program] == 0 {
			t.Errorf("the arguments of %s were never seen: %v", program, w.seen)
		}
	}
	for _, fault := range w.faults {
		t.Error(fault)
	}
	logs := world.Logs()
	if !strings.Contains(logs, `"DEBUG"`) {
		t.Error("nothing was logged at debug level, so the logs prove nothing")
	}
	for _, secret := range append(forbidden(), sessionTokens(t, alice)...) {
		if strings.Contains(logs, secret) {
			t.Errorf("the logs hold %s", mask(secret))
		}
	}
	inFiles(t, filepath.Join(world.Dir, "server"))
	inFiles(t, world.StateDir())
}

// sessionTokens are those that the CLI keeps in alice's home.
func sessionTokens(t *testing.T, p *site.Person) (tokens []string) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(p.Home, ".config", "ergon"), func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		var fields map[string]any
		if err != nil || json.Unmarshal(data, &fields) != nil {
			return err
		}
		for name, value := range fields {
			if text, ok := value.(string); ok && strings.Contains(name, "token") && len(text) > 20 {
				tokens = append(tokens, text)
			}
		}
		return nil
	})
	if err != nil || len(tokens) == 0 {
		t.Errorf("no token found in the session files (%v), so the search for them proves nothing", err)
	}
	return tokens
}

// inFiles searches databases and everything beside them, but not the stored objects.
func inFiles(t *testing.T, dir string) {
	t.Helper()
	searched := 0
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			if os.IsNotExist(err) {
				return nil // a log of SQLite that was folded in meanwhile
			}
			return err
		}
		if e.IsDir() && strings.Contains(path, "/jobs") {
			return fs.SkipDir
		}
		if !e.Type().IsRegular() {
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return nil //nolint:nilerr // as above
		}
		searched++
		for _, secret := range forbidden() {
			if bytes.Contains(data, []byte(secret)) {
				t.Errorf("%s holds %s", path, mask(secret))
			}
		}
		return nil
	})
	if err != nil || searched == 0 {
		t.Errorf("%d files searched in %s: %v", searched, dir, err)
	}
}
