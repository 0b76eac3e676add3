package storetest

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ergon-hpc/ergon/controlplane/internal/storage"
)

const downloaded, othersSecret = "what may be downloaded", "another tenant's secret"

// getLies: a download URL is for one object, one method, one time and one disposition.
func (s Suite) getLies(t *testing.T) {
	key, victim := s.key(t), s.key(t)
	s.put(t, key, []byte(downloaded))
	s.put(t, victim, []byte(othersSecret))
	signed := s.signGet(t, key, urlLife)
	bucket := bucketPath(t, signed, key)
	method := func(name string) func(*http.Request) {
		return func(r *http.Request) { r.Method = name }
	}
	for _, l := range []lie{
		{"foreign key", func(r *http.Request) { r.URL.Path, r.URL.RawPath = bucket+victim, "" }},
		{"the bucket instead", func(r *http.Request) { r.URL.Path, r.URL.RawPath = strings.TrimSuffix(bucket, "/"), "" }},
		{"PUT instead", both(method(http.MethodPut), body(falsehood))},
		{"PUT of a copy", both(method(http.MethodPut), header("X-Amz-Copy-Source", bucket+victim))},
		{"POST instead", method(http.MethodPost)},
		{"DELETE instead", method(http.MethodDelete)},
		{"HEAD instead", method(http.MethodHead)},
		{"shown in the browser", query("response-content-disposition", "inline")},
		{"as a page", query("response-content-type", "text/html")},
		{"with a cookie", query("response-cache-control", "x")},
		{"longer life", query("X-Amz-Expires", "604800")},
		{"made younger", query("X-Amz-Date", "20990101T000000Z")},
		{"fewer signed headers", query("X-Amz-SignedHeaders", "")},
		{"other signed headers", query("X-Amz-SignedHeaders", "x-amz-date")},
		{"another version", query("versionId", "null")},
		{"acl in the query", query("acl", "")},
		{"tags in the query", query("tagging", "")},
		{"no disposition", func(r *http.Request) {
			q := r.URL.Query()
			q.Del("response-content-disposition")
			r.URL.RawQuery = q.Encode()
		}},
		{"no signature", func(r *http.Request) { r.URL.RawQuery = "" }},
	} {
		t.Run(l.name, func(t *testing.T) { s.refusedGet(t, signed, l.change) })
	}
	t.Run("expired", func(t *testing.T) {
		short := s.signGet(t, key, time.Second)
		time.Sleep(2100 * time.Millisecond)
		s.refusedGet(t, short, nil)
	})
	for k, want := range map[string]string{key: downloaded, victim: othersSecret} {
		if got := s.read(t, k); string(got) != want {
			t.Errorf("an object now holds %q, want %q", got, want)
		}
	}
	if status, text := Send(t, signed, nil, nil); status != http.StatusOK || text != downloaded {
		t.Errorf("the truth afterwards: %d %q", status, text)
	}
}

func (s Suite) signGet(t *testing.T, key string, lifetime time.Duration) storage.Presigned {
	t.Helper()
	signed, err := s.Store.SignGet(t.Context(), storage.GetOrder{Key: key, FileName: "x.txt", Lifetime: lifetime})
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// refusedGet: the store says no, and gives no byte of either object away.
func (s Suite) refusedGet(t *testing.T, signed storage.Presigned, change func(*http.Request)) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), signed.Method, signed.URL.Reveal(), http.NoBody)
	if err != nil {
		t.Fatal("the presigned URL cannot be parsed")
	}
	if change != nil {
		change(req)
	}
	resp, err := Client().Do(req)
	if err != nil {
		return // broken off
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if resp.StatusCode < 400 || err == nil && (bytes.Contains(answer, []byte(downloaded)) || bytes.Contains(answer, []byte(othersSecret))) {
		t.Errorf("the store answers %d with %d bytes, %v", resp.StatusCode, len(answer), err)
	}
}
