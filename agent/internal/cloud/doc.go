// Package cloud is the agent's side of the contract with the control plane: enrolment, tokens, events, accounting,
// links and upload tickets. The server is not trusted: see package outbound. Keys and tokens are never logged.
package cloud
