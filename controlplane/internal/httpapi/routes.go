package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"reflect"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
	"github.com/ergon-hpc/ergon/controlplane/internal/httpapi/accountapi"
	"github.com/ergon-hpc/ergon/controlplane/internal/httpapi/agentapi"
	"github.com/ergon-hpc/ergon/controlplane/internal/httpapi/filesapi"
	"github.com/ergon-hpc/ergon/controlplane/internal/httpapi/identityapi"
	"github.com/ergon-hpc/ergon/controlplane/internal/httpapi/jobsapi"
	"github.com/ergon-hpc/ergon/controlplane/internal/httpapi/systemapi"
)

// Handlers are the features' ends of the API. Each is made by a constructor of this package (files_*.go, jobs_*.go,
// identity_*.go). A server that serves all sets all (Check);
// a call of one that is missing in a test panics, which is answered as 500.
type Handlers struct {
	Identity      identityapi.StrictServerInterface
	Files         filesapi.StrictServerInterface
	Jobs          jobsapi.StrictServerInterface
	Account       accountapi.StrictServerInterface
	AgentIdentity AgentIdentity
	AgentJobs     AgentJobs
	AgentFiles    AgentFiles
	Page          http.Handler // the confirmation page, at PagePath and below
}

// PagePath is where people confirm logins. The page is HTML for browsers, and no part of the OpenAPI document.
const PagePath = "/device"

func pageRoutes() []string {
	list := []string{routeKey(http.MethodGet, PagePath), routeKey(http.MethodGet, PagePath+"/oidc")}
	for _, path := range []string{"/login", "/logout", "/code", "/decide", "/oidc"} {
		list = append(list, routeKey(http.MethodPost, PagePath+path))
	}
	return list
}

// AgentIdentity is the part of the agent's routes that identity serves.
type AgentIdentity interface {
	GetAgentSelf(ctx context.Context, r agentapi.GetAgentSelfRequestObject) (agentapi.GetAgentSelfResponseObject, error)
	ConfirmLink(ctx context.Context, r agentapi.ConfirmLinkRequestObject) (agentapi.ConfirmLinkResponseObject, error)
	UnlinkUid(ctx context.Context, r agentapi.UnlinkUidRequestObject) (agentapi.UnlinkUidResponseObject, error)
	ExchangeUnix(ctx context.Context, r agentapi.ExchangeUnixRequestObject) (agentapi.ExchangeUnixResponseObject, error)
	PutCoordinators(ctx context.Context, r agentapi.PutCoordinatorsRequestObject) (agentapi.PutCoordinatorsResponseObject, error)
	RotateAgentKey(ctx context.Context, r agentapi.RotateAgentKeyRequestObject) (agentapi.RotateAgentKeyResponseObject, error)
}

// AgentJobs is the part that jobs serves.
type AgentJobs interface {
	PostEvents(ctx context.Context, r agentapi.PostEventsRequestObject) (agentapi.PostEventsResponseObject, error)
	PostAccounting(ctx context.Context, r agentapi.PostAccountingRequestObject) (agentapi.PostAccountingResponseObject, error)
	PutNodes(ctx context.Context, r agentapi.PutNodesRequestObject) (agentapi.PutNodesResponseObject, error)
	GetObjection(ctx context.Context, r agentapi.GetObjectionRequestObject) (agentapi.GetObjectionResponseObject, error)
	PutObjection(ctx context.Context, r agentapi.PutObjectionRequestObject) (agentapi.PutObjectionResponseObject, error)
	DeleteObjection(ctx context.Context, r agentapi.DeleteObjectionRequestObject) (agentapi.DeleteObjectionResponseObject, error)
}

// AgentFiles is the part that storage serves.
type AgentFiles interface {
	PresignJobUploads(ctx context.Context, r agentapi.PresignJobUploadsRequestObject) (agentapi.PresignJobUploadsResponseObject, error)
}

type agentHandlers struct {
	AgentIdentity
	AgentJobs
	AgentFiles
}

