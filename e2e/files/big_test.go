package files

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ergon-hpc/ergon/e2e/harness"
)

func TestALargeFileSurvivesKillsOnBothWays(t *testing.T) {
	size := int64(300_000_000)
	if full() {
		size = 5 << 30
	}
	c := join(t, "large")
	served := watchServer(t)
	var caged []cage
	if full() {
		caged = cages(t)
	}
	path, sum := c.file("large.bin", size)
	held := c.putKilled(path, 3)
	world.gate.watch(nil)
	put := c.launch("files", "put", path)
	put.wait(t)
	again := world.gate.taken()
	if len(again) == 0 {
		t.Error("nothing was left to send: the kill came too late")
	}
	for part, n := range again {
		if held[part] > 0 || n != 1 {
			t.Errorf("part %s was sent again: %d times, %d before the kill", part, n, held[part])
		}
	}
	t.Logf("of %d parts %d were stored before the kill, %d after it", len(held)+len(again), len(held), len(again))
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	back := filepath.Join(c.home, "back.bin")
	from := c.getKilled("large.bin", back, size)
	world.gate.watch(nil)
	get := c.launch("files", "get", "large.bin", back)
	get.wait(t)
	if got := sumOf(t, back); got != sum {
		t.Errorf("other bytes came back: %s instead of %s", got, sum)
	}
	if got, want := world.gate.sent.Load(), size-from; got != want {
		t.Errorf("the second get fetched %d bytes, want the %d that were missing", got, want)
	}
	t.Logf("of %d bytes %d were there when get was killed", size, from)
	c.withinMemory(served)
	for _, cage := range caged {
		cage.check(t)
	}
	if left, err := filepath.Glob(filepath.Join(c.home, ".ergon-*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
	c.must("files", "rm", "large.bin")
}

// putKilled puts a file, kills the client after some parts were stored, and tells which.
func (c *client) putKilled(path string, parts int) map[string]int {
	c.t.Helper()
	killed := make(chan struct{})
	defer close(killed)
	world.gate.watch(func(r *http.Request) {
		if isPut(r) && len(world.gate.taken()) >= parts {
			<-killed // the store is slow now, so that the kill meets parts on their way
		}
	})
	put := c.launch("files", "put", path)
	harness.Eventually(c.t, 10*time.Minute, func() (bool, string) {
		select {
		case <-put.done:
			c.t.Fatalf("put ended before it was killed: %s", tail(put.out.String()))
		default:
		}
		return len(world.gate.taken()) >= parts, fmt.Sprintf("%d of %d parts are stored", len(world.gate.taken()), parts)
	})
	put.kill(c.t)
	return world.gate.taken()
}

// getKilled gets a file, kills the client in the middle, and tells how many bytes it left.
func (c *client) getKilled(name, to string, size int64) int64 {
	c.t.Helper()
	world.gate.watch(nil)
	get := c.launch("files", "get", name, to)
	part := func() (n int64) {
		found, err := filepath.Glob(filepath.Join(filepath.Dir(to), ".ergon-*.part"))
		if err != nil || len(found) == 0 {
			return 0
		}
		st, err := os.Stat(found[0])
		if err != nil {
			return 0
		}
		return st.Size()
	}
	harness.Eventually(c.t, 10*time.Minute, func() (bool, string) {
		return part() > size/20, fmt.Sprintf("%d of %d bytes came", part(), size)
	})
	get.kill(c.t)
	if _, err := os.Stat(to); err == nil {
		c.t.Fatal("get was done before it was killed")
	}
	return part()
}

func TestAPutSurvivesAServerThatIsKilled(t *testing.T) {
	c := join(t, "patient")
	path, sum := c.file("patient.bin", 150_000_000)
	var once sync.Once
	killed := make(chan struct{})
	world.gate.watch(func(r *http.Request) {
		if isPut(r) && len(world.gate.taken()) >= 2 {
			once.Do(func() {
				world.kill(t)
				close(killed)
			})
		}
	})
	put := c.launch("files", "put", path)
	select {
	case <-killed:
	case <-put.done:
		t.Fatalf("put ended before the server was killed: %s", tail(put.out.String()))
	}
	held := world.gate.taken()
	if err := world.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	<-put.done
	if code := put.cmd.ProcessState.ExitCode(); code != 0 {
		t.Logf("put gave up meanwhile (%d: %s); it is repeated", code, tail(put.out.String()))
		c.must("files", "put", path)
	}
	for part, n := range world.gate.taken() {
		if held[part] > 0 && n > 1 {
			t.Errorf("part %s was stored before the kill and sent again", part)
		}
	}
	back := filepath.Join(c.home, "back.bin")
	c.must("files", "get", "patient.bin", back)
	if got := sumOf(t, back); got != sum {
		t.Errorf("other bytes came back: %s instead of %s", got, sum)
	}
	if ranges := world.gate.ranges(); len(ranges) == 0 {
		t.Error("the gate saw no download")
	}
	c.must("files", "rm", "patient.bin")
}

func TestWhatCannotBeStoredIsSaidClearly(t *testing.T) {
	c := join(t, "poor")
	world.admin(t, "quota", "set", "--user", "poor", "--bytes", "1000", "--objects", "2")
	small, _ := c.file("small", 600)
	c.must("files", "put", small)
	big, _ := c.file("big", 601)
	refused := c.run("files", "put", big)
	if refused.Code != 1 || !strings.Contains(refused.Stderr, "do not fit") || !strings.Contains(refused.Stderr, "600 used") || !strings.Contains(refused.Stderr, "1000 bytes") {
		t.Errorf("over quota: %d %s", refused.Code, refused.Stderr)
	}
	if quota := c.must("quota", "-o", "csv").Stdout; !strings.Contains(quota, "600,0,1000,1,0,2") {
		t.Errorf("ergon quota says %s", quota)
	}
	for _, args := range [][]string{{"files", "get", "absent", c.home}, {"files", "rm", "absent"}, {"files", "share", "absent"}} {
		if got := c.run(args...); got.Code != 5 || !strings.Contains(got.Stderr, "ergon files ls") {
			t.Errorf("%v: %d %s", args, got.Code, got.Stderr)
		}
	}
	if err := os.WriteFile(filepath.Join(c.home, "there"), []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := c.run("files", "get", "small", filepath.Join(c.home, "there")); got.Code != 1 || !strings.Contains(got.Stderr, "--force") {
		t.Errorf("over an existing file: %d %s", got.Code, got.Stderr)
	}
	link := strings.TrimSpace(c.must("files", "share", "small").Stdout)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, link, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := (&http.Client{Timeout: time.Minute}).Do(req)
	if err != nil {
		t.Fatal("the shared link does not answer")
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Length") != strconv.Itoa(600) || !strings.Contains(resp.Header.Get("Content-Disposition"), "attachment") {
		t.Errorf("the shared link answers %d %v", resp.StatusCode, resp.Header)
	}
}
