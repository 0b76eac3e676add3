package files

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// signed is in every presigned URL and nowhere else.
const signed = "X-Amz-Signature"

// exposure looks, while a request to the store is on its way, at what any user of the machine sees of processes.
type exposure struct {
	tokens   []string
	programs map[int]string // those of which each look must have seen the arguments: pid and name
	home     string         // of the client, whose pid nobody knows before

	mu         sync.Mutex
	signatures []string
	looks      map[string]int // by kind of request
	seen       map[string]int // by program: looks that saw its arguments
	faults     []string
}

// look holds up a request and searches every process for its signature and the client's tokens.
func (e *exposure) look(r *http.Request) {
	e.mu.Lock()
	defer e.mu.Unlock()
	signature := r.URL.Query().Get(signed)
	kind := r.Method
	if isPut(r) {
		kind = "PUT of a part"
	}
	e.looks[kind]++
	e.signatures = append(e.signatures, signature)
	e.search(append([]string{signature}, e.tokens...))
}

// search reads proc(5)'s cmdline and environ of all processes, whoever started them.
func (e *exposure) search(secrets []string) {
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		e.faults = append(e.faults, err.Error())
	}
	for _, dir := range dirs {
		arguments, _ := os.ReadFile(dir + "/cmdline") // a process that has ended has none
		environment, _ := os.ReadFile(dir + "/environ")
		if name := e.name(dir, environment); name != "" && len(arguments) > 0 {
			e.seen[name]++
		}
		for _, secret := range secrets {
			if bytes.Contains(arguments, []byte(secret)) || bytes.Contains(environment, []byte(secret)) {
				e.faults = append(e.faults, fmt.Sprintf("arguments or environment of %q hold a signature or a token", bytes.Split(arguments, []byte{0})[0]))
			}
		}
	}
}

func (e *exposure) name(dir string, environment []byte) string {
	pid, err := strconv.Atoi(filepath.Base(dir))
	if err != nil {
		return ""
	}
	if program, err := os.Readlink(dir + "/exe"); err == nil && filepath.Base(program) == "ergon" && bytes.Contains(environment, []byte("HOME="+e.home+"\x00")) {
		return "ergon"
	}
	return e.programs[pid]
}

// tokens are those that the client keeps in its home.
func (c *client) tokens() (tokens []string) {
	c.t.Helper()
	names, err := filepath.Glob(filepath.Join(c.home, ".config/ergon/*.json"))
	if err != nil {
		c.t.Fatal(err)
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			c.t.Fatal(err)
		}
		var session struct {
			Access  string `json:"access_token"`
			Refresh string `json:"refresh_token"`
		}
		if json.Unmarshal(text, &session) == nil && len(session.Access) > 20 && len(session.Refresh) > 20 {
			tokens = append(tokens, session.Access, session.Refresh)
		}
	}
	if len(tokens) == 0 {
		c.t.Fatal("no session with tokens is in the client's home, so the search for them proves nothing")
	}
	return tokens
}

// The gate stops each request on its way to the store: the programs that made it are there, and its signature is good.
func TestThreat_T11_WhileARequestIsOnItsWayNoProcessShowsItsURLOrAToken(t *testing.T) {
	c := join(t, "watched")
	e := &exposure{
		tokens: c.tokens(), home: c.home, looks: map[string]int{}, seen: map[string]int{},
		programs: map[int]string{world.process.PID(): "ergon-server", world.store(t): "its object store"},
	}
	small, _ := c.file("small.bin", 1000)
	large, _ := c.file("large.bin", 65<<20) // in parts
	world.gate.watch(e.look)
	t.Cleanup(func() { world.gate.watch(nil) })
	printed := c.must("files", "put", small, large)
	for _, name := range []string{"small.bin", "large.bin"} {
		got := c.must("files", "get", name, filepath.Join(c.home, "back-"+name))
		printed.Stdout, printed.Stderr = printed.Stdout+got.Stdout, printed.Stderr+got.Stderr
	}
	world.gate.watch(nil)
	for _, fault := range e.faults {
		t.Error(fault)
	}
	all := 0
	for _, kind := range []string{http.MethodPut, "PUT of a part", http.MethodGet} {
		if all += e.looks[kind]; e.looks[kind] == 0 {
			t.Errorf("nobody looked during a %s: %v", kind, e.looks)
		}
	}
	for _, program := range []string{"ergon", "ergon-server", "its object store"} {
		if e.seen[program] < all {
			t.Errorf("in %d of %d looks the arguments of %s were seen: %v", e.seen[program], all, program, e.seen)
		}
	}
	e.findsADecoy(t)
	e.nowhere(t, c, printed.Stdout+printed.Stderr)
}

// findsADecoy shows that a signature among the arguments of a process is found.
func (e *exposure) findsADecoy(t *testing.T) {
	t.Helper()
	decoy := exec.CommandContext(t.Context(), "/bin/sh", "-c", "read -r line", "decoy", e.signatures[0])
	end, err := decoy.StdinPipe()
	if err == nil {
		err = decoy.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	before := len(e.faults)
	e.search(e.signatures[:1])
	if len(e.faults) == before {
		t.Error("a process with a signature among its arguments is not found")
	}
	_ = end.Close()
	_ = decoy.Wait() // read fails at the end of its input
}

// nowhere searches logs, what was printed, databases and the files of the client.
func (e *exposure) nowhere(t *testing.T, c *client, printed string) {
	t.Helper()
	log := world.process.Log()
	if !strings.Contains(log, `"DEBUG"`) {
		t.Error("nothing was logged at debug level, so the log proves nothing")
	}
	for _, secret := range append(append([]string{signed}, e.signatures...), e.tokens...) {
		if strings.Contains(log, secret) || strings.Contains(printed, secret) {
			t.Error("a log or what a command printed holds a signature or a token")
		}
	}
	const most = 32 << 20 // larger are the files that were sent
	searched := 0
	for _, dir := range []string{filepath.Join(world.dir, "server"), c.home} {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return nil //nolint:nilerr // a log of SQLite that was folded in meanwhile
			}
			text, err := os.ReadFile(path)
			if err != nil || len(text) > most {
				return nil //nolint:nilerr // as above
			}
			searched++
			for _, secret := range append([]string{signed}, e.signatures...) {
				if bytes.Contains(text, []byte(secret)) {
					t.Errorf("%s holds a signature", path)
				}
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
	if searched < 3 {
		t.Errorf("only %d files were searched", searched)
	}
}
