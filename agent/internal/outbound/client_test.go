package outbound

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/ergon-hpc/ergon/shared/api"
)

func TestParseServerTakesHTTPSAndLoopbackOnly(t *testing.T) {
	t.Parallel()
	good := map[string]string{
		"https://ergon.example.org/": "https://ergon.example.org",
		"https://e.org:8443/base/":   "https://e.org:8443/base",
		"http://127.0.0.1:8080":      "http://127.0.0.1:8080",
		"http://[::1]:8080":          "http://[::1]:8080",
		"http://localhost:1":         "http://localhost:1",
	}
	for in, want := range good {
		if got, err := ParseServer(in); err != nil || got != want {
			t.Errorf("ParseServer(%q) = %q, %v; want %q", in, got, err, want)
		}
	}
	bad := []string{"", "ergon.example.org", "http://ergon.example.org", "ftp://x", "https://u:p@x", "https://x?a=b", "https://x#f", "http://127.0.0.1.example.org", "https://", "\x00"}
	for _, in := range bad {
		if got, err := ParseServer(in); err == nil {
			t.Errorf("ParseServer(%q) = %q, want an error", in, got)
		}
	}
}

func TestErrorOfABadServerNeverShowsItsPassword(t *testing.T) {
	t.Parallel()
	_, err := ParseServer("https://u:hunter2@x")
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Fatalf("got %v", err)
	}
}

func get(t *testing.T, h http.HandlerFunc) (*http.Response, error) {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/?token=sekret", nil)
	if err != nil {
		t.Fatal(err)
	}
	return NewClient(5 * time.Second).Do(req)
}

func TestRedirectsAreRefused(t *testing.T) {
	t.Parallel()
	resp, err := get(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/other", http.StatusFound) })
	if err == nil {
		_ = resp.Body.Close()
		t.Fatal("the redirect was followed")
	}
	if got := Explain("srv", err).Error(); !strings.Contains(got, "redirect") || strings.Contains(got, "sekret") {
		t.Fatalf("got %q", got)
	}
}

func TestABodyThatIsTooLargeIsAnError(t *testing.T) {
	t.Parallel()
	for name, declare := range map[string]bool{"declared": true, "chunked": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			resp, err := get(t, func(w http.ResponseWriter, _ *http.Request) {
				if declare {
					w.Header().Set("Content-Length", "99999999999")
				}
				chunk := make([]byte, 1<<20)
				for range MaxBody>>20 + 1 {
					if _, err := w.Write(chunk); err != nil {
						return
					}
				}
			})
			if err == nil {
				defer resp.Body.Close()
				_, err = io.Copy(io.Discard, resp.Body)
			}
			if !errors.Is(err, ErrBodyTooLarge) {
				t.Fatalf("got %v", err)
			}
		})
	}
}

func TestCheckReadsAProblemAndCleansIt(t *testing.T) {
	t.Parallel()
	detail, after := "quota \x1b[31mfull", 7
	resp := &http.Response{StatusCode: 409, Header: http.Header{"Content-Type": {"application/problem+json; charset=utf-8"}}}
	err := Check(resp, &api.Problem{Code: api.QuotaExceeded, Detail: &detail, RetryAfterS: &after}, 200)
	var p *Problem
	if !errors.As(err, &p) || p.Code != api.QuotaExceeded || p.RetryAfter != 7*time.Second || p.Temporary() {
		t.Fatalf("got %#v", err)
	}
	if strings.Contains(err.Error(), "\x1b") || !strings.Contains(err.Error(), "full") {
		t.Fatalf("got %q", err)
	}
}

func TestCheckNeverTrustsAProblemOfAnotherContentType(t *testing.T) {
	t.Parallel()
	detail := "from a proxy"
	resp := &http.Response{StatusCode: 502, Header: http.Header{"Content-Type": {"text/html"}, "Retry-After": {"999999"}}}
	var p *Problem
	if err := Check(resp, &api.Problem{Detail: &detail}, 200); !errors.As(err, &p) || p.Detail != "" || !p.Temporary() || p.RetryAfter != time.Hour {
		t.Fatalf("got %#v", p)
	}
	if Check(&http.Response{StatusCode: 204}, nil, 204) != nil || Check(nil, nil, 204) == nil {
		t.Fatal("the wanted status must pass and no answer must not")
	}
}

func TestExplainKeepsLocalErrorsAndMarksTheNetworks(t *testing.T) {
	t.Parallel()
	local := errors.New("log in first")
	if got := Explain("srv", &Local{Err: local}); !errors.Is(got, local) || errors.Is(got, ErrUnreachable) {
		t.Fatalf("got %v", got)
	}
	if got := Explain("srv", io.EOF); !errors.Is(got, ErrUnreachable) || !errors.Is(got, io.EOF) {
		t.Fatalf("got %v", got)
	}
	if got := Explain("srv", context.Canceled); errors.Is(got, ErrUnreachable) {
		t.Fatalf("got %v", got)
	}
}
