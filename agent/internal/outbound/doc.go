// Package outbound is how the agent and the CLI talk to the control plane, which they do not trust: https (or http to
// loopback), no redirects, bodies of bounded size, and problem documents (RFC 9457) as errors.
package outbound
