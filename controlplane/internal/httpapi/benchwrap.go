package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
	"github.com/ergon-hpc/ergon/controlplane/internal/audit"
	"github.com/ergon-hpc/ergon/controlplane/internal/benchwrap"
	"github.com/ergon-hpc/ergon/controlplane/internal/identity"
	"github.com/ergon-hpc/ergon/controlplane/internal/principal"
)

// BenchwrapAccounts is what the original client's routes ask of identity.
type BenchwrapAccounts interface {
	Register(ctx context.Context, c identity.Credentials) (identity.User, error)
	Login(ctx context.Context, c identity.Credentials) (identity.TokenPair, error)
	Refresh(ctx context.Context, token string) (identity.TokenPair, error)
}

// BenchwrapFiles is what they ask of package benchwrap.
type BenchwrapFiles interface {
	Upload(ctx context.Context, userID, objectName, benchmark string) (benchwrap.Signed, error)
	Download(ctx context.Context, userID, keyOrName string) (benchwrap.Signed, error)
	List(ctx context.Context, userID, prefix, cursor string) (list []benchwrap.Listed, next string, err error)
}

// Benchwrap serves the routes of the original client benchwrap (its cli_auth.py and cli_sync.py), which are no part of the
// contract. Every answer carries a Deprecation header (RFC 9745), every use writes an audit row.
type Benchwrap struct {
	Accounts BenchwrapAccounts
	Files    BenchwrapFiles
	Audit    Auditor
}

// deprecated is since when: the first release of Ergon, as RFC 9745 writes times.
const deprecated = "@1795478400"

// used is what one call came to: the answer, and what it was about for the audit.
type used struct {
	status  int
	body    any
	actor   string // where nobody was logged in yet
	subject string
}

// oldRoutes are the routes below /api, as the client's BASE_URL has it; without that prefix its paths are those of the
// contract, which mean something else.
var oldRoutes = []struct{ method, path, name string }{
	{http.MethodPost, "/api/auth/register", "register"},
	{http.MethodPost, "/api/auth/password", "password"},
	{http.MethodPost, "/api/auth/refresh", "refresh"},
	{http.MethodPost, "/api/storage/presign/upload", "presign_upload"},
	{http.MethodGet, "/api/storage/presign/download", "presign_download"},
	{http.MethodPost, "/api/storage/presign/download", "presign_download"},
	{http.MethodGet, "/api/storage/list", "list"},
}

// benchwrapRoutes adds the routes, each with its row of the authorisation table, so that callers are held to it and to the
// limits as those of the contract are.
func (s *Server) benchwrapRoutes(b *Benchwrap) error {
	work := map[string]gin.HandlerFunc{
		"register": b.old("register", b.register), "password": b.old("password", b.password), "refresh": b.old("refresh", b.refresh),
		"presign_upload": b.oldUser("presign_upload", b.upload), "presign_download": b.oldUser("presign_download", b.download),
		"list": b.oldUser("list", b.list),
	}
	for _, r := range oldRoutes {
		op := &operation{id: oldAction(r.name), tag: "benchwrap", method: r.method, route: r.path, principals: []principal.Kind{principal.User}}
		var known bool
		if op.policy, known = policyOf(op.id); !known {
			return fmt.Errorf("%s: the authorisation table (policy.go) has no row for %s", r.path, op.id)
		}
		if op.token == "" {
			op.principals = []principal.Kind{principal.Anonymous}
		}
		s.contract[routeKey(r.method, r.path)] = op
		s.engine.Handle(r.method, r.path, work[r.name])
	}
	return nil
}

// oldAction is the id of an operation in the authorisation table and in the audit log.
func oldAction(name string) string { return "benchwrap." + name }

// deprecate tells on every answer of these routes, refusals too, that they are old.
func deprecate(c *gin.Context) {
	if op := operationOf(c); op != nil && op.tag == "benchwrap" {
		c.Header("Deprecation", deprecated)
	}
}

// old runs a call of somebody who is not logged in. Refusals are for identity to record: it bounds them.
func (b *Benchwrap) old(name string, work func(c *gin.Context) (used, error)) gin.HandlerFunc {
	return func(c *gin.Context) {
		u, err := work(c)
		if err == nil {
			err = b.record(c, name, u, nil)
		}
		answerOld(c, u, err)
	}
}

