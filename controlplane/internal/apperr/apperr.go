// Package apperr holds the one error type that crosses the boundaries of the control plane.
//
// A feature returns an *Error when it knows what went wrong and what the caller can do; anything else is an internal
// error, of which the client sees the request id and nothing more. httpapi maps codes to RFC 9457 documents in one table.
package apperr

import (
	"errors"
	"fmt"
	"time"
)

// Code says what kind of failure it is; the list is closed and equals ErrorCode of the OpenAPI document.
type Code string

// The codes of the contract.
const (
	InvalidRequest       Code = "invalid_request"
	Unauthorized         Code = "unauthorized"
	TokenExpired         Code = "token_expired"
	InvalidCredentials   Code = "invalid_credentials"
	Forbidden            Code = "forbidden"
	NotFound             Code = "not_found"
	Conflict             Code = "conflict"
	AlreadyExists        Code = "already_exists"
	Gone                 Code = "gone"
	QuotaExceeded        Code = "quota_exceeded"
	TooLarge             Code = "too_large"
	UnsupportedMediaType Code = "unsupported_media_type"
	RateLimited          Code = "rate_limited"
	RefreshReused        Code = "refresh_reused"
	ChallengeExpired     Code = "challenge_expired"
	ChecksumMismatch     Code = "checksum_mismatch"
	UploadIncomplete     Code = "upload_incomplete"
	UploadExpired        Code = "upload_expired"
	NotAnalysed          Code = "not_analysed"
	StaleEpoch           Code = "stale_epoch"
	IdempotencyKeyReused Code = "idempotency_key_reused"
	SecretAlreadyIssued  Code = "secret_already_issued"
	Busy                 Code = "busy"
	StoreUnavailable     Code = "store_unavailable"
	Internal             Code = "internal"
)

// Codes lists every code.
func Codes() []Code {
	return []Code{
		InvalidRequest, Unauthorized, TokenExpired, InvalidCredentials, Forbidden, NotFound, Conflict, AlreadyExists,
		Gone, QuotaExceeded, TooLarge, UnsupportedMediaType, RateLimited, RefreshReused, ChallengeExpired,
		ChecksumMismatch, UploadIncomplete, UploadExpired, NotAnalysed, StaleEpoch, IdempotencyKeyReused, SecretAlreadyIssued, Busy, StoreUnavailable, Internal,
	}
}

// Error is a failure with a code. Message and Hint are sent to the client; Err is logged and never sent.
type Error struct {
	Code       Code
	Message    string        // what happened, for the human who called; holds no internal text
	Hint       string        // what to do next; may be empty
	Err        error         // the cause, for the log only
	RetryAfter time.Duration // when to try again; zero when there is nothing to say
	Fields     []Field       // which members of the request are wrong
	Quota      *Quota        // of QuotaExceeded
}

// Field names one member of the request and what is wrong with it.
type Field struct{ Name, Message string }

// Quota tells the caller where it stands, in bytes and objects.
type Quota struct {
	UsedBytes, ReservedBytes, LimitBytes, NeededBytes int64
	UsedObjects, LimitObjects                         int64
}

// New makes an error that the client may read.
func New(code Code, message string) *Error { return &Error{Code: code, Message: message} }

// Newf is New with a format.
func Newf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// Wrap makes an error that the client may read, with a cause that it may not.
func Wrap(code Code, message string, err error) *Error {
	return &Error{Code: code, Message: message, Err: err}
}

// WithHint returns a copy that also says what to do next.
func (e *Error) WithHint(hint string) *Error {
	c := *e
	c.Hint = hint
	return &c
}

// Error is the text for the log.
func (e *Error) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("%s: %s: %v", e.Code, e.Message, e.Err)
	}
	return fmt.Sprintf("%s: %s", e.Code, e.Message)
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// CodeOf is the code of the outermost *Error in the chain, or Internal.
func CodeOf(err error) Code {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return Internal
}

// Is reports whether err carries the code.
func Is(err error, code Code) bool { return err != nil && CodeOf(err) == code }
