package app

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/ergon-hpc/ergon/shared/api"
)

const pageTestPassword = "correct horse battery"

// browser is a person with a browser that runs no script.
type browser struct {
	t      *testing.T
	client *http.Client
	at     *url.URL
	status int
	head   http.Header
	text   string
	root   *html.Node
}

func newBrowser(t *testing.T) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &browser{t: t, client: &http.Client{Jar: jar, Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 30 * time.Second}}
}

func (b *browser) do(r *http.Request) {
	b.t.Helper()
	resp, err := b.client.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	b.at, b.status, b.head, b.text = resp.Request.URL, resp.StatusCode, resp.Header, string(body)
	if b.root, err = html.Parse(strings.NewReader(b.text)); err != nil {
		b.t.Fatal(err)
	}
}

func (b *browser) open(address string) {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), http.MethodGet, address, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	b.do(r)
}

// submit fills in the form whose action ends so, as a browser does; change may break the request.
func (b *browser) submit(action string, fields map[string]string, change ...func(*http.Request)) {
	b.t.Helper()
	form := b.form(action)
	if form == nil {
		b.t.Fatalf("no form for %s in:\n%s", action, b.text)
	}
	values := url.Values{}
	for _, in := range elements(form, "input") {
		values.Set(attr(in, "name"), attr(in, "value"))
	}
	for name, value := range fields {
		values.Set(name, value)
	}
	target, err := b.at.Parse(attr(form, "action"))
	if err != nil {
		b.t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(b.t.Context(), http.MethodPost, target.String(), strings.NewReader(values.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Origin", b.at.Scheme+"://"+b.at.Host)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	for _, f := range change {
		f(r)
	}
	b.do(r)
}

func (b *browser) form(action string) *html.Node {
	for _, f := range elements(b.root, "form") {
		if strings.HasSuffix(attr(f, "action"), action) {
			return f
		}
	}
	return nil
}

func elements(n *html.Node, name string) []*html.Node {
	var found []*html.Node
	for c := range n.Descendants() {
		if c.Type == html.ElementNode && (name == "" || c.Data == name) {
			found = append(found, c)
		}
	}
	return found
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func (b *browser) wants(status int, texts ...string) {
	b.t.Helper()
	if b.status != status {
		b.t.Errorf("%s: status %d, want %d:\n%s", b.at.Path, b.status, status, b.text)
	}
	for _, text := range texts {
		if !strings.Contains(b.text, text) {
			b.t.Errorf("%s: %q is missing in:\n%s", b.at.Path, text, b.text)
		}
	}
	b.obeysRules()
}

// obeysRules holds a page to what the confirmation page promises: no script, nothing from elsewhere, forms that post to this
// server, labelled fields, and headers that enforce it.
func (b *browser) obeysRules() {
	b.t.Helper()
	policy := b.head.Get("Content-Security-Policy")
	if !regexp.MustCompile(`^default-src 'none'; style-src 'sha256-[A-Za-z0-9+/=]{44}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'$`).MatchString(policy) {
		b.t.Errorf("policy %q", policy)
	}
	for name, want := range map[string]string{
		"X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Referrer-Policy": "same-origin",
		"Content-Type": "text/html; charset=utf-8",
	} {
		if got := b.head.Get(name); got != want {
			b.t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	allowed := strings.Fields("html head meta title style body main h1 p form input label button a dl dt dd strong")
	labels := map[string]bool{}
	for _, l := range elements(b.root, "label") {
		labels[attr(l, "for")] = true
	}
	for _, n := range elements(b.root, "") {
		if !slices.Contains(allowed, n.Data) {
			b.t.Errorf("an element %s", n.Data)
		}
		for _, a := range n.Attr {
			if strings.HasPrefix(a.Key, "on") || a.Key == "style" || a.Key == "src" || a.Key == "formaction" {
				b.t.Errorf("%s has the attribute %s", n.Data, a.Key)
			}
		}
		switch {
		case n.Data == "form" && (attr(n, "method") != "post" || !strings.HasPrefix(attr(n, "action"), "/device/")):
			b.t.Errorf("a form %s %s", attr(n, "method"), attr(n, "action"))
		case n.Data == "input" && attr(n, "type") != "hidden" && !labels[attr(n, "id")]:
			b.t.Errorf("the field %s has no label", attr(n, "name"))
		case n.Data == "html" && attr(n, "lang") == "":
			b.t.Error("the page says no language")
		}
	}
}

func (b *browser) signIn(user string) {
	b.t.Helper()
	b.submit("/login", map[string]string{"username": user, "password": pageTestPassword})
}

func startDevice(t *testing.T, a *App) api.DeviceCodes {
	t.Helper()
	var codes api.DeviceCodes
	send(t, http.MethodPost, a.URL()+"/auth/device", "", map[string]string{"host": "login1", "cluster": "hpc"}).into(t, &codes)
	return codes
}

func pollDevice(t *testing.T, a *App, code string) answer {
	t.Helper()
	return send(t, http.MethodPost, a.URL()+"/auth/device/token", "", map[string]string{
		"grant_type": "urn:ietf:params:oauth:grant-type:device_code", "device_code": code,
	})
}

func register(t *testing.T, a *App, user string) {
	t.Helper()
	if got := send(t, http.MethodPost, a.URL()+"/auth/register", "", map[string]string{"username": user, "password": pageTestPassword}); got.code != 201 {
		t.Fatalf("%d %s", got.code, got.body)
	}
}

func wantGrantError(t *testing.T, got answer, code string) {
	t.Helper()
	var g api.GrantError
	got.into(t, &g)
	if got.code != 400 || string(g.Error) != code || g.ErrorDescription == "" {
		t.Errorf("%d %s, want %s", got.code, got.body, code)
	}
}

func TestADeviceIsConfirmedOnThePageWithoutAScript(t *testing.T) {
	a := boot(t, testConfig(t))
	register(t, a, "alice")
	codes := startDevice(t, a)
	if codes.VerificationUri != a.URL()+"/device" {
		t.Errorf("the page is at %s", codes.VerificationUri)
	}
	wantGrantError(t, pollDevice(t, a, codes.DeviceCode), "authorization_pending")
	wantGrantError(t, pollDevice(t, a, codes.DeviceCode), "slow_down")
	b := newBrowser(t)
	b.open(codes.VerificationUri)
	b.wants(200, "Sign in")
	b.submit("/login", map[string]string{"username": "alice", "password": "wrong horse battery"})
	b.wants(401, "The name or the password is wrong")
	before := b.client.Jar.Cookies(b.at)
	b.signIn("alice")
	b.wants(200, "Signed in as <strong>alice</strong>")
	if after := b.client.Jar.Cookies(b.at); len(after) != 1 || len(before) != 1 || after[0].Value == before[0].Value {
		t.Errorf("the cookie was %v and is %v: signing in must change it", before, after)
	}
	b.submit("/code", map[string]string{"user_code": "BBBB-BBBB"})
	b.wants(404, "not known")
	b.submit("/code", map[string]string{"user_code": strings.ToLower(codes.UserCode)})
	b.wants(200, "alice", "login1", "hpc", "127.0.0.1", "seconds ago", "Go on only if you began this login yourself")
	b.submit("/decide", map[string]string{"decision": "approve"})
	b.wants(200, "Done")
	if cookies := b.client.Jar.Cookies(b.at); len(cookies) != 0 {
		t.Errorf("the page left %v behind", cookies)
	}
	var pair api.TokenPair
	pollDevice(t, a, codes.DeviceCode).into(t, &pair)
	var me api.Me
	send(t, http.MethodGet, a.URL()+"/me", pair.AccessToken, nil).into(t, &me)
	if me.User.Username != "alice" {
		t.Errorf("%+v", me.User)
	}
	wantGrantError(t, pollDevice(t, a, codes.DeviceCode), "invalid_grant")
	b.open(codes.VerificationUri)
	b.wants(200, "Sign in")

	second := startDevice(t, a)
	b.signIn("alice")
	b.submit("/code", map[string]string{"user_code": second.UserCode})
	b.submit("/decide", map[string]string{"decision": "deny"})
	b.wants(200, "Refused")
	wantGrantError(t, pollDevice(t, a, second.DeviceCode), "access_denied")
}

func TestThreat_T28_FormsOfOtherSitesAndForgedCookiesDoNothing(t *testing.T) {
	a := boot(t, testConfig(t))
	register(t, a, "alice")
	codes := startDevice(t, a)
	b := newBrowser(t)
	b.open(codes.VerificationUri)
	for name, change := range map[string]func(*http.Request){
		"another site": func(r *http.Request) {
			r.Header.Set("Sec-Fetch-Site", "cross-site")
			r.Header.Set("Origin", "https://evil.example")
		},
		"an old browser on another site": func(r *http.Request) {
			r.Header.Del("Sec-Fetch-Site")
			r.Header.Set("Origin", "https://evil.example")
		},
		"no cookie": func(r *http.Request) { r.Header.Set("Cookie", "ergon-page=") },
	} {
		t.Run(name, func(t *testing.T) {
			other := *b
			other.t = t
			other.client = &http.Client{Transport: b.client.Transport, Timeout: b.client.Timeout}
			cookies := b.client.Jar.Cookies(b.at)
			other.submit("/login", map[string]string{"username": "alice", "password": pageTestPassword}, func(r *http.Request) {
				r.AddCookie(cookies[0])
				change(r)
			})
			other.wants(403)
			if len(other.head.Values("Set-Cookie")) != 0 {
				t.Error("it got a cookie")
			}
		})
	}
	b.submit("/login", map[string]string{"username": "alice", "password": pageTestPassword, "csrf": "forged"})
	b.wants(403, "too old")
	b.open(codes.VerificationUri)
	b.signIn("alice")
	stale := b.text
	b.submit("/logout", nil)
	b.wants(200, "Sign in")
	b.text = stale
	if b.root, _ = html.Parse(strings.NewReader(stale)); b.form("/code") == nil {
		t.Fatal("no form")
	}
	b.submit("/code", map[string]string{"user_code": codes.UserCode})
	b.wants(403)
	wantGrantError(t, pollDevice(t, a, codes.DeviceCode), "authorization_pending")
}

func TestTheCookieIsStrictAndOverTLSForThisHostAlone(t *testing.T) {
	a := boot(t, testConfig(t, "ERGON_HTTP_PUBLIC_URL=https://ergon.example.org"))
	b := newBrowser(t)
	b.open(a.URL() + "/device")
	b.wants(200)
	cookie := b.head.Get("Set-Cookie")
	if !regexp.MustCompile(`^__Host-ergon-page=ergn_[A-Za-z0-9_-]{43}; Path=/; HttpOnly; Secure; SameSite=Strict$`).MatchString(cookie) {
		t.Errorf("%q", cookie)
	}
	if codes := startDevice(t, a); codes.VerificationUri != "https://ergon.example.org/device" {
		t.Errorf("the page is said to be at %s", codes.VerificationUri)
	}
}

func TestTokensOfProgramsReachTheirScopesAndNoMore(t *testing.T) {
	a := boot(t, testConfig(t))
	register(t, a, "alice")
	var pair api.TokenPair
	send(t, http.MethodPost, a.URL()+"/auth/login", "", map[string]string{"username": "alice", "password": pageTestPassword}).into(t, &pair)
	var made struct {
		Token string
		Info  api.PersonalToken
	}
	got := send(t, http.MethodPost, a.URL()+"/auth/tokens", pair.AccessToken, map[string]any{"name": "nightly", "scopes": []string{"jobs:read"}, "expires_in_s": 3600})
	got.into(t, &made)
	if got.code != 201 {
		t.Fatalf("%d %s", got.code, got.body)
	}
	for _, c := range []struct {
		method, path string
		want         int
	}{
		{"GET", "/jobs", 200},
		{"GET", "/jobs/summary", 200},
		{"GET", "/me", 403},
		{"GET", "/files/list", 403},
		{"GET", "/auth/tokens", 403},
		{"GET", "/auth/sessions", 403},
		{"POST", "/auth/logout", 403},
		{"GET", "/links", 403},
		{"GET", "/agent/self", 403},
	} {
		if got := send(t, c.method, a.URL()+c.path, made.Token, nil); got.code != c.want {
			t.Errorf("%s %s: %d, want %d: %s", c.method, c.path, got.code, c.want, got.body)
		}
	}
	if got := send(t, http.MethodDelete, a.URL()+"/auth/tokens/"+made.Info.Id.String(), pair.AccessToken, nil); got.code != 204 {
		t.Errorf("%d %s", got.code, got.body)
	}
	if got := send(t, http.MethodGet, a.URL()+"/jobs", made.Token, nil); got.code != 401 {
		t.Errorf("a token that was revoked: %d", got.code)
	}
}

func TestABreachedPasswordIsRefusedAtRegistration(t *testing.T) {
	list := filepath.Join(t.TempDir(), "breached")
	if err := os.WriteFile(list, []byte(pageTestPassword+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	a := boot(t, testConfig(t, "ERGON_AUTH_BREACHED_FILE="+list))
	got := send(t, http.MethodPost, a.URL()+"/auth/register", "", map[string]string{"username": "alice", "password": pageTestPassword})
	var p api.Problem
	got.into(t, &p)
	if got.code != 400 || p.Errors == nil || !strings.Contains((*p.Errors)[0].Message, "stolen") {
		t.Errorf("%d %s", got.code, got.body)
	}
	if got := send(t, http.MethodPost, a.URL()+"/auth/register", "", map[string]string{"username": "alice", "password": "another horse battery"}); got.code != 201 {
		t.Errorf("%d %s", got.code, got.body)
	}
}

const oidcDir = "../../../dev/oidc"

// startOP runs a real OpenID provider with two users, as a process of its own.
func startOP(t *testing.T, redirect string) (issuer string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), filepath.Join(oidcDir, "build.sh")).CombinedOutput(); err != nil {
		t.Fatalf("building the provider: %v\n%s", err, out)
	}
	users := map[string]any{
		"id-1": map[string]any{"ID": "id-1", "Username": "carol", "Password": "at the provider", "PreferredLanguage": "en"},
		"id-2": map[string]any{"ID": "id-2", "Username": "alice", "Password": "at the provider", "PreferredLanguage": "en"},
	}
	text, err := json.Marshal(users)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "users.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), "../../../.cache/oidc-provider")
	c.Env = append(os.Environ(), "USERS_FILE="+file, "REDIRECT_URI="+redirect)
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Process.Kill(); _ = c.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the provider did not start: %v", err)
	}
	return strings.TrimSpace(line)
}

// freeAddress is one that nothing listens on: the provider must know beforehand where it sends browsers back.
func freeAddress(t *testing.T) string {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// withOP is a server that knows a real provider.
func withOP(t *testing.T, environ ...string) *App {
	t.Helper()
	address := freeAddress(t)
	issuer := startOP(t, "http://"+address+"/device/oidc")
	return boot(t, testConfig(t, append([]string{
		"ERGON_HTTP_LISTEN=" + address, "ERGON_HTTP_PUBLIC_URL=http://" + address, "ERGON_OIDC_ISSUER=" + issuer,
		"ERGON_OIDC_CLIENT_ID=web", "ERGON_OIDC_CLIENT_SECRET=secret", "ERGON_OIDC_NAME=University",
	}, environ...)...))
}

// atProvider follows the link to the provider, signs in there, and is back at the page.
func (b *browser) atProvider(user string) {
	b.t.Helper()
	link := ""
	for _, l := range elements(b.root, "a") {
		if strings.Contains(attr(l, "href"), "code_challenge") {
			link = attr(l, "href")
		}
	}
	q, err := url.Parse(link)
	if err != nil || q.Query().Get("code_challenge_method") != "S256" || q.Query().Get("nonce") == "" || q.Query().Get("state") == "" || q.Query().Get("max_age") != "300" {
		b.t.Fatalf("no way to the provider, or one without PKCE, nonce, state and max_age: %q in\n%s", link, b.text)
	}
	b.open(link)
	b.submit("", map[string]string{"username": user, "password": "at the provider"})
}

func TestSigningInAtARealOpenIDProvider(t *testing.T) {
	a := withOP(t)
	codes := startDevice(t, a)
	b := newBrowser(t)
	b.open(codes.VerificationUri)
	b.wants(200, "Sign in with University")
	b.atProvider("carol")
	b.wants(200, "You are back from University")
	b.submit("/oidc", nil)
	b.wants(200, "Signed in as <strong>carol</strong>")
	b.submit("/code", map[string]string{"user_code": codes.UserCode})
	b.submit("/decide", map[string]string{"decision": "approve"})
	var pair api.TokenPair
	pollDevice(t, a, codes.DeviceCode).into(t, &pair)
	var me api.Me
	send(t, http.MethodGet, a.URL()+"/me", pair.AccessToken, nil).into(t, &me)
	if me.User.Username != "carol" || me.User.Role != "user" {
		t.Errorf("%+v", me.User)
	}

	b.open(codes.VerificationUri)
	b.atProvider("carol")
	stolen := b.text
	b.submit("/oidc", nil)
	b.wants(200, "Signed in as <strong>carol</strong>")

	thief := newBrowser(t)
	thief.open(codes.VerificationUri)
	thief.root, _ = html.Parse(strings.NewReader(stolen))
	thief.submit("/oidc", nil)
	thief.wants(403, "not begun in this browser")
}

func TestACodeIsExchangedOnceAndANameIsNotTakenOver(t *testing.T) {
	a := withOP(t)
	register(t, a, "alice")
	b := newBrowser(t)
	b.open(a.URL() + "/device")
	b.atProvider("alice")
	b.submit("/oidc", nil)
	b.wants(403, "An account of this name exists already")

	b.open(a.URL() + "/device")
	b.signIn("alice")
	b.wants(200, "connect it with University")
	b.atProvider("alice")
	back := b.text
	b.submit("/oidc", nil)
	b.wants(200, "Signed in as <strong>alice</strong>")
	b.root, _ = html.Parse(strings.NewReader(back))
	b.submit("/oidc", nil) // the state was for the cookie of before
	b.wants(403)
	b.open(a.URL() + "/device")
	b.submit("/logout", nil)
	b.atProvider("alice")
	b.submit("/oidc", nil)
	b.wants(200, "Signed in as <strong>alice</strong>")
}

func TestAProviderThatIsAwayLeavesThePasswordAndIsAskedSeldom(t *testing.T) {
	a := boot(t, testConfig(t, "ERGON_HTTP_PUBLIC_URL=http://127.0.0.1", "ERGON_OIDC_ISSUER=http://"+freeAddress(t), "ERGON_OIDC_CLIENT_ID=web",
		"ERGON_OIDC_NAME=University"))
	register(t, a, "alice")
	b := newBrowser(t)
	b.open(a.URL() + "/device")
	b.wants(200, "University cannot be reached")
	b.signIn("alice")
	b.open(a.URL() + "/device")
	b.wants(200, "Signed in as <strong>alice</strong>")
	b.open(a.URL() + "/device/oidc?error=access_denied&error_description=%3Cscript%3E")
	b.wants(403, "was not finished")
	if strings.Contains(b.text, "script") {
		t.Error("the page repeats what stood in the address")
	}
}
