package helper

import (
	"context"
	"crypto/tls"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// StoreError is the object store's answer to a presigned request, without its text: an S3 error body repeats the
// string to sign, so only its code is read.
type StoreError struct {
	// Status is the HTTP status, 0 when there was no answer.
	Status int `json:"status"`
	// Code is S3's error code (AccessDenied, PreconditionFailed, …), or a word for what failed on the way.
	Code string `json:"code"`
	// RetryAfter is in seconds, 0 when the store said nothing.
	RetryAfter int `json:"retry_after,omitempty"`
}

// Error tells status and code.
func (e *StoreError) Error() string {
	if e.Status == 0 {
		return "the object store did not answer: " + e.Code
	}
	return fmt.Sprintf("the object store answered %d %s", e.Status, e.Code)
}

// Temporary tells whether the same request may be sent again as it is.
func (e *StoreError) Temporary() bool {
	return e.Status == 0 || e.Status >= 500 || e.Status == http.StatusTooManyRequests || e.Status == http.StatusRequestTimeout
}

// AlreadyThere tells that the key holds an object: our own earlier PUT, or the server will say otherwise at Complete.
func (e *StoreError) AlreadyThere() bool { return e.Status == http.StatusPreconditionFailed }

// Denied tells that the signature is no longer good: ask for a fresh one.
func (e *StoreError) Denied() bool { return e.Status == http.StatusForbidden }

// BadContent tells that the bytes sent were not those that were signed.
func (e *StoreError) BadContent() bool {
	return e.Status == http.StatusBadRequest &&
		(strings.Contains(e.Code, "Digest") || strings.Contains(e.Code, "Checksum") || strings.Contains(e.Code, "SHA256"))
}

// newHTTPClient sends presigned requests: no redirects (they would carry the body elsewhere), no proxy from the
// environment, a stall ends the request.
func newHTTPClient() *http.Client {
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}
	return &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext: dialer.DialContext, TLSHandshakeTimeout: 10 * time.Second, MaxIdleConnsPerHost: 4,
			ResponseHeaderTimeout: 5 * time.Minute, ForceAttemptHTTP2: false,
			TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12},
		},
	}
}

// send PUTs body with exactly the signed headers. Errors are *StoreError and never hold the URL.
func send(ctx context.Context, client *http.Client, p put, body io.Reader, sizeBytes int64) error {
	target, err := url.Parse(p.URL)
	if err != nil || target.Host == "" || (target.Scheme != "https" && target.Scheme != "http") {
		return &StoreError{Code: "the server gave no usable URL"}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, "", nil)
	if err != nil {
		return err
	}
	req.URL, req.Host = target, target.Host
	for name, value := range p.Headers {
		if !strings.EqualFold(name, "host") && !strings.EqualFold(name, "content-length") {
			req.Header.Set(name, value)
		}
	}
	req.ContentLength = sizeBytes
	req.Body = io.NopCloser(body)
	if sizeBytes == 0 {
		req.Body = http.NoBody
	}
	resp, err := client.Do(req) //nolint:bodyclose // answer closes it
	if err != nil {
		return &StoreError{Code: plain(ctx, err)}
	}
	return answer(resp)
}

// plain is the cause of a failed request without its URL, which url.Error would print.
func plain(ctx context.Context, err error) string {
	if ctx.Err() != nil {
		return "cancelled"
	}
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err
	}
	return err.Error()
}

func answer(resp *http.Response) error {
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode == http.StatusOK || resp.StatusCode == http.StatusNoContent {
		return nil
	}
	var body struct {
		Code string `xml:"Code"`
	}
	_ = xml.NewDecoder(io.LimitReader(resp.Body, 64<<10)).Decode(&body) // no XML: the status says enough
	if len(body.Code) > 64 {
		body.Code = body.Code[:64]
	}
	retry, _ := strconv.Atoi(resp.Header.Get("Retry-After"))
	return &StoreError{Status: resp.StatusCode, Code: body.Code, RetryAfter: max(0, min(retry, 3600))}
}
