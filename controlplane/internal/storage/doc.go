// Package storage owns stored objects: their keys, presigned transfers, the quota ledger, completion, deletion, sweeping.
// Bytes never pass through here; clients exchange them with the store by presigned requests.
//
// # Keys
//
// The server builds every key; clients name files. A key is given out once and never again, so a late PUT, a slow DELETE or
// a replay can only ever touch its own upload:
//
//	<user_id>/<upload_id>_<name>                               files of a user
//	<user_id>/jobs/<job_id>/<attempt>/<class>/<path>           outputs of a job
//	<user_id>/jobs/<job_id>/<attempt>/<class>/<path>_V<12 hex> the same path with another content, or sent again
//
// shared/safename encodes names so that no key is a directory of another. A changed stdout is a new object beside the old
// one: nothing is overwritten, both count, and the younger created_at wins for readers.
//
// # The life of an upload
//
//	           ┌─ Complete: HEAD confirms length and checksum ──► stored ──Delete──► (object row gone, bytes swept)
//	reserved ──┼─ Abort ─────────────────────────────────────────► aborted
//	           └─ Sweep, after expiry and allowance ─────────────► stored if the bytes are there, else expired
//
// Reserving, settling and releasing change the upload, the object and the quota in one transaction, each decided by one
// conditional UPDATE. Asking again for the same (job, attempt, class, path, size, sha256) gives the same upload a fresh URL,
// or the stored object. An upload is closed once no URL of it can be in use any more and the store holds what the objects
// table says; Sweep works through those that are due and not closed, and is safe to run at any time, by many at once.
package storage
