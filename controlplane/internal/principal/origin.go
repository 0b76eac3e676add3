package principal

import (
	"context"
	"net/netip"
)

// Origin says where a request came from; audit rows and rate limits use it.
type Origin struct {
	RequestID string
	IP        netip.Addr // after trusted proxies; the zero Addr when there is no network, as in the admin CLI
	UserAgent string     // as sent, cut to 256 bytes; untrusted
}

type originKey struct{}

// WithOrigin returns a context that carries o.
func WithOrigin(ctx context.Context, o Origin) context.Context {
	return context.WithValue(ctx, originKey{}, o)
}

// OriginFrom is where the request came from; the zero Origin when nothing is known.
func OriginFrom(ctx context.Context) Origin {
	o, _ := ctx.Value(originKey{}).(Origin)
	return o
}
