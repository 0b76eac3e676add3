package files

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// gate stands between the clients and the object store, as a load balancer would: it passes everything on with its Host,
// counts it, and lets a test look at each request before it goes on.
type gate struct {
	url    string
	server *http.Server

	mu   sync.Mutex
	puts map[string]int // answered 200, by object and part
	gets []string       // Range headers
	sent atomic.Int64   // bytes of answers to GET
	hook func(r *http.Request)
}

func newGate(store string) (*gate, error) {
	g := &gate{puts: map[string]int{}}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("opening the gate: %w", err)
	}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host = "http", store
			r.Out.Host = r.In.Host // it is signed
		},
		ModifyResponse: g.answered,
		ErrorHandler:   func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
		BufferPool:     &pool{sync.Pool{New: func() any { return make([]byte, 64<<10) }}},
	}
	g.url = "http://" + listener.Addr().String()
	g.server = &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.mu.Lock()
		if r.Method == http.MethodGet {
			g.gets = append(g.gets, r.Header.Get("Range"))
		}
		hook := g.hook
		g.mu.Unlock()
		if hook != nil {
			hook(r)
		}
		proxy.ServeHTTP(w, r)
	})}
	go func() { _ = g.server.Serve(listener) }() // ends with close
	return g, nil
}

type pool struct{ sync.Pool }

// Get is httputil.BufferPool's.
func (p *pool) Get() []byte { b, _ := p.Pool.Get().([]byte); return b }

// Put is httputil.BufferPool's.
func (p *pool) Put(b []byte) { p.Pool.Put(b) } //nolint:staticcheck // a header of 24 bytes is allocated

func (g *gate) close() error { return g.server.Shutdown(context.Background()) }

// answered counts what the store has taken and given.
func (g *gate) answered(resp *http.Response) error {
	if resp.Request.Method == http.MethodPut && resp.StatusCode == http.StatusOK {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.puts[resp.Request.URL.Path+"#"+resp.Request.URL.Query().Get("partNumber")]++
	}
	if resp.Request.Method == http.MethodGet {
		resp.Body = &counted{resp.Body, &g.sent}
	}
	return nil
}

type counted struct {
	io.ReadCloser
	n *atomic.Int64
}

// Read counts.
func (c *counted) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.n.Add(int64(n))
	return n, err
}

// watch begins to count anew. hook may be nil; it may block.
func (g *gate) watch(hook func(r *http.Request)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.puts, g.gets, g.hook = map[string]int{}, nil, hook
	g.sent.Store(0)
}

// taken are the PUTs that the store has taken since watch, and how often each.
func (g *gate) taken() map[string]int {
	g.mu.Lock()
	defer g.mu.Unlock()
	out := make(map[string]int, len(g.puts))
	for name, n := range g.puts {
		out[name] = n
	}
	return out
}

func (g *gate) ranges() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]string(nil), g.gets...)
}

func isPut(r *http.Request) bool {
	return r.Method == http.MethodPut && strings.Contains(r.URL.RawQuery, "partNumber=")
}
