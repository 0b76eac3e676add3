// Package apispec carries the OpenAPI document that is the contract between agent, CLI and control plane.
package apispec

import _ "embed"

// Document is the OpenAPI 3.0.3 document, YAML.
//
//go:embed openapi.yaml
var Document []byte
