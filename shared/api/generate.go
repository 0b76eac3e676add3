// Package api holds the wire types and the client, generated from apispec/openapi.yaml by `make generate`.
package api
