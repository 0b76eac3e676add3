// Package integration holds the tests of storage as a whole: the HTTP API as clients see it, a real database, and the
// embedded object store in its own process.
package integration
