// Package identity owns accounts, sessions, tokens, signing keys, agents and the links between accounts and unix users.
//
// It knows nothing of HTTP and SQL: httpapi calls Service, gormstore implements the interfaces of store.go. Rules that
// races could break (a refresh token is used once, an enrolment token is used once, a challenge is used once) are decided
// by the store in one conditional statement; this package says what follows from the outcome.
//
// What a copy of the database gives away: names, and argon2id hashes. Refresh tokens are stored as SHA-256 and derive
// from the secret file; signing keys are sealed under it.
package identity
