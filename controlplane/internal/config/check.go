package config

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"time"
)

// Limits of design 03.
const (
	maxAccessTTL   = 10 * time.Minute
	maxArgonMemory = 256 << 10 // KiB
	minArgonMemory = 8
	maxArgonTime   = 10
	minSecretBytes = 32
)

// check lists what cannot work.
func (c Config) check() []string {
	return slices.Concat(c.HTTP.check(), c.Database.check(), c.Auth.check(c.Database), c.OIDC.check(c.HTTP), c.Store.check(), c.Compat.check(), c.Limit.check(), c.Roles.check(), c.checkRest())
}

func want(ok bool, name, text string) []string {
	if ok {
		return nil
	}
	return []string{prefix + name + ": " + text}
}

func listenAddress(name, addr string) []string {
	_, _, err := net.SplitHostPort(addr)
	return want(err == nil, name, "must be host:port")
}

func (h HTTP) check() []string {
	faults := slices.Concat(
		listenAddress("HTTP_LISTEN", h.Listen),
		want((h.TLSCertFile == "") == (h.TLSKeyFile == ""), "HTTP_TLS_CERT_FILE", "needs HTTP_TLS_KEY_FILE, and the other way round"),
		want(h.MaxBodyBytes >= 1<<10, "HTTP_MAX_BODY_BYTES", "must be at least 1024"),
		want(h.MaxAgentBody >= 1<<10, "HTTP_MAX_AGENT_BODY_BYTES", "must be at least 1024"),
		h.publicURL(),
		want(h.RequestTimeout > 0, "HTTP_REQUEST_TIMEOUT", "must be positive"),
		want(h.StopTimeout > 0, "HTTP_STOP_TIMEOUT", "must be positive"),
	)
	for _, p := range h.TrustedProxies {
		_, err := netip.ParsePrefix(p)
		faults = append(faults, want(err == nil, "HTTP_TRUSTED_PROXIES", fmt.Sprintf("%q is not a CIDR such as 10.0.0.0/8", p))...)
	}
	for _, o := range h.CORSOrigins {
		u, err := url.Parse(o)
		ok := err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && u.Scheme+"://"+u.Host == o
		faults = append(faults, want(ok, "HTTP_CORS_ORIGINS", fmt.Sprintf("%q is not an origin such as https://host:port", o))...)
	}
	return faults
}

func (d Database) check() []string {
	return slices.Concat(
		want(d.Synchronous == "FULL" || d.Synchronous == "NORMAL", "DATABASE_SYNCHRONOUS", "must be FULL or NORMAL"),
		want(d.MaxConns >= 0, "DATABASE_MAX_CONNS", "must not be negative"),
	)
}

func (a Auth) check(d Database) []string {
	return slices.Concat(
		want(a.Secret == "" || len(a.Secret) >= minSecretBytes, "AUTH_SECRET", "must have at least 32 bytes; `openssl rand -base64 48 > FILE` makes one"),
		want(a.Secret != "" || d.URL == "", "AUTH_SECRET_FILE", "is needed with ERGON_DATABASE_URL, the same on every replica"),
		want(a.Issuer != "", "AUTH_ISSUER", "must not be empty"),
		want(slices.Contains([]string{"auto", "open", "invite", "closed"}, a.Registration), "AUTH_REGISTRATION", "must be auto, open, invite or closed"),
		want(a.AccessTTL >= time.Second && a.AccessTTL <= maxAccessTTL, "AUTH_ACCESS_TTL", "must be 1s to 10m"),
		want(a.RefreshTTL >= time.Minute, "AUTH_REFRESH_TTL", "must be at least 1m"),
		want(a.RecentLogin > 0, "AUTH_RECENT_LOGIN", "must be positive"),
		want(a.ArgonMemory >= minArgonMemory && a.ArgonMemory <= maxArgonMemory, "AUTH_ARGON2_MEMORY_KIB", "must be 8 to 262144"),
		want(a.ArgonTime >= 1 && a.ArgonTime <= maxArgonTime, "AUTH_ARGON2_TIME", "must be 1 to 10"),
		want(a.TokenMaxTTL >= time.Minute, "AUTH_TOKEN_MAX_TTL", "must be at least 1m"),
		want(a.LoginPerMin > 0, "AUTH_LOGIN_PER_MINUTE", "must be positive"),
	)
}

func (s Store) check() []string {
	return slices.Concat(
		listenAddress("STORE_LISTEN", s.Listen),
		endpoint("STORE_URL", s.URL), endpoint("STORE_PUBLIC_URL", s.PublicURL),
		want(s.URL == "" || (s.AccessKey != "" && s.SecretKey != ""), "STORE_URL", "needs STORE_ACCESS_KEY and STORE_SECRET_KEY (or STORE_SECRET_KEY_FILE)"),
		want((s.PutAccessKey == "") == (s.PutSecretKey == ""), "STORE_PUT_ACCESS_KEY", "needs STORE_PUT_SECRET_KEY, and the other way round"),
		want((s.GetAccessKey == "") == (s.GetSecretKey == ""), "STORE_GET_ACCESS_KEY", "needs STORE_GET_SECRET_KEY, and the other way round"),
		want((s.TLSCertFile == "") == (s.TLSKeyFile == ""), "STORE_TLS_CERT_FILE", "needs STORE_TLS_KEY_FILE, and the other way round"),
		want(s.URLTTL >= time.Minute && s.URLTTL <= maxAccessTTL, "STORE_URL_TTL", "must be 1m to 10m"),
		want(s.Bucket != "", "STORE_BUCKET", "must not be empty"),
		want(s.BucketSetup == "apply" || s.BucketSetup == "keep", "STORE_BUCKET_SETUP", "must be apply or keep"),
	)
}

// endpoint: the signature covers the host and nothing before or behind it.
func endpoint(name, text string) []string {
	if text == "" {
		return nil
	}
	u, err := url.Parse(text)
	ok := err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && (u.Path == "" || u.Path == "/") && u.RawQuery == "" && u.User == nil
	return want(ok, name, "must be http(s)://host:port without a path, a query or a user")
}

func (c Config) checkRest() []string {
	var faults []string
	if c.Metrics.Listen != "" {
		faults = listenAddress("METRICS_LISTEN", c.Metrics.Listen)
	}
	return slices.Concat(
		faults,
		want(slices.Contains([]string{"debug", "info", "warn", "error"}, c.Log.Level), "LOG_LEVEL", "must be debug, info, warn or error"),
		want(c.Log.Format == "json" || c.Log.Format == "text", "LOG_FORMAT", "must be json or text"),
		want(c.Quota.Bytes >= 0, "QUOTA_BYTES", "must not be negative"),
		want(c.Quota.Objects >= 0, "QUOTA_OBJECTS", "must not be negative"),
		want(c.Quota.JobBytes >= 0, "QUOTA_JOB_BYTES", "must not be negative"),
		want(c.Quota.JobObjects >= 0, "QUOTA_JOB_OBJECTS", "must not be negative"),
		c.Retention.check(),
		want(c.Queue.Workers >= 1, "QUEUE_WORKERS", "must be at least 1"),
		want(c.Queue.Sweep >= time.Second, "QUEUE_SWEEP", "must be at least 1s"),
	)
}