func (s *Server) routes() {
	h := s.cfg.Handlers
	onError := func(c *gin.Context, err error, _ int) { badRequest(c, err) }
	// The generated packages have each the same type.
	strict := identityapi.StrictGinServerOptions{RequestErrorHandlerFunc: badRequest, HandlerErrorFunc: abort, ResponseErrorHandlerFunc: abort}
	identityapi.RegisterHandlersWithOptions(s.engine, identityapi.NewStrictHandlerWithOptions(h.Identity,
		[]identityapi.StrictMiddlewareFunc{around[identityapi.StrictHandlerFunc](s)}, strict),
		identityapi.GinServerOptions{ErrorHandler: onError})
	agentapi.RegisterHandlersWithOptions(s.engine, agentapi.NewStrictHandlerWithOptions(
		agentHandlers{h.AgentIdentity, h.AgentJobs, h.AgentFiles},
		[]agentapi.StrictMiddlewareFunc{around[agentapi.StrictHandlerFunc](s)}, agentapi.StrictGinServerOptions(strict),
	),
		agentapi.GinServerOptions{ErrorHandler: onError})
	accountapi.RegisterHandlersWithOptions(s.engine, accountapi.NewStrictHandlerWithOptions(h.Account,
		[]accountapi.StrictMiddlewareFunc{around[accountapi.StrictHandlerFunc](s)}, accountapi.StrictGinServerOptions(strict)),
		accountapi.GinServerOptions{ErrorHandler: onError})
	filesapi.RegisterHandlersWithOptions(s.engine, filesapi.NewStrictHandlerWithOptions(h.Files,
		[]filesapi.StrictMiddlewareFunc{around[filesapi.StrictHandlerFunc](s)}, filesapi.StrictGinServerOptions(strict)),
		filesapi.GinServerOptions{ErrorHandler: onError})
	jobsapi.RegisterHandlersWithOptions(s.engine, jobsapi.NewStrictHandlerWithOptions(h.Jobs,
		[]jobsapi.StrictMiddlewareFunc{around[jobsapi.StrictHandlerFunc](s)}, jobsapi.StrictGinServerOptions(strict)),
		jobsapi.GinServerOptions{ErrorHandler: onError})
	systemapi.RegisterHandlersWithOptions(s.engine, systemapi.NewStrictHandlerWithOptions(
		system{checks: s.cfg.Checks, report: newOutcomes(s.cfg.Log, s.cfg.Now).report},
		[]systemapi.StrictMiddlewareFunc{around[systemapi.StrictHandlerFunc](s)}, systemapi.StrictGinServerOptions(strict),
	),
		systemapi.GinServerOptions{ErrorHandler: onError})
	for _, key := range pageRoutes() {
		method, path, _ := strings.Cut(key, " ")
		s.engine.Handle(method, path, func(c *gin.Context) { h.Page.ServeHTTP(c.Writer, c.Request) })
	}
}

// ownContext hands a copy of Gin's context to the handler. Gin uses its contexts again for other requests, while
// database/sql and others still watch Done of the one that they were given (found by the race detector).
func ownContext[H ~func(*gin.Context, any) (any, error)](f H, _ string) H {
	return func(c *gin.Context, request any) (any, error) { return f(c.Copy(), request) }
}

// badRequest answers what the generated code could not decode; its text may quote the value, so only the log gets it.
func badRequest(c *gin.Context, err error) {
	abort(c, apperr.Wrap(apperr.InvalidRequest, "a value does not have the form that this call takes", err))
}

func notFound(c *gin.Context) {
	abort(c, apperr.New(apperr.NotFound, "no such path"))
}

func methodNotAllowed(c *gin.Context) {
	abortStatus(c, apperr.New(apperr.InvalidRequest, "this path does not take that method"), http.StatusMethodNotAllowed)
}

// Check names the handlers that are missing: a server must have no hole in its contract.
func (h Handlers) Check() error {
	v := reflect.ValueOf(h)
	var missing []string
	for i := range v.NumField() {
		if v.Field(i).IsNil() {
			missing = append(missing, v.Type().Field(i).Name)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("building the API: no handler for %s", strings.Join(missing, ", "))
	}
	return nil
}
