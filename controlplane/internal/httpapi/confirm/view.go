package confirm

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // the page and its style
	"encoding/base64"
	"fmt"
	"html/template"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
	"github.com/ergon-hpc/ergon/controlplane/internal/httpapi"
	"github.com/ergon-hpc/ergon/controlplane/internal/identity"
)

//go:embed page.html
var pageHTML string

//go:embed page.css
var pageCSS string

// pages are the parsed templates and the policy that lets their one style in.
type pages struct {
	templates *template.Template
	policy    string
}

func newPages() pages {
	sum := sha256.Sum256([]byte(pageCSS))
	style := template.CSS(pageCSS) //nolint:gosec // our own file
	return pages{
		templates: template.Must(template.New("").Funcs(template.FuncMap{"style": func() template.CSS { return style }}).Parse(pageHTML)),
		policy: "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
			"'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
	}
}

// view is what a template may show.
type view struct {
	Path, CSRF, Error string
	Account           string // who is signed in
	Username          string // what was typed
	Provider, SignIn  string // name of the provider, and where to sign in
	ProviderDown      bool
	Code              string
	Grant             grant
	Approved          bool
	State, AuthCode   string
}

// grant is a login that waits, for people.
type grant struct{ Host, Cluster, Address, Program, Age string }

func grantOf(g identity.DeviceGrant, now time.Time) grant {
	return grant{
		Host: printable(g.Client.Host), Cluster: printable(g.Client.Cluster), Address: g.RemoteAddr, Program: printable(g.UserAgent),
		Age: age(now.Sub(g.CreatedAt)),
	}
}

// printable drops what could change how a line reads, such as marks of direction.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) && r != unicode.ReplacementChar {
			return r
		}
		return -1
	}, text)
}

func age(d time.Duration) string {
	if d < time.Minute {
		return fmt.Sprintf("%d seconds ago", int(max(d, 0)/time.Second))
	}
	if n := int(d / time.Minute); n > 1 {
		return fmt.Sprintf("%d minutes ago", n)
	}
	return "a minute ago"
}

// show writes a page. Its CSRF token belongs to the cookie that the browser has.
func (h *handler) show(w http.ResponseWriter, r *http.Request, status int, name string, v view) {
	v.Path = h.cfg.Path
	if v.CSRF == "" {
		v.CSRF = h.cfg.Service.PageCSRF(h.cookie(r))
	}
	var b bytes.Buffer
	if err := h.pages.templates.ExecuteTemplate(&b, name, v); err != nil {
		h.cfg.Log.ErrorContext(r.Context(), "the confirmation page could not be made", "page", name, "error", err)
		http.Error(w, "something went wrong in the server", http.StatusInternalServerError)
		return
	}
	head := w.Header()
	head.Set("Content-Type", "text/html; charset=utf-8")
	head.Set("Content-Security-Policy", h.pages.policy)
	head.Set("Referrer-Policy", "same-origin") // no-referrer would make browsers send Origin: null with our own forms
	head.Set("Cross-Origin-Opener-Policy", "same-origin")
	head.Set("Cross-Origin-Resource-Policy", "same-origin")
	head.Set("X-Content-Type-Options", "nosniff")
	head.Set("X-Frame-Options", "DENY")
	head.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // the browser has gone: nobody is left to tell
}

// refuse shows an error and the way back.
func (h *handler) refuse(w http.ResponseWriter, r *http.Request, err error) {
	h.note(w, r, err)
	h.show(w, r, statusOf(err), "error", view{Error: words(err)})
}

// note logs what is the server's fault and says when to come back.
func (h *handler) note(w http.ResponseWriter, r *http.Request, err error) {
	if apperr.CodeOf(err) == apperr.Internal {
		h.cfg.Log.ErrorContext(r.Context(), "a step on the confirmation page failed", "path", r.URL.Path, "error", err)
	}
	if s := httpapi.Problem(err, "").RetryAfterS; s != nil {
		w.Header().Set("Retry-After", strconv.Itoa(*s))
	}
}

func (h *handler) showLogin(w http.ResponseWriter, r *http.Request, err error) {
	v, status := view{Username: r.PostForm.Get("username")}, http.StatusOK
	if err != nil {
		h.note(w, r, err)
		v.Error, status = words(err), statusOf(err)
	}
	cookie, failed := h.anonymous(w, r)
	if failed != nil {
		h.refuse(w, r, failed)
		return
	}
	v.CSRF = h.cfg.Service.PageCSRF(cookie)
	h.offerProvider(r, &v, cookie)
	h.show(w, r, status, "login", v)
}

// anonymous gives a browser that nobody has signed in with a cookie of its own, or keeps the one it has.
func (h *handler) anonymous(w http.ResponseWriter, r *http.Request) (string, error) {
	if cookie := h.cookie(r); strings.HasPrefix(cookie, identity.AnonymousPrefix) {
		return cookie, nil
	}
	cookie, err := h.cfg.Service.NewPageCookie()
	if err == nil {
		h.setCookie(w, r, cookie)
	}
	return cookie, err
}

func (h *handler) showCode(w http.ResponseWriter, r *http.Request, account string, err error) {
	v, status := view{Account: account}, http.StatusOK
	if err != nil {
		h.note(w, r, err)
		v.Error, status = words(err), statusOf(err)
	}
	h.offerProvider(r, &v, h.cookie(r))
	h.show(w, r, status, "code", v)
}

// offerProvider adds the way to the provider, or says that it cannot be reached.
func (h *handler) offerProvider(r *http.Request, v *view, cookie string) {
	v.Provider = h.cfg.Service.OIDC()
	if v.Provider == "" {
		return
	}
	address, err := h.cfg.Service.OIDCStart(r.Context(), cookie)
	if err != nil {
		h.cfg.Log.WarnContext(r.Context(), "the OpenID provider cannot be reached", "error", err)
		v.ProviderDown = true
		return
	}
	v.SignIn = address
}
