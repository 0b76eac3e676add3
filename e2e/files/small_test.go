package files

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ergon-hpc/ergon/e2e/harness"
)

// parallel is how many small files are on their way at once.
const parallel = 8

func TestThousandsOfSmallFilesGoUpAndComeBack(t *testing.T) {
	count := 1000
	if full() {
		count = 10_000
	}
	c := join(t, "many")
	served := watchServer(t)
	dir := filepath.Join(c.home, "data")
	for i := range count {
		path := filepath.Join(dir, fmt.Sprintf("d%02d", i%50), fmt.Sprintf("f%05d", i))
		if i < 50 {
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(path, []byte(strings.Repeat(fmt.Sprintln(i), i%100)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// The first put is killed; the second sends what is missing, and nothing twice.
	world.gate.watch(nil)
	first := c.launch("files", "put", "-r", "--parallel", strconv.Itoa(parallel), dir)
	harness.Eventually(t, 5*time.Minute, func() (bool, string) {
		return len(world.gate.taken()) >= count/10, fmt.Sprintf("%d files are sent", len(world.gate.taken()))
	})
	first.kill(t)
	before := c.listed()
	world.gate.watch(nil)
	began := time.Now()
	second := c.launch("files", "put", "-r", "--parallel", strconv.Itoa(parallel), dir)
	second.wait(t)
	sent := len(world.gate.taken())
	t.Logf("%d files before the kill; %d sent after it in %v", before, sent, time.Since(began).Round(time.Millisecond))
	// Those that were on their way at the kill may have been stored since, or be there already when their PUT is repeated.
	if sent > count-before || sent < count-before-2*parallel || c.listed() != count {
		t.Errorf("%d files are stored, %d were sent after %d of %d were stored", c.listed(), sent, before, count)
	}
	back := filepath.Join(c.home, "back")
	began = time.Now()
	get := c.launch("files", "get", "--class", "upload", "--parallel", strconv.Itoa(parallel), back)
	get.wait(t)
	t.Logf("%d files came back in %v", count, time.Since(began).Round(time.Millisecond))
	for i := range count {
		name := fmt.Sprintf("data/d%02d/f%05d", i%50, i)
		if got, err := os.ReadFile(filepath.Join(back, name)); err != nil || string(got) != strings.Repeat(fmt.Sprintln(i), i%100) {
			t.Fatalf("%s holds other bytes, %v", name, err)
		}
	}
	world.gate.watch(nil)
	c.must("files", "get", "-r", "data/", "--parallel", strconv.Itoa(parallel), back) // the directory that was put: the same tree
	if n := len(world.gate.ranges()); n > 0 {
		t.Errorf("a get of what is there fetched %d files", n)
	}
	c.withinMemory(served)
}

// listed counts stored files through pages of JSON.
func (c *client) listed() int {
	c.t.Helper()
	return strings.Count(c.must("files", "ls", "--json").Stdout, "\n")
}

func TestNamesOfEveryKindComeBackAsTheyWere(t *testing.T) {
	c := join(t, "names")
	dir := filepath.Join(c.home, "d")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	names := []string{"a\nb", "a|b", "100%", "%00", "ü漢字", "-rf", "--force", "a b", "$(id)", "`id`", "~", "#x", "a?b=c&d", "x\ty", "'", "\"", "\\", "...", "_2E", strings.Repeat("n", 255), strings.Repeat("é", 120)}
	for i, name := range names {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(fmt.Sprint(i)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c.must("files", "put", "-r", dir)
	stored := map[string]bool{}
	for line := range strings.Lines(c.must("files", "ls", "--json").Stdout) {
		var f struct{ Name string }
		if err := json.Unmarshal([]byte(line), &f); err != nil {
			t.Fatal(err)
		}
		stored[f.Name] = true
	}
	back := filepath.Join(c.home, "back")
	c.must("files", "get", "--class", "upload", back)
	for i, name := range names {
		if !stored["d/"+name] {
			t.Errorf("%q is not stored under its name", name)
		}
		single := filepath.Join(c.home, fmt.Sprintf("single-%d", i))
		c.must("files", "get", "--", "d/"+name, single)
		if got, err := os.ReadFile(single); err != nil || string(got) != fmt.Sprint(i) {
			t.Errorf("%q comes back as %q, %v", name, got, err)
		}
	}
	entries, err := os.ReadDir(filepath.Join(back, "d"))
	if err != nil || len(entries) != len(names) {
		t.Errorf("%d of %d files came back, %v", len(entries), len(names), err)
	}
}

func TestAStoreThatIsAwayIsSaidClearly(t *testing.T) {
	c := join(t, "away")
	path, _ := c.file("x", 10)
	world.gate.watch(func(*http.Request) { panic(http.ErrAbortHandler) })
	t.Cleanup(func() { world.gate.watch(nil) })
	got := c.run("files", "put", path)
	if got.Code != 4 || !strings.Contains(got.Stderr, "object store did not answer") || !strings.Contains(got.Stderr, "again") || strings.Contains(got.Stderr, "X-Amz") {
		t.Errorf("the store is away: %d %s", got.Code, got.Stderr)
	}
	world.gate.watch(nil)
	c.must("files", "put", path)
}
