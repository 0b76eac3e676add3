package confirm

import (
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
	"github.com/ergon-hpc/ergon/controlplane/internal/httpapi"
	"github.com/ergon-hpc/ergon/controlplane/internal/identity"
	"github.com/ergon-hpc/ergon/controlplane/internal/principal"
)

// Config is what the page needs; all but PublicURL is required.
type Config struct {
	Service *identity.Service
	Log     *slog.Logger
	Now     func() time.Time
	// Path is where the page is; everything else lies below it.
	Path string
	// PublicURL is the server's address as browsers see it. With https the cookie is sent over TLS only.
	PublicURL string
}

// maxForm bounds a form, in bytes.
const maxForm = 16 << 10

type handler struct {
	cfg   Config
	pages pages
	guard *http.CrossOriginProtection
}

// New makes the page.
func New(cfg Config) http.Handler {
	h := &handler{cfg: cfg, pages: newPages(), guard: http.NewCrossOriginProtection()}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+cfg.Path, h.start)
	mux.HandleFunc("GET "+cfg.Path+"/oidc", h.back)
	mux.HandleFunc("POST "+cfg.Path+"/oidc", h.form(h.finish))
	mux.HandleFunc("POST "+cfg.Path+"/login", h.form(h.csrf(h.login)))
	mux.HandleFunc("POST "+cfg.Path+"/logout", h.form(h.csrf(h.logout)))
	mux.HandleFunc("POST "+cfg.Path+"/code", h.form(h.csrf(h.code)))
	mux.HandleFunc("POST "+cfg.Path+"/decide", h.form(h.csrf(h.decide)))
	return mux
}

// form reads a bounded form that came from this very page.
func (h *handler) form(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := h.guard.Check(r); err != nil {
			h.refuse(w, r, apperr.Wrap(apperr.Forbidden, "this form was sent by another site", err))
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		if err := r.ParseForm(); err != nil {
			h.refuse(w, r, apperr.Wrap(apperr.InvalidRequest, "the form could not be read", err))
			return
		}
		next(w, r)
	}
}

// csrf holds the form's token against the browser's cookie.
func (h *handler) csrf(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !h.cfg.Service.CheckPageCSRF(h.cookie(r), r.PostForm.Get("csrf")) {
			h.refuse(w, r, apperr.New(apperr.Forbidden, "this form is too old, or cookies are turned off").WithHint("load the page again"))
			return
		}
		next(w, r)
	}
}

// start shows the field for the code to who is signed in, and the sign-in to everybody else.
func (h *handler) start(w http.ResponseWriter, r *http.Request) {
	_, account, err := h.cfg.Service.Page(r.Context(), h.cookie(r))
	switch {
	case err == nil:
		h.showCode(w, r, account, nil)
	case apperr.Is(err, apperr.Unauthorized):
		h.showLogin(w, r, nil)
	default:
		h.refuse(w, r, err)
	}
}

func (h *handler) login(w http.ResponseWriter, r *http.Request) {
	cookie, err := h.cfg.Service.PageLogin(r.Context(), identity.Credentials{Username: r.PostForm.Get("username"), Password: r.PostForm.Get("password")})
	if err != nil {
		h.showLogin(w, r, err)
		return
	}
	h.signedIn(w, r, cookie)
}

// signedIn gives the browser the cookie of its page session; the one that it had opens nothing more.
func (h *handler) signedIn(w http.ResponseWriter, r *http.Request, cookie string) {
	p, _, err := h.cfg.Service.Page(r.Context(), h.cookie(r))
	if err == nil {
		err = h.cfg.Service.Logout(principal.With(r.Context(), p), false)
	}
	if err != nil && !apperr.Is(err, apperr.Unauthorized) {
		h.cfg.Log.WarnContext(r.Context(), "a session of the confirmation page could not be ended", "error", err)
	}
	h.setCookie(w, r, cookie)
	http.Redirect(w, r, h.cfg.Path, http.StatusSeeOther)
}

func (h *handler) logout(w http.ResponseWriter, r *http.Request) {
	p, _, err := h.cfg.Service.Page(r.Context(), h.cookie(r))
	if err == nil {
		err = h.cfg.Service.Logout(principal.With(r.Context(), p), false)
	}
	if err != nil && !apperr.Is(err, apperr.Unauthorized) {
		h.refuse(w, r, err)
		return
	}
	h.setCookie(w, r, "")
	http.Redirect(w, r, h.cfg.Path, http.StatusSeeOther)
}

