// Package config reads the settings of ergon-server: environment variables ERGON_SECTION_NAME, over an optional YAML file
// with the same names (`http: {listen: …}` is ERGON_HTTP_LISTEN). A secret NAME may come from the file that NAME_FILE names.
// Unknown names and bad values stop the start; all faults are listed at once. docs/configuration.md lists every name.
package config

import (
	"time"
)

// Config is the validated configuration. Each setting has its documentation in the tag `doc`.
type Config struct {
	DataDir   string `env:"DATA_DIR" doc:"Directory for the database, generated keys and the embedded object store. Default: $STATE_DIRECTORY (systemd), else $XDG_STATE_HOME/ergon, else ./ergon-data"`
	HTTP      HTTP   `envPrefix:"HTTP_"`
	Database  Database
	Auth      Auth      `envPrefix:"AUTH_"`
	OIDC      OIDC      `envPrefix:"OIDC_"`
	Metrics   Metrics   `envPrefix:"METRICS_"`
	Log       Log       `envPrefix:"LOG_"`
	Store     Store     `envPrefix:"STORE_"`
	Quota     Quota     `envPrefix:"QUOTA_"`
	Retention Retention `envPrefix:"RETENTION_"`
	Ingest    Ingest    `envPrefix:"INGEST_"`
	Queue     Queue     `envPrefix:"QUEUE_"`
	Insight   Insight   `envPrefix:"INSIGHT_"`
	Compat    Compat    `envPrefix:"COMPAT_"`
	Limit     Limit     `envPrefix:"LIMIT_"`
	Roles     Roles     `envPrefix:"ROLES_"`
}

// HTTP is the API's listener.
type HTTP struct {
	Listen         string        `env:"LISTEN" envDefault:"127.0.0.1:8080" doc:"Address of the API, host:port; port 0 takes a free one"`
	TLSCertFile    string        `env:"TLS_CERT_FILE" doc:"PEM certificate chain; with TLS_KEY_FILE the API speaks HTTPS itself"`
	TLSKeyFile     string        `env:"TLS_KEY_FILE" doc:"PEM private key"`
	PublicURL      string        `env:"PUBLIC_URL" doc:"The API's address as people and agents see it, https://host; it stands in the page that confirms logins. Empty: the address that a caller used"`
	TrustedProxies []string      `env:"TRUSTED_PROXIES" doc:"CIDRs of proxies whose X-Forwarded-For counts; none by default"`
	CORSOrigins    []string      `env:"CORS_ORIGINS" doc:"Origins that browsers may call from, compared exactly; none by default"`
	MaxBodyBytes   int64         `env:"MAX_BODY_BYTES" envDefault:"1048576" doc:"Largest body of a request of a user, bytes"`
	MaxAgentBody   int64         `env:"MAX_AGENT_BODY_BYTES" envDefault:"8388608" doc:"Largest body of a batch of an agent, bytes"`
	RequestTimeout time.Duration `env:"REQUEST_TIMEOUT" envDefault:"30s" doc:"Longest time for one request"`
	StopTimeout    time.Duration `env:"STOP_TIMEOUT" envDefault:"20s" doc:"How long a graceful stop waits for requests and jobs"`
}

// Database is the system of record.
type Database struct {
	URL         Secret `env:"DATABASE_URL" doc:"postgres://user:password@host:port/database?sslmode=…; empty: SQLite in the data directory"`
	MaxConns    int    `env:"DATABASE_MAX_CONNS" envDefault:"0" doc:"Connections to keep; 0: 20 for PostgreSQL, 4 for SQLite"`
	Synchronous string `env:"DATABASE_SYNCHRONOUS" envDefault:"FULL" doc:"SQLite only: FULL survives a power cut, NORMAL may lose the last commits"`
	AutoMigrate bool   `env:"DATABASE_AUTO_MIGRATE" envDefault:"true" doc:"Apply migrations at start; false: refuse to start on an older schema"`
}

// Auth is identity: tokens, passwords, limits.
type Auth struct {
	Secret       Secret        `env:"SECRET" doc:"At least 32 random bytes, best by ERGON_AUTH_SECRET_FILE: seals signing keys and derives refresh tokens. Made in the data directory when SQLite is used; every replica needs the same"`
	Issuer       string        `env:"ISSUER" envDefault:"ergon" doc:"The iss of tokens, and the audience that agents name in their assertions"`
	Registration string        `env:"REGISTRATION" envDefault:"auto" doc:"Who may make an account: open, invite, closed; auto: open while the API listens on loopback only, else closed"`
	AccessTTL    time.Duration `env:"ACCESS_TTL" envDefault:"10m" doc:"Life of an access token, at most 10m"`
	RefreshTTL   time.Duration `env:"REFRESH_TTL" envDefault:"720h" doc:"Life of a refresh token that is not used"`
	RecentLogin  time.Duration `env:"RECENT_LOGIN" envDefault:"5m" doc:"Sensitive acts need a login that is not older"`
	ArgonMemory  uint32        `env:"ARGON2_MEMORY_KIB" envDefault:"19456" doc:"argon2id memory, KiB (OWASP minimum 19 MiB), at most 262144"`
	ArgonTime    uint32        `env:"ARGON2_TIME" envDefault:"2" doc:"argon2id passes, at most 10"`
	KeyRotation  time.Duration `env:"KEY_ROTATION" envDefault:"720h" doc:"Age at which the signing key is replaced; 0: only by ergon-server admin key rotate"`
	TokenMaxTTL  time.Duration `env:"TOKEN_MAX_TTL" envDefault:"8784h" doc:"Longest life of a personal access token"`
	BreachedFile string        `env:"BREACHED_FILE" doc:"List of breached passwords that nobody may choose: sorted lines of SHA-1 in hex (as Have I Been Pwned gives them; any size, searched on disk), or plain passwords, one a line, up to 64 MiB"`
	LoginPerMin  int           `env:"LOGIN_PER_MINUTE" envDefault:"60" doc:"Attempts to log in or register per minute and address (IPv6: per /64); ten times as many enrolments, agent tokens and invalid refresh tokens"`
}

// Metrics is the Prometheus listener.
type Metrics struct {
	Listen string `env:"LISTEN" envDefault:"" doc:"Address of the metrics listener, host:port; empty: none"`
}

// Log is where and how much is logged.
type Log struct {
	Level  string `env:"LEVEL" envDefault:"info" doc:"debug, info, warn or error"`
	Format string `env:"FORMAT" envDefault:"json" doc:"json or text; on standard error"`
}
