// Package integration tests the deletion and the export of accounts on real databases and real object stores, killed at
// every step. It holds no code.
package integration
