package httpapi

import (
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/ergon-hpc/ergon/controlplane/internal/limit"
	"github.com/ergon-hpc/ergon/controlplane/internal/repeat"
)

// Config is what the adapter needs. Log, Authenticator and Now are required.
type Config struct {
	Log           *slog.Logger
	Now           func() time.Time
	Authenticator Authenticator
	Handlers      Handlers
	Benchwrap     *Benchwrap // routes of the original client; nil: they do not exist
	Checks        []Check    // of /readyz
	Metrics       prometheus.Registerer

	Limits  Limits
	Windows limit.Windows // counts presigns; nil: nobody counts
	Calls   repeat.Store  // remembers Idempotency-Keys; nil: they are not looked at
	Audit   Auditor       // nil: nobody records

	TrustedProxies    []string // CIDRs whose X-Forwarded-For counts; none: the peer's address counts
	CORSOrigins       []string
	MaxBodyBytes      int64         // 0: 1 MiB
	MaxAgentBodyBytes int64         // of the routes of agents, which send batches; 0: 8 MiB
	RequestTimeout    time.Duration // 0: 30 s
}

// Server is the API as an http.Handler.
type Server struct {
	cfg      Config
	contract contract
	metrics  *metrics
	limits   limits
	engine   *gin.Engine
}

// New reads the contract and routes every operation of it.
func New(cfg Config) (*Server, error) {
	setDefaults(&cfg)
	doc, err := loadContract()
	if err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, contract: doc, metrics: newMetrics(cfg.Metrics), limits: newLimits(cfg)}
	if s.engine, err = s.newEngine(); err != nil {
		return nil, err
	}
	s.routes()
	if cfg.Benchwrap != nil {
		err = s.benchwrapRoutes(cfg.Benchwrap)
	}
	return s, err
}

func setDefaults(cfg *Config) {
	if cfg.MaxBodyBytes == 0 {
		cfg.MaxBodyBytes = 1 << 20
	}
	if cfg.MaxAgentBodyBytes == 0 {
		cfg.MaxAgentBodyBytes = 8 << 20
	}
	if cfg.RequestTimeout == 0 {
		cfg.RequestTimeout = 30 * time.Second
	}
}

// ServeHTTP serves the API.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.engine.ServeHTTP(w, r) }

func (s *Server) newEngine() (*gin.Engine, error) {
	gin.SetMode(gin.ReleaseMode)
	e := gin.New()
	e.ContextWithFallback = true // or handlers' contexts are never done
	e.HandleMethodNotAllowed = true
	e.RedirectTrailingSlash = false
	if err := e.SetTrustedProxies(s.cfg.TrustedProxies); err != nil {
		return nil, fmt.Errorf("reading trusted proxies: %w", err)
	}
	e.Use(s.identify, s.accessLog, s.recoverPanic, secure, s.cors, s.resolve, deprecate, s.shedAddress, s.deadline, s.authenticate,
		s.shedCaller, s.checkRequest, s.countPresign, s.idempotent)
	e.NoRoute(notFound)
	e.NoMethod(methodNotAllowed)
	return e, nil
}

// Timeouts of the listener; slowloris meets ReadHeaderTimeout.
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = time.Minute
	writeTimeout      = 2 * time.Minute
	idleTimeout       = 2 * time.Minute
	maxHeaderBytes    = 16 << 10
)

// NewHTTPServer wraps a handler with the limits that every listener of Ergon has.
func NewHTTPServer(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler: h, ReadHeaderTimeout: readHeaderTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout,
		IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaderBytes, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
}
