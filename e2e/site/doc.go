// Package site runs the product as a site would: a real Slurm cluster, ergon-server with its embedded database and object
// store, an enrolled agent, and users who log in and submit. Everything is one directory and one port range; a Site ends
// with its harness.Stack.
package site
