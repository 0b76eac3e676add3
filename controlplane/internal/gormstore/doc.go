// Package gormstore is the one adapter to the system of record: PostgreSQL or SQLite, the same tables in both.
//
// How to use it (files identity_*.go, storage_*.go and jobs_*.go do):
//   - Each feature declares the small interface it needs; the methods here implement it on *Store.
//   - Rows are unexported structs of this package with a TableName; times in rows and in query arguments are of type Time
//     (nullable: *Time), never time.Time.
//   - Several statements that belong together go through Store.Tx. Inside it use the tx that is handed in and nothing else.
//   - A race is decided by one conditional UPDATE (RowsAffected or RETURNING), never by reading and then writing.
//   - Errors leave through mapErr, so that callers see apperr codes.
package gormstore
