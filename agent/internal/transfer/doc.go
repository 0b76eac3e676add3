// Package transfer moves files between this machine and the object store by the server's presigned requests: put with
// multipart and resume, get with verification. It acts with the rights of whoever runs it.
//
// Memory is bounded: files are read and written in pieces of 64 KiB, however large they are. URLs are secrets: they are
// in no error and no log. Checksums bind both ways: the store refuses a PUT whose bytes are not those announced, and a
// downloaded file gets its name only after its SHA-256 was found right.
package transfer
