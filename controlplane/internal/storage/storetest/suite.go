// Package storetest is what every object store must do before storage trusts it. Adapters run it against real servers:
//
//	storetest.Run(t, store)
//
// It sends what clients send, over HTTP, and lies in every way that a client can (design 03 T12).
package storetest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/controlplane/internal/storage"
)

// Store is a whole object store.
type Store interface {
	storage.Signer
	storage.OpenSigner
	storage.Bytes
	storage.Multiparts
	storage.Eraser
}

// urlLife is how long what is signed is good: a whole table of lies is told with one signature, also where the machine is busy.
const urlLife = 10 * time.Minute

// Suite is a run against one store.
type Suite struct {
	Store  Store
	prefix string
}

// Run checks everything, below a prefix of its own.
func Run(t *testing.T, store Store) {
	s := Suite{Store: store, prefix: uuid.NewString() + "/"}
	t.Run("objects", s.objects)
	t.Run("names", s.names)
	t.Run("lies about a PUT", s.putLies)
	t.Run("lies about a PUT of unknown content", s.openLies)
	t.Run("lies about a part", s.partLies)
	t.Run("lies about a GET", s.getLies)
	t.Run("replay", s.replay)
	t.Run("replay of a PUT of unknown content", s.openReplay)
	t.Run("multipart", s.multipart)
	t.Run("completing twice", s.completeTwice)
	t.Run("multipart does not overwrite", s.multipartOverwrite)
	t.Run("abort", s.abort)
	t.Run("abort what nobody wrote down", s.abortAll)
	t.Run("erase", s.erase)
	t.Run("download", s.download)
	t.Run("list", s.list)
}

func (s Suite) key(t *testing.T) string {
	t.Helper()
	return s.prefix + uuid.NewString() + "_x"
}

func (s Suite) order(key string, content []byte) storage.PutOrder {
	return storage.PutOrder{
		Key: key, ContentType: "text/plain", SizeBytes: int64(len(content)), SHA256: sha256.Sum256(content), Lifetime: urlLife,
	}
}

// Put stores content under key by a presigned PUT.
func (s Suite) put(t *testing.T, key string, content []byte) {
	t.Helper()
	signed, err := s.Store.SignPut(t.Context(), s.order(key, content))
	if err != nil {
		t.Fatal(err)
	}
	if status, text := Send(t, signed, content, nil); status != http.StatusOK {
		t.Fatalf("PUT answers %d: %s", status, text)
	}
}

// Send makes a presigned request with a body; change may turn it into a lie. A connection that the store breaks counts as
// status 0: stores do so when they refuse early.
func Send(t testing.TB, signed storage.Presigned, body []byte, change func(*http.Request)) (status int, answer string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), urlLife)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, signed.Method, signed.URL.Reveal(), bytes.NewReader(body))
	if err != nil {
		t.Fatal("the presigned URL cannot be parsed")
	}
	for name, value := range signed.Headers {
		if name != "Content-Length" {
			req.Header.Set(name, value)
		}
	}
	if change != nil {
		change(req)
	}
	resp, err := Client().Do(req)
	if err != nil {
		return 0, "the connection broke"
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return 0, "the connection broke"
	}
	return resp.StatusCode, string(raw)
}

