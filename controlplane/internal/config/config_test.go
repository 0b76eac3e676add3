package config

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func load(t *testing.T, yaml string, environ ...string) (Config, error) {
	t.Helper()
	src := Source{Environ: environ}
	if yaml != "" {
		src.File = filepath.Join(t.TempDir(), "ergon.yaml")
		if err := os.WriteFile(src.File, []byte(yaml), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return Load(src)
}

func TestNoConfigurationIsAConfiguration(t *testing.T) {
	c, err := load(t, "", "HOME=/root", "ERGON_TEST_POSTGRES_URL=x")
	if err != nil {
		t.Fatal(err)
	}
	if c.HTTP.Listen != "127.0.0.1:8080" || c.DataDir != "ergon-data" || c.Auth.AccessTTL != 10*time.Minute {
		t.Errorf("%+v", c)
	}
}

func TestTheEnvironmentGoesOverTheFile(t *testing.T) {
	c, err := load(t, "data_dir: /var/lib/x\nhttp:\n  listen: 127.0.0.1:1\n  cors_origins: [https://a, https://b]\nauth: {access_ttl: 1m}\n",
		"ERGON_HTTP_LISTEN=127.0.0.1:2")
	if err != nil {
		t.Fatal(err)
	}
	if c.HTTP.Listen != "127.0.0.1:2" || c.DataDir != "/var/lib/x" || len(c.HTTP.CORSOrigins) != 2 || c.Auth.AccessTTL != time.Minute {
		t.Errorf("%+v", c)
	}
}

func TestAllFaultsAreListedAtOnce(t *testing.T) {
	_, err := load(t, "http: {lissten: x}\nlog: {level: loud}\n",
		"ERGON_AUTH_ACCESS_TTL=11m", "ERGON_QUEUE_WORKERS=zero", "ERGON_HTTP_CORS_ORIGINS=https://a/b", "ERGON_STORE_URL=ftp://x",
		"ERGON_DATABASE_URL=postgres://u:hunter2@h/d", "ERGON_AUTH_SECRET=short-secret", "ERGON_HTTP_TRUSTED_PROXIES=10.0.0.1")
	if err == nil {
		t.Fatal("taken")
	}
	for _, word := range []string{
		"ERGON_HTTP_LISSTEN: there is no such setting; did you mean ERGON_HTTP_LISTEN?", "ERGON_LOG_LEVEL", "ERGON_AUTH_ACCESS_TTL",
		"Workers", "ERGON_HTTP_CORS_ORIGINS", "ERGON_STORE_URL", "ERGON_AUTH_SECRET", "ERGON_HTTP_TRUSTED_PROXIES",
	} {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%q is missing in:\n%v", word, err)
		}
	}
	for _, secret := range []string{"hunter2", "short-secret"} {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("a secret stands in:\n%v", err)
		}
	}
}

func TestSecretsComeFromFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	secret := strings.Repeat("s", 40)
	if err := os.WriteFile(path, []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := load(t, "", "ERGON_AUTH_SECRET_FILE="+path)
	if err != nil || c.Auth.Secret.Reveal() != secret {
		t.Fatalf("got %d bytes, %v", len(c.Auth.Secret), err)
	}
	bad := map[string][]string{
		"both":                 {"ERGON_AUTH_SECRET_FILE=" + path, "ERGON_AUTH_SECRET=" + secret},
		"missing":              {"ERGON_AUTH_SECRET_FILE=/nowhere/at/all"},
		"endless":              {"ERGON_AUTH_SECRET_FILE=/dev/zero"},
		"empty":                {"ERGON_AUTH_SECRET_FILE=/dev/null"},
		"file of a plain one":  {"ERGON_HTTP_LISTEN_FILE=" + path},
		"replicas without one": {"ERGON_DATABASE_URL=postgres://h/d"},
	}
	for name, environ := range bad {
		if _, err := load(t, "", environ...); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

func TestASecretNeverShowsItself(t *testing.T) {
	c := Config{Auth: Auth{Secret: "hunter2"}, Store: Store{SecretKey: "hunter2"}}
	encoded, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	shown := string(encoded) + fmt.Sprintf("%v %+v %#v %s", c, c, c, c.Auth.Secret) + fmt.Sprint(c.Auth.Secret.LogValue())
	for _, s := range Settings(c) {
		shown += s.Value
	}
	if strings.Contains(shown, "hunter2") || !strings.Contains(shown, redacted) {
		t.Error(shown)
	}
}

func TestDataDirectoryFollowsTheEnvironment(t *testing.T) {
	cases := map[string][]string{
		"ergon-data":     nil,
		"/s/ergon":       {"XDG_STATE_HOME=/s"},
		"/var/lib/ergon": {"XDG_STATE_HOME=/s", "STATE_DIRECTORY=/var/lib/ergon:/var/lib/other"},
		"/own":           {"STATE_DIRECTORY=/var/lib/ergon", "ERGON_DATA_DIR=/own"},
	}
	for want, environ := range cases {
		if c, err := load(t, "", environ...); err != nil || c.DataDir != want {
			t.Errorf("%v: %q, %v, want %q", environ, c.DataDir, err, want)
		}
	}
}

func TestEverySettingIsDocumented(t *testing.T) {
	path := filepath.Join("..", "..", "..", "docs", "configuration.md")
	want := Markdown()
	if os.Getenv("ERGON_TEST_UPDATE") == "1" {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Error("docs/configuration.md is not up to date; run: ERGON_TEST_UPDATE=1 go test ./internal/config")
	}
	for _, s := range Settings(Config{}) {
		if s.Doc == "" {
			t.Errorf("%s has no documentation", s.Name)
		}
	}
}

func FuzzYAML(f *testing.F) {
	for _, seed := range []string{"", "a: b", "http: {listen: x}", "a: [1, 2]", "a: &x [*x]", "- 1", "a: {b: {c: ~}}", "a: 1\na: 2", "? [x]\n: y"} {
		f.Add(seed)
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text string) {
		path := filepath.Join(dir, "f.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		values, _ := readYAML(path)
		for name := range values {
			if !strings.HasPrefix(name, "ERGON") {
				t.Errorf("name %q", name)
			}
		}
	})
}
