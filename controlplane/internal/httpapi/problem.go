package httpapi

import (
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
	"github.com/ergon-hpc/ergon/controlplane/internal/principal"
	"github.com/ergon-hpc/ergon/shared/api"
)

// kind is how a code looks in HTTP.
type kind struct {
	status int
	title  string
}

// table maps every code; a test holds it complete.
var table = map[apperr.Code]kind{
	apperr.InvalidRequest:       {http.StatusBadRequest, "The request is not valid"},
	apperr.Unauthorized:         {http.StatusUnauthorized, "Log in first"},
	apperr.TokenExpired:         {http.StatusUnauthorized, "The access token has expired"},
	apperr.InvalidCredentials:   {http.StatusUnauthorized, "Wrong name or password"},
	apperr.Forbidden:            {http.StatusForbidden, "Not allowed"},
	apperr.NotFound:             {http.StatusNotFound, "Not found"},
	apperr.Conflict:             {http.StatusConflict, "Conflict"},
	apperr.AlreadyExists:        {http.StatusConflict, "Exists already"},
	apperr.Gone:                 {http.StatusGone, "No longer there"},
	apperr.QuotaExceeded:        {http.StatusForbidden, "Quota exceeded"},
	apperr.TooLarge:             {http.StatusRequestEntityTooLarge, "Too large"},
	apperr.UnsupportedMediaType: {http.StatusUnsupportedMediaType, "Unsupported media type"},
	apperr.RateLimited:          {http.StatusTooManyRequests, "Too many requests"},
	apperr.RefreshReused:        {http.StatusUnauthorized, "The refresh token was used before"},
	apperr.ChallengeExpired:     {http.StatusGone, "The challenge is not valid any more"},
	apperr.ChecksumMismatch:     {http.StatusUnprocessableEntity, "Checksum mismatch"},
	apperr.UploadIncomplete:     {http.StatusConflict, "The upload is not complete"},
	apperr.UploadExpired:        {http.StatusGone, "The upload has expired"},
	apperr.NotAnalysed:          {http.StatusNotFound, "Not analysed yet"},
	apperr.StaleEpoch:           {http.StatusConflict, "Overtaken"},
	apperr.IdempotencyKeyReused: {http.StatusUnprocessableEntity, "Idempotency-Key used before"},
	apperr.SecretAlreadyIssued:  {http.StatusConflict, "The secret was issued already"},
	apperr.Busy:                 {http.StatusServiceUnavailable, "Busy"},
	apperr.StoreUnavailable:     {http.StatusServiceUnavailable, "The object store does not answer"},
	apperr.Internal:             {http.StatusInternalServerError, "Internal error"},
}

// Problem is the document for an error; the HTTP status is in it. Internal text stays out: an error without a code is
// "internal" with the request id and nothing else. CP2's tickets embed it too.
func Problem(err error, requestID string) api.Problem {
	e, ok := errors.AsType[*apperr.Error](err)
	if !ok || e.Code == apperr.Internal {
		e = apperr.New(apperr.Internal, "something went wrong in the server; its log has the details under this request id")
	}
	k := table[e.Code]
	p := api.Problem{
		Type: "urn:ergon:problem:" + string(e.Code), Title: k.title, Status: k.status, Code: api.ErrorCode(e.Code),
	}
	setDetail(&p, e)
	if requestID != "" {
		p.Instance = &requestID
	}
	return p
}

func setDetail(p *api.Problem, e *apperr.Error) {
	if detail := strings.TrimSpace(e.Message + hint(e)); detail != "" {
		p.Detail = &detail
	}
	if e.RetryAfter > 0 {
		s := int(math.Ceil(e.RetryAfter.Seconds()))
		p.RetryAfterS = &s
	}
	if q := e.Quota; q != nil {
		p.Quota = &api.QuotaProblem{
			UsedBytes: q.UsedBytes, ReservedBytes: q.ReservedBytes, LimitBytes: q.LimitBytes, NeededBytes: q.NeededBytes,
			UsedObjects: q.UsedObjects, LimitObjects: q.LimitObjects,
		}
	}
	p.Errors = fields(e.Fields)
}

func hint(e *apperr.Error) string {
	if e.Hint == "" {
		return ""
	}
	return "; " + e.Hint
}

// abort ends the request with the problem document for err. The error is kept for the access log, which writes it once.
func abort(c *gin.Context, err error) {
	abortStatus(c, err, 0)
}

// abortStatus is abort with a status that the table does not know (405, 501).
func abortStatus(c *gin.Context, err error, status int) {
	_ = c.Error(err)
	c.Abort()
	if c.Writer.Written() {
		return
	}
	p := Problem(err, principal.OriginFrom(c.Request.Context()).RequestID)
	if status != 0 {
		p.Status, p.Title = status, http.StatusText(status)
	}
	body, merr := json.Marshal(p)
	if merr != nil {
		c.Status(http.StatusInternalServerError)
		return
	}
	h := c.Writer.Header()
	if p.RetryAfterS != nil {
		h.Set("Retry-After", strconv.Itoa(*p.RetryAfterS))
	}
	if p.Status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Bearer realm="ergon"`)
	}
	c.Data(p.Status, "application/problem+json", body)
}