// oldUser runs a call of a user whose token the table lets through.
func (b *Benchwrap) oldUser(name string, work func(c *gin.Context, userID string) (used, error)) gin.HandlerFunc {
	return func(c *gin.Context) {
		p, err := principal.UserFrom(c.Request.Context())
		if err != nil {
			abort(c, err)
			return
		}
		u, err := work(c, p.ID)
		if rerr := b.record(c, name, u, err); rerr != nil {
			err = errors.Join(rerr, err)
		}
		answerOld(c, u, err)
	}
}

func (b *Benchwrap) record(c *gin.Context, name string, u used, err error) error {
	outcome := audit.OK
	if err != nil {
		outcome = string(apperr.CodeOf(err))
	}
	return b.Audit.Record(c.Request.Context(), audit.Event{Actor: u.actor, Action: oldAction(name), Subject: u.subject, Outcome: outcome})
}

func answerOld(c *gin.Context, u used, err error) {
	if err != nil {
		abort(c, err)
		return
	}
	c.JSON(u.status, u.body)
}

// oldPair is a pair of tokens in the client's words.
type oldPair struct {
	Access  string `json:"access"`
	Refresh string `json:"refresh"`
}

func pairOf(status int, p identity.TokenPair, err error) (used, error) {
	return used{status: status, body: oldPair{p.AccessToken, p.RefreshToken}, actor: p.UserID, subject: p.SessionID}, err
}

// maxOldBody bounds a body of name and password, in bytes.
const maxOldBody = 16 << 10

func (b *Benchwrap) register(c *gin.Context) (used, error) {
	var in struct {
		Username string `json:"username"`
		Password string `json:"password"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(c.Writer, c.Request.Body, maxOldBody)).Decode(&in); err != nil {
		return used{}, apperr.New(apperr.InvalidRequest, "the body must be a JSON object with username and password")
	}
	who := identity.Credentials{Username: in.Username, Password: in.Password}
	if _, err := b.Accounts.Register(c.Request.Context(), who); err != nil {
		return used{}, err
	}
	pair, err := b.Accounts.Login(c.Request.Context(), who)
	return pairOf(http.StatusCreated, pair, err)
}

// password takes name and password from the query, where that client puts them; the access log drops queries.
func (b *Benchwrap) password(c *gin.Context) (used, error) {
	pair, err := b.Accounts.Login(c.Request.Context(), identity.Credentials{Username: c.Query("u"), Password: c.Query("p")})
	return pairOf(http.StatusOK, pair, err)
}

func (b *Benchwrap) refresh(c *gin.Context) (used, error) {
	pair, err := b.Accounts.Refresh(c.Request.Context(), c.Query("rid"))
	return pairOf(http.StatusOK, pair, err)
}

// oldSigned is a presigned request in the client's words.
type oldSigned struct {
	URL     string            `json:"url"`
	Key     string            `json:"key"`
	Headers map[string]string `json:"headers"`
}

func signedOf(g benchwrap.Signed, err error) (used, error) {
	if g.Headers == nil {
		g.Headers = map[string]string{}
	}
	return used{status: http.StatusOK, body: oldSigned{g.URL, g.Key, g.Headers}, subject: g.Key}, err
}

func (b *Benchwrap) upload(c *gin.Context, userID string) (used, error) {
	return signedOf(b.Files.Upload(c.Request.Context(), userID, c.Query("object_name"), c.Query("benchmark_name")))
}

func (b *Benchwrap) download(c *gin.Context, userID string) (used, error) {
	name := c.Query("key")
	if name == "" {
		name = c.Query("object_name")
	}
	return signedOf(b.Files.Download(c.Request.Context(), userID, name))
}

// oldObject is a stored file in the client's words.
type oldObject struct {
	Key          string    `json:"key"`
	Name         string    `json:"name"`
	Size         int64     `json:"size"`
	LastModified time.Time `json:"last_modified"`
	Benchmark    string    `json:"benchmark_name,omitempty"`
}

func (b *Benchwrap) list(c *gin.Context, userID string) (used, error) {
	list, next, err := b.Files.List(c.Request.Context(), userID, c.Query("prefix"), c.Query("cursor"))
	out := struct {
		Objects []oldObject `json:"objects"`
		Next    string      `json:"next_cursor,omitempty"`
	}{make([]oldObject, 0, len(list)), next}
	for _, o := range list {
		out.Objects = append(out.Objects, oldObject{o.Key, o.Name, o.SizeBytes, o.StoredAt.UTC(), o.Benchmark})
	}
	return used{status: http.StatusOK, body: out, subject: userID}, err
}
