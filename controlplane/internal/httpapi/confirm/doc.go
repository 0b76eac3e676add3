// Package confirm serves the page on which people confirm that a program may log in as them (RFC 8628): plain HTML forms,
// no script, nothing from elsewhere. It is the only part of the server that sets a cookie.
package confirm