// code shows what a code would let in.
func (h *handler) code(w http.ResponseWriter, r *http.Request) {
	p, account, err := h.cfg.Service.Page(r.Context(), h.cookie(r))
	if err != nil {
		h.showLogin(w, r, err)
		return
	}
	grant, err := h.cfg.Service.FindDevice(principal.With(r.Context(), p), r.PostForm.Get("user_code"))
	if err != nil {
		h.showCode(w, r, account, err)
		return
	}
	h.show(w, r, http.StatusOK, "confirm", view{
		Account: account, Code: r.PostForm.Get("user_code"), Grant: grantOf(grant, h.cfg.Now()),
	})
}

// decide lets the program in or refuses it, and ends the page's session.
func (h *handler) decide(w http.ResponseWriter, r *http.Request) {
	p, account, err := h.cfg.Service.Page(r.Context(), h.cookie(r))
	if err != nil {
		h.showLogin(w, r, err)
		return
	}
	decision := r.PostForm.Get("decision")
	if decision != "approve" && decision != "deny" {
		h.showCode(w, r, account, apperr.New(apperr.InvalidRequest, "choose one of the two buttons"))
		return
	}
	ctx := principal.With(r.Context(), p)
	if err := h.cfg.Service.DecideDevice(ctx, r.PostForm.Get("user_code"), decision == "approve"); err != nil {
		h.showCode(w, r, account, err)
		return
	}
	if err := h.cfg.Service.Logout(ctx, false); err != nil {
		h.cfg.Log.WarnContext(ctx, "a session of the confirmation page could not be ended", "error", err)
	}
	h.setCookie(w, r, "")
	h.show(w, r, http.StatusOK, "done", view{Approved: decision == "approve"})
}

// back is where the provider sends the browser. The cookie is SameSite=Strict, so this request does not carry it: a form that
// the person sends from here does.
func (h *handler) back(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if h.cfg.Service.OIDC() == "" || q.Get("code") == "" || q.Get("state") == "" {
		h.refuse(w, r, apperr.New(apperr.Forbidden, "the sign-in was not finished").WithHint("begin again"))
		return
	}
	h.show(w, r, http.StatusOK, "back", view{Provider: h.cfg.Service.OIDC(), State: q.Get("state"), AuthCode: q.Get("code")})
}

// finish ends a sign-in at the provider. The state, which is bound to the cookie, is its CSRF token.
func (h *handler) finish(w http.ResponseWriter, r *http.Request) {
	cookie, err := h.cfg.Service.OIDCFinish(r.Context(), h.cookie(r), r.PostForm.Get("state"), r.PostForm.Get("code"))
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	h.signedIn(w, r, cookie)
}

// Names of the cookie. A browser takes __Host- only with Secure, for this host alone, and from no sub-domain.
const (
	cookieTLS   = "__Host-ergon-page"
	cookiePlain = "ergon-page"
)

func (h *handler) secure(r *http.Request) bool {
	return r.TLS != nil || strings.HasPrefix(h.cfg.PublicURL, "https://")
}

func (h *handler) cookieName(r *http.Request) string {
	if h.secure(r) {
		return cookieTLS
	}
	return cookiePlain
}

func (h *handler) cookie(r *http.Request) string {
	c, err := r.Cookie(h.cookieName(r))
	if err != nil {
		return ""
	}
	return c.Value
}

// setCookie sets a cookie that ends with the browser's session, or removes it.
func (h *handler) setCookie(w http.ResponseWriter, r *http.Request, value string) {
	c := &http.Cookie{ //nolint:gosec // Secure whenever there is TLS; without it the server is on loopback
		Name: h.cookieName(r), Value: value, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode,
		Secure: h.secure(r), // without TLS only on loopback, where nobody listens in
	}
	if value == "" {
		c.MaxAge = -1
	}
	http.SetCookie(w, c)
}

// statusOf is the status of a page that shows an error.
func statusOf(err error) int { return httpapi.Problem(err, "").Status }

// words are what the person reads; an internal error says nothing of its inside.
func words(err error) string {
	e, ok := errors.AsType[*apperr.Error](err)
	if !ok || e.Code == apperr.Internal {
		return "Something went wrong in the server. Try again; when it stays so, tell your administrators."
	}
	text := e.Message
	if e.Hint != "" {
		text += "; " + e.Hint
	}
	return strings.ToUpper(text[:1]) + text[1:] + "."
}
