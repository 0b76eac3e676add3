package s3store

import (
	"crypto/sha256"
	"fmt"
	"mime"
	"net/url"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ergon-hpc/ergon/controlplane/internal/storage"
	"github.com/ergon-hpc/ergon/shared/secret"
)

func offline(t testing.TB) *Store {
	t.Helper()
	id := func(name string) Identity {
		return Identity{AccessKey: name, SecretKey: secret.New("s3cret-of-" + name)}
	}
	s, err := Open(Config{
		URL: "http://inside:9000", PublicURL: "https://store.example.org", Region: "us-east-1", Bucket: "ergon",
		Maintenance: id("maintenance"), PutSigner: id("put"), GetSigner: id("get"),
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestThreat_T12_SignedRequestsNameThePublicAddressAndBindEverything(t *testing.T) {
	s := offline(t)
	put, err := s.SignPut(t.Context(), storage.PutOrder{Key: "u/k", ContentType: "text/plain", SizeBytes: 7, SHA256: sha256.Sum256(nil), Lifetime: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	part, err := s.SignPart(t.Context(), storage.PartOrder{Key: "u/k", StoreUploadID: "up", Number: 2, SizeBytes: 7, Lifetime: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	get, err := s.SignGet(t.Context(), storage.GetOrder{Key: "u/k", FileName: "k", Lifetime: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		p               storage.Presigned
		method, by, set string
	}{
		{put, "PUT", "put", "content-length;content-type;host;if-none-match;x-amz-checksum-sha256"},
		{part, "PUT", "put", "content-length;host;x-amz-checksum-sha256"},
		{get, "GET", "get", "host"},
	} {
		u, err := url.Parse(c.p.URL.Reveal())
		if err != nil {
			t.Fatal(err)
		}
		q := u.Query()
		if u.Scheme != "https" || u.Host != "store.example.org" || u.Path != "/ergon/u/k" || c.p.Method != c.method {
			t.Errorf("%s %s://%s%s", c.p.Method, u.Scheme, u.Host, u.Path)
		}
		if q.Get("X-Amz-SignedHeaders") != c.set || !strings.HasPrefix(q.Get("X-Amz-Credential"), c.by+"/") || q.Get("X-Amz-Expires") != "60" {
			t.Errorf("signed %s by %s for %s s", q.Get("X-Amz-SignedHeaders"), q.Get("X-Amz-Credential"), q.Get("X-Amz-Expires"))
		}
		if len(c.p.Headers) != strings.Count(c.set, ";") {
			t.Errorf("headers %v for %s", c.p.Headers, c.set)
		}
		if text := fmt.Sprintf("%v %+v %#v", c.p, c.p, c.p); strings.Contains(text, "Signature") {
			t.Error("the URL prints")
		}
	}
}

func TestAttachmentNamesAreHarmless(t *testing.T) {
	for name, want := range map[string]string{
		"a.txt":            `attachment; filename=a.txt`,
		"a b.txt":          `attachment; filename="a b.txt"`,
		"dir/sub/a.txt":    `attachment; filename=a.txt`,
		`c:\x\a.txt`:       `attachment; filename=a.txt`,
		"":                 `attachment; filename=download`,
		"..":               `attachment; filename=download; filename*=UTF-8''..`,
		"x\r\nSet-Cookie:": `attachment; filename="x__Set-Cookie:"; filename*=UTF-8''x%0D%0ASet-Cookie%3A`,
		`a";b`:             `attachment; filename=a__b; filename*=UTF-8''a%22%3Bb`,
		"ü":                `attachment; filename=_; filename*=UTF-8''%C3%BC`,
	} {
		if got := attachment(name); got != want {
			t.Errorf("%q:\n got %s\nwant %s", name, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.String().Draw(t, "name")
		got := attachment(name)
		kind, params, err := mime.ParseMediaType(got)
		if err != nil || kind != "attachment" || params["filename"] == "" {
			t.Fatalf("%q gives %q: %v", name, got, err)
		}
		for _, r := range got {
			if r < ' ' || r > '~' {
				t.Fatalf("%q gives %q", name, got)
			}
		}
	})
}

func TestOpenRefusesWhatItWouldMisread(t *testing.T) {
	good := offline(t).cfg
	for name, change := range map[string]func(*Config){
		"no scheme":        func(c *Config) { c.URL = "store:9000" },
		"path in the URL":  func(c *Config) { c.URL = "http://store:9000/bucket" },
		"password in it":   func(c *Config) { c.PublicURL = "https://user:hunter2@store" },
		"query":            func(c *Config) { c.PublicURL = "https://store?x=hunter2" },
		"no bucket":        func(c *Config) { c.Bucket = "" },
		"no region":        func(c *Config) { c.Region = "" },
		"missing identity": func(c *Config) { c.GetSigner = Identity{} },
		"missing secret":   func(c *Config) { c.PutSigner.SecretKey = secret.Secret{} },
	} {
		cfg := good
		change(&cfg)
		if _, err := Open(cfg); err == nil {
			t.Errorf("%s is accepted", name)
		} else if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: the error quotes it", name)
		}
	}
}
