// Package httpapi is the HTTP adapter: Gin, the middleware that every request passes, the error table, and the handlers
// that translate between wire types (shared/api) and features.
//
// A request passes, in this order: request id, access log, recover, security headers, CORS, origin, operation (from the
// OpenAPI document), deadline, authentication, authorisation, body and parameters, handler. What an operation demands is
// read from the document, so that a new route cannot be forgotten.
//
// Handlers implement the generated strict interfaces, return domain errors as they are (`return nil, err`), and never write
// to the response themselves. The caller is in the context: principal.UserFrom(ctx), principal.AgentFrom(ctx).
package httpapi
