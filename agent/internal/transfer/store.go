package transfer

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

	"github.com/ergon-hpc/ergon/agent/internal/term"
	"github.com/ergon-hpc/ergon/shared/api"
)

// StoreError is the object store's answer to a presigned request. Its text is left out, because an S3 error body repeats
// what was signed.
type StoreError struct {
	// Status is the HTTP status, 0 when there was no whole answer.
	Status int
	// Code is S3's error code, or a word for what failed on the way.
	Code       string
	RetryAfter time.Duration
}

// Error tells status and code.
func (e *StoreError) Error() string {
	if e.Status == 0 {
		return "the object store did not answer: " + e.Code + "; run the same command again, it goes on where it stopped"
	}
	return fmt.Sprintf("the object store answered %d %s", e.Status, e.Code)
}

// Temporary says that the same request may be sent again.
func (e *StoreError) Temporary() bool {
	return e.Status == 0 || e.Status >= 500 || e.Status == http.StatusTooManyRequests || e.Status == http.StatusRequestTimeout
}

func (e *StoreError) denied() bool       { return e.Status == http.StatusForbidden }
func (e *StoreError) alreadyThere() bool { return e.Status == http.StatusPreconditionFailed }

// NewStoreClient makes the client for presigned requests: no redirects (they would carry the body elsewhere), no proxy,
// no unpacking, a stall ends the request.
func NewStoreClient() *http.Client {
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}
	return &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext: dialer.DialContext, TLSHandshakeTimeout: 10 * time.Second, MaxIdleConnsPerHost: 8,
			ResponseHeaderTimeout: 5 * time.Minute, DisableCompression: true, MaxResponseHeaderBytes: 64 << 10,
			TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12},
		},
	}
}

// request makes a request with exactly the signed headers.
func request(ctx context.Context, to api.PresignedRequest) (*http.Request, error) {
	target, err := url.Parse(to.Url)
	if err != nil || target.Host == "" || target.Scheme != "https" && target.Scheme != "http" {
		return nil, &StoreError{Status: http.StatusBadRequest, Code: "the server gave no usable address of the store"}
	}
	req, err := http.NewRequestWithContext(ctx, string(to.Method), "", http.NoBody)
	if err != nil {
		return nil, errors.New("the server gave no usable method for the store")
	}
	req.URL, req.Host = target, target.Host
	for name, value := range to.Headers {
		if !strings.EqualFold(name, "host") && !strings.EqualFold(name, "content-length") {
			req.Header.Set(name, value)
		}
	}
	return req, nil
}

// put sends size bytes.
func put(ctx context.Context, client *http.Client, to api.PresignedRequest, body io.Reader, size int64) error {
	if to.Method != api.PUT {
		return errors.New("the server gave no PUT for an upload")
	}
	req, err := request(ctx, to)
	if err != nil {
		return err
	}
	req.ContentLength = size
	if size > 0 {
		req.Body = io.NopCloser(body)
	}
	resp, err := client.Do(req)
	if err != nil {
		return noAnswer(ctx, err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode == http.StatusOK || resp.StatusCode == http.StatusNoContent {
		return nil
	}
	return storeError(resp)
}

// get opens the object from an offset on. The caller closes the body.
func get(ctx context.Context, client *http.Client, from api.PresignedRequest, offset int64) (io.ReadCloser, error) {
	if from.Method != api.GET {
		return nil, errors.New("the server gave no GET for a download")
	}
	req, err := request(ctx, from)
	if err != nil {
		return nil, err
	}
	want := http.StatusOK
	if offset > 0 {
		want = http.StatusPartialContent
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", offset))
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, noAnswer(ctx, err)
	}
	right := resp.StatusCode == want && (offset == 0 || strings.HasPrefix(resp.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-", offset)))
	if right {
		return resp.Body, nil
	}
	defer func() { _ = resp.Body.Close() }()
	return nil, storeError(resp)
}

// noAnswer drops the URL, which url.Error would print.
func noAnswer(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	return &StoreError{Code: err.Error()}
}

func storeError(resp *http.Response) error {
	var body struct {
		Code string `xml:"Code"`
	}
	_ = xml.NewDecoder(io.LimitReader(resp.Body, 64<<10)).Decode(&body) // no XML: the status says enough
	seconds, _ := strconv.Atoi(resp.Header.Get("Retry-After"))
	return &StoreError{
		Status: resp.StatusCode, Code: term.Clean(body.Code[:min(len(body.Code), 64)]),
		RetryAfter: time.Duration(max(0, min(seconds, 600))) * time.Second,
	}
}
