package s3store

import (
	"context"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/ergon-hpc/ergon/controlplane/internal/storage"
	"github.com/ergon-hpc/ergon/shared/secret"
)

// SignPut binds method, key, length, type, SHA-256 and that nothing is overwritten.
func (s *Store) SignPut(ctx context.Context, o storage.PutOrder) (storage.Presigned, error) {
	return s.sign(ctx, s.put, wish{
		method: http.MethodPut, key: o.Key, lifetime: o.Lifetime, headers: map[string]string{
			"Content-Length":        strconv.FormatInt(o.SizeBytes, 10),
			"Content-Type":          o.ContentType,
			"If-None-Match":         "*",
			"X-Amz-Checksum-Sha256": o.SHA256.Checksum(),
		},
	})
}

var _ storage.OpenSigner = (*Store)(nil)

// SignOpenPut binds method and key, and that nothing is overwritten; a client of old sends its own type and tells no length.
func (s *Store) SignOpenPut(ctx context.Context, key string, lifetime time.Duration) (storage.Presigned, error) {
	return s.sign(ctx, s.put, wish{method: http.MethodPut, key: key, lifetime: lifetime, headers: map[string]string{"If-None-Match": "*"}})
}

// SignPart binds method, key, upload, part number, length and SHA-256. Stores ignore if-none-match on parts.
func (s *Store) SignPart(ctx context.Context, o storage.PartOrder) (storage.Presigned, error) {
	return s.sign(ctx, s.put, wish{
		method: http.MethodPut, key: o.Key, lifetime: o.Lifetime,
		query: url.Values{"partNumber": {strconv.Itoa(int(o.Number))}, "uploadId": {o.StoreUploadID}},
		headers: map[string]string{
			"Content-Length":        strconv.FormatInt(o.SizeBytes, 10),
			"X-Amz-Checksum-Sha256": o.SHA256.Checksum(),
		},
	})
}

// SignGet makes the store answer with an attachment of the given name, whatever the name holds.
func (s *Store) SignGet(ctx context.Context, o storage.GetOrder) (storage.Presigned, error) {
	return s.sign(ctx, s.get, wish{
		method: http.MethodGet, key: o.Key, lifetime: o.Lifetime,
		query: url.Values{
			"response-content-disposition": {attachment(o.FileName)},
			"response-content-type":        {"application/octet-stream"},
		},
	})
}

type wish struct {
	method, key string
	lifetime    time.Duration
	query       url.Values
	headers     map[string]string
}

func (s *Store) sign(ctx context.Context, c *minio.Client, w wish) (storage.Presigned, error) {
	extra := http.Header{}
	for name, value := range w.headers {
		extra.Set(name, value)
	}
	u, err := c.PresignHeader(ctx, w.method, s.bucket, w.key, w.lifetime, w.query, extra)
	if err != nil {
		return storage.Presigned{}, fmt.Errorf("presigning: %w", err)
	}
	headers := w.headers
	if headers == nil {
		headers = map[string]string{}
	}
	signedAt, err := dateOf(u.RawQuery)
	if err != nil {
		return storage.Presigned{}, err
	}
	return storage.Presigned{
		Method: w.method, URL: secret.New(u.String()), Headers: headers, ExpiresAt: signedAt.Add(w.lifetime.Truncate(time.Second)),
	}, nil
}

// dateOf reads X-Amz-Date, the time of the signature. Parsing the whole query would take a fifth of the signing.
func dateOf(query string) (time.Time, error) {
	_, rest, _ := strings.Cut(query, "X-Amz-Date=")
	text, _, _ := strings.Cut(rest, "&")
	at, err := time.Parse(amzDate, text)
	if err != nil {
		return at, errors.New("presigning: the URL does not say when it was signed")
	}
	return at, nil
}

const amzDate = "20060102T150405Z" // AWS Signature Version 4, date in ISO 8601 basic form

const maxFileName = 200

// attachment is a Content-Disposition (RFC 6266) whose name cannot break out of the header, name a path, or end the quotes:
// plain ASCII for old clients, and the full name percent-encoded (RFC 8187) where it differs.
func attachment(name string) string {
	name = name[strings.LastIndexAny(name, `/\`)+1:]
	plain := strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' || strings.ContainsRune(`"\/;%`, r) {
			return '_'
		}
		return r
	}, name)
	if len(plain) > maxFileName {
		plain = plain[:maxFileName]
	}
	if strings.Trim(plain, ". ") == "" {
		plain = "download"
	}
	value := mime.FormatMediaType("attachment", map[string]string{"filename": plain})
	if plain != name && name != "" {
		value += "; filename*=UTF-8''" + percentEncode(name)
	}
	return value
}

// percentEncode keeps only RFC 3986 unreserved characters.
func percentEncode(s string) string {
	return strings.ReplaceAll(url.QueryEscape(s), "+", "%20")
}
