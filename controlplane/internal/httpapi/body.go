package httpapi

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/gin-gonic/gin"
	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
)

// checkRequest holds parameters and body against the document before any handler sees them. Query parameters that are
// missing get the default of the document.
func (s *Server) checkRequest(c *gin.Context) {
	op := operationOf(c)
	if op == nil {
		return
	}
	if err := checkParams(c, op); err != nil {
		abort(c, err)
		return
	}
	if op.body == nil {
		return
	}
	body, err := s.readBody(c, op)
	if err != nil {
		abort(c, err)
		return
	}
	if len(body) == 0 && !op.body.Required {
		c.Request.Body = http.NoBody
		return
	}
	if err := checkBody(op, body); err != nil {
		abort(c, err)
		return
	}
	c.Request.Body = io.NopCloser(bytes.NewReader(body))
}

func checkParams(c *gin.Context, op *operation) error {
	path := make(map[string]string, len(c.Params))
	for _, p := range c.Params {
		path[p.Key] = p.Value
	}
	input := &openapi3filter.RequestValidationInput{Request: c.Request, PathParams: path, Options: &openapi3filter.Options{}}
	for _, ref := range op.params {
		err := openapi3filter.ValidateParameter(c.Request.Context(), input, ref.Value)
		if err == nil {
			err = checkUUID(path[ref.Value.Name], ref.Value)
		}
		if err != nil {
			e := apperr.Wrap(apperr.InvalidRequest, "parameter "+ref.Value.Name+" is missing or not valid", err)
			e.Fields = []apperr.Field{{Name: ref.Value.Name, Message: "not of the form that this call takes"}}
			return e
		}
	}
	return nil
}

// checkUUID: the validator knows no format uuid, and the generated decoder's error does not name the parameter.
func checkUUID(value string, p *openapi3.Parameter) error {
	if p.In != openapi3.ParameterInPath || p.Schema == nil || p.Schema.Value.Format != "uuid" {
		return nil
	}
	if err := uuid.Validate(value); err != nil || len(value) != 36 {
		return errors.New("not a UUID")
	}
	return nil
}

// readBody reads at most the limit of the operation. A body must say that it is JSON and must not be compressed.
func (s *Server) readBody(c *gin.Context, op *operation) ([]byte, error) {
	limit := s.cfg.MaxBodyBytes
	if op.tag == "agent" {
		limit = s.cfg.MaxAgentBodyBytes
	}
	body, err := io.ReadAll(http.MaxBytesReader(c.Writer, c.Request.Body, limit))
	if err != nil {
		if _, over := errors.AsType[*http.MaxBytesError](err); over {
			return nil, apperr.Newf(apperr.TooLarge, "the body is larger than %d bytes", limit).WithHint("send less in one call")
		}
		return nil, apperr.Wrap(apperr.InvalidRequest, "the body could not be read to its end", err)
	}
	if len(body) == 0 {
		if op.body.Required {
			return nil, apperr.New(apperr.InvalidRequest, "this call needs a JSON body")
		}
		return nil, nil
	}
	return body, checkMedia(c.Request.Header)
}

func checkMedia(h http.Header) error {
	media, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil || media != "application/json" {
		return apperr.New(apperr.UnsupportedMediaType, "the body must be application/json")
	}
	if enc := h.Get("Content-Encoding"); enc != "" && enc != "identity" {
		return apperr.New(apperr.UnsupportedMediaType, "the body must not be compressed")
	}
	return nil
}
