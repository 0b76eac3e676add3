// Package erasure deletes accounts and gives people what is stored about them (design 03, T33; design 04, GDPR).
//
// Deleting is a saga. Its row says which step is next; each step may be repeated and is written down when it is done, so
// whoever finds the row after a crash goes on there:
//
//	freeze ─► revoke ─► files ─► rows ─► names ─► last look ─► done
//	   │         │         │        │       │         └ files again, once no URL given out before can be in use any more
//	   │         │         │        │       └ the key under which names and addresses stand in the audit log is destroyed
//	   │         │         │        └ the account and all that hangs on it; jobs lose the person and their details
//	   │         │         └ multiparts aborted, all objects and versions removed, archives too
//	   │         └ sessions, tokens and own agents end
//	   └ the account is disabled in the transaction that writes the row: from then on nothing is reserved for it
//
// The row stays as the receipt: an id, times and counts, and the id of an account that names nobody any more.
//
// An export is made the same way: its row says that it is due, whoever works on it writes an archive of all rows about the
// account below _ergon/exports/, and removes it after some days.
package erasure