// Client follows no redirect and keeps no connection, so that a refused request cannot spoil the next.
func Client() *http.Client {
	return &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func (s Suite) absent(t *testing.T, key string) {
	t.Helper()
	if info, err := s.Store.Head(t.Context(), key); !errors.Is(err, storage.ErrNoObject) {
		t.Errorf("the store keeps %d bytes, %v", info.SizeBytes, err)
	}
}

func (s Suite) objects(t *testing.T) {
	for _, content := range [][]byte{nil, []byte("x"), bytes.Repeat([]byte("0123456789abcdef"), 1<<16)} {
		key := s.key(t)
		s.absent(t, key)
		s.put(t, key, content)
		info, err := s.Store.Head(t.Context(), key)
		want := storage.Digest(sha256.Sum256(content)).Checksum()
		if err != nil || info.SizeBytes != int64(len(content)) || info.Checksum != want {
			t.Errorf("%d bytes: head says %+v, %v; want checksum %s", len(content), info, err, want)
		}
		if got := s.read(t, key); !bytes.Equal(got, content) {
			t.Errorf("%d bytes come back as %d", len(content), len(got))
		}
		for range 2 { // the second time there is nothing to delete
			if err := s.Store.Delete(t.Context(), key); err != nil {
				t.Error(err)
			}
		}
		s.absent(t, key)
		if _, err := s.Store.Open(t.Context(), key); !errors.Is(err, storage.ErrNoObject) {
			t.Errorf("opening what is gone: %v", err)
		}
	}
}

func (s Suite) read(t *testing.T, key string) []byte {
	t.Helper()
	body, err := s.Store.Open(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	got, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// names: what safename makes of them must be storable, at full length and side by side.
func (s Suite) names(t *testing.T) {
	dir := s.prefix + "names/"
	keys := []string{
		dir + "a", dir + "a_/b", dir + "a_/b_/c", dir + ".hidden", dir + "-rf", dir + "_2E", dir + "a_0Ab_7C",
		dir + strings.Repeat("n", 255), dir + strings.Repeat(strings.Repeat("d", 250)+"_/", 3) + "leaf",
	}
	for i, key := range keys {
		s.put(t, key, fmt.Append(nil, i))
	}
	for i, key := range keys {
		if got := s.read(t, key); string(got) != fmt.Sprint(i) {
			t.Errorf("%.40s… holds %q, want %d", key, got, i)
		}
	}
}

func (s Suite) replay(t *testing.T) {
	content := []byte("once")
	signed, err := s.Store.SignPut(t.Context(), s.order(s.key(t), content))
	if err != nil {
		t.Fatal(err)
	}
	wantOneOfMany(t, signed, content)
}

// wantOneOfMany sends a PUT many times at once, and once more.
func wantOneOfMany(t *testing.T, signed storage.Presigned, content []byte) {
	t.Helper()
	const racers = 16
	wins := make(chan bool, racers)
	for range racers {
		go func() {
			status, _ := Send(t, signed, content, nil)
			wins <- status == http.StatusOK
		}()
	}
	won := 0
	for range racers {
		if <-wins {
			won++
		}
	}
	if won != 1 {
		t.Errorf("%d of %d identical PUTs were accepted, want 1", won, racers)
	}
	if status, _ := Send(t, signed, content, nil); status != http.StatusPreconditionFailed {
		t.Errorf("a replay answers %d, want 412", status)
	}
}

func (s Suite) download(t *testing.T) {
	key, content := s.key(t), []byte("<script>alert(1)</script>")
	s.put(t, key, content)
	for _, name := range []string{"result.txt", "a\"b\r\nSet-Cookie: x=1", "größe ü.txt", "../../etc/passwd", "", strings.Repeat("x", 300)} {
		signed, err := s.Store.SignGet(t.Context(), storage.GetOrder{Key: key, FileName: name, Lifetime: urlLife})
		if err != nil {
			t.Fatal(err)
		}
		resp, err := Client().Get(signed.URL.Reveal())
		if err != nil {
			t.Fatalf("%.20q: the connection broke", name)
		}
		got, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK || !bytes.Equal(got, content) {
			t.Errorf("%.20q: %d, %q, %v", name, resp.StatusCode, got, err)
		}
		resp.Body.Close()
		h := resp.Header
		if d := h.Get("Content-Disposition"); !strings.HasPrefix(d, "attachment;") || strings.ContainsAny(d, "\r\n/") {
			t.Errorf("%.20q: disposition %q", name, d)
		}
		if h.Get("Set-Cookie") != "" || h.Get("Content-Type") != "application/octet-stream" {
			t.Errorf("%.20q: headers %v", name, h)
		}
		if status, _ := Send(t, signed, nil, func(r *http.Request) { r.Method = http.MethodDelete }); status < 400 {
			t.Errorf("the GET URL deletes: %d", status)
		}
	}
}

func (s Suite) list(t *testing.T) {
	dir := s.prefix + "list/"
	want := []string{}
	for i := range 7 {
		key := fmt.Sprintf("%s%d_/x", dir, i)
		s.put(t, key, []byte("x"))
		want = append(want, key)
	}
	for _, name := range []string{"7_-x", "7_.x", "7_/x", "7_/x_2F", "7_2F"} { // bytes around the slash
		s.put(t, dir+name, []byte("x"))
		want = append(want, dir+name)
	}
	var got []string
	for after := ""; ; {
		page, err := s.Store.List(t.Context(), dir, after, 3)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) > 3 {
			t.Fatalf("a page of 3 has %d", len(page))
		}
		for _, o := range page {
			got = append(got, o.Key)
			after = o.Key
		}
		if len(page) == 0 {
			break
		}
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("got %v\nwant %v", got, want)
	}
}
