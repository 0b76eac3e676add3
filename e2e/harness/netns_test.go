package harness

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

const answer = `import http.server,sys
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(s): s.send_response(200); s.end_headers(); s.wfile.write(s.client_address[0].encode())
    def log_message(s,*a): pass
v=http.server.HTTPServer((sys.argv[1],8080),H); print("ready",flush=True); v.serve_forever()`

func netPair(t *testing.T) *NetPair {
	t.Helper()
	skipUnlessRoot(t)
	pair, err := StartNetPair(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := pair.Close(); err != nil {
			t.Error(err)
		}
	})
	return pair
}

func TestNetPairIsJoinedByOneLinkOnly(t *testing.T) {
	pair := netPair(t)
	spec := Spec{
		Namespace: pair.Server, Env: rootEnv(), Dir: "/",
		Args: []string{"/usr/bin/python3", "-c", answer, pair.Server.Addr.String()},
	}
	Start(t, "server", spec).WaitLog(t, "ready", 10*time.Second)
	url := "http://" + pair.Server.Addr.String() + ":8080/"

	t.Run("the agent's side reaches the server with its own address", func(t *testing.T) {
		client := &http.Client{Transport: &http.Transport{DialContext: pair.Agent.DialContext}, Timeout: 5 * time.Second}
		response, err := client.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err != nil || string(body) != pair.Agent.Addr.String() {
			t.Errorf("answer %q, %v; want %s", body, err, pair.Agent.Addr)
		}
	})
	t.Run("the host does not", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", pair.Server.Addr.String()+":8080")
		if err == nil {
			conn.Close()
			t.Error("the host reaches the server's namespace")
		}
	})
}

func TestCommandsInANamespaceRunAsTheUser(t *testing.T) {
	pair := netPair(t)
	u, err := LookupUser("nobody")
	if err != nil {
		t.Fatal(err)
	}
	got, err := Spec{User: u, Namespace: pair.Agent, Dir: "/", Args: []string{"/bin/bash", "-c", "id -un; ls /sys/class/net >/dev/null; cat /proc/net/dev"}}.Run(t.Context())
	if err != nil || got.Code != 0 {
		t.Fatalf("%+v, %v", got, err)
	}
	if !strings.HasPrefix(got.Stdout, "nobody\n") || !contains(got.Stdout, "e2e0") {
		t.Errorf("got %q, want user nobody and the link e2e0", got.Stdout)
	}
}

func TestThreadsReturnToTheHostsNamespace(t *testing.T) {
	pair := netPair(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for range 50 {
		if conn, err := pair.Agent.DialContext(t.Context(), "tcp", l.Addr().String()); err == nil {
			conn.Close()
			t.Fatal("the host's loopback is visible in the namespace")
		}
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", l.Addr().String())
		if err != nil {
			t.Fatalf("the test's own thread lost the host's network: %v", err)
		}
		conn.Close()
	}
}
