package identity

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
	"github.com/ergon-hpc/ergon/controlplane/internal/audit"
	"github.com/ergon-hpc/ergon/controlplane/internal/principal"
)

// The device flow (RFC 8628): a program shows a short code, a person confirms it on the server's page, the program collects its tokens.
const (
	deviceLife     = 10 * time.Minute
	deviceInterval = 5 * time.Second // RFC 8628 §3.2
	devicePrefix   = "ergd_"
	// userCodeLetters leave out vowels and what looks alike (RFC 8628 §6.1): 20^8, or 34 bits, a code.
	userCodeLetters = "BCDFGHJKLMNPQRSTVWXZ"
	userCodeSize    = 8
	// maxCodeTries is how many codes an account may look up; then one in ten minutes, until an hour went by without any. Right
	// codes count too: they are easily made and would otherwise reset the count.
	maxCodeTries  = 20
	codeTryPause  = 10 * time.Minute
	maxClientName = 128
	userCodeTries = 5 // draws until one is free
)

// DeviceState is where a grant stands.
type DeviceState string

// The states.
const (
	DevicePending  DeviceState = "pending"
	DeviceApproved DeviceState = "approved"
	DeviceDenied   DeviceState = "denied"
	DeviceUsed     DeviceState = "used"
)

// DeviceClient is what the program says of itself, and is shown as its claim.
type DeviceClient struct{ Host, Cluster string }

// DeviceGrant is one attempt of a program to be logged in.
type DeviceGrant struct {
	DeviceHash  string // SHA-256 of the device code
	UserCodeMAC string // keyed hash of the user code
	Client      DeviceClient
	RemoteAddr  string
	UserAgent   string
	State       DeviceState
	Interval    time.Duration
	Exp         time.Time
	CreatedAt   time.Time
}

// DeviceCodes is the answer to a program: the device code is its secret, the user code is shown.
type DeviceCodes struct {
	DeviceCode, UserCode string
	ExpiresIn, Interval  time.Duration
}

// GrantError is an error of RFC 6749 §5.2 and RFC 8628 §3.5.
type GrantError struct{ Code, Description string }

// Error is the text for the log.
func (e *GrantError) Error() string { return e.Code + ": " + e.Description }

// The errors of a poll, exactly as RFC 8628 §3.5 names them.
var (
	errPending  = &GrantError{"authorization_pending", "nobody has confirmed the code yet"}
	errSlowDown = &GrantError{"slow_down", "wait five seconds longer between questions"}
	errDenied   = &GrantError{"access_denied", "the login was refused on the confirmation page"}
	errOld      = &GrantError{"expired_token", "the code has expired; run `ergon login` again"}
	errGrant    = &GrantError{"invalid_grant", "the device code is not known, or was used; run `ergon login` again"}
)

// StartDevice begins a device flow.
func (s *Service) StartDevice(ctx context.Context, c DeviceClient) (DeviceCodes, error) {
	origin := principal.OriginFrom(ctx)
	if err := s.cheap.allow(origin.IP); err != nil {
		return DeviceCodes{}, err
	}
	if err := c.check(); err != nil {
		return DeviceCodes{}, err
	}
	secret, err := s.randomToken(devicePrefix, secretBytes)
	if err != nil {
		return DeviceCodes{}, err
	}
	now := s.now()
	g := DeviceGrant{
		DeviceHash: digest(secret), Client: c, RemoteAddr: origin.IP.String(), UserAgent: origin.UserAgent, State: DevicePending,
		Interval: deviceInterval, Exp: now.Add(deviceLife), CreatedAt: now,
	}
	code, err := s.insertDevice(ctx, g)
	return DeviceCodes{DeviceCode: secret, UserCode: code, ExpiresIn: deviceLife, Interval: deviceInterval}, err
}

func (c DeviceClient) check() error {
	for field, text := range map[string]string{"host": c.Host, "cluster": c.Cluster} {
		if len(text) > maxClientName || !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
			return invalid(field, "at most 128 printable characters")
		}
	}
	return nil
}

// insertDevice draws user codes until one is free.
func (s *Service) insertDevice(ctx context.Context, g DeviceGrant) (string, error) {
	for range userCodeTries {
		code, err := s.drawUserCode()
		if err != nil {
			return "", err
		}
		g.UserCodeMAC = s.userCodeMAC(code)
		err = s.st.Devices.InsertDevice(ctx, g)
		if err == nil {
			return code[:userCodeSize/2] + "-" + code[userCodeSize/2:], nil
		}
		if !apperr.Is(err, apperr.AlreadyExists) {
			return "", fmt.Errorf("storing a device code: %w", err)
		}
	}
	return "", apperr.New(apperr.Busy, "no code is free").WithHint("try again in a minute")
}

// drawUserCode draws each letter alike: bytes beyond the last whole multiple of the alphabet are thrown away.
func (s *Service) drawUserCode() (string, error) {
	const fair = 256 / len(userCodeLetters) * len(userCodeLetters)
	var code []byte
	for buf := make([]byte, 1); len(code) < userCodeSize; {
		if _, err := io.ReadFull(s.rand, buf); err != nil {
			return "", fmt.Errorf("drawing a code: %w", err)
		}
		if int(buf[0]) < fair {
			code = append(code, userCodeLetters[int(buf[0])%len(userCodeLetters)])
		}
	}
	return string(code), nil
}

func (s *Service) userCodeMAC(code string) string {
	return hex.EncodeToString(mac(s.pageKey, "user code", code))
}

// mac is a keyed hash of fields; each is preceded by its length, so that none runs into the next.
func mac(key []byte, fields ...string) []byte {
	h := hmac.New(sha256.New, key)
	for _, f := range fields {
		fmt.Fprintf(h, "%d:%s", len(f), f)
	}
	return h.Sum(nil)
}

// parseUserCode takes what people type: any case, with or without the hyphen or blanks.
func parseUserCode(text string) (string, bool) {
	code := strings.ToUpper(strings.NewReplacer("-", "", " ", "", "\u2010", "", "\u2011", "", "\u2013", "").Replace(text))
	if len(code) != userCodeSize || strings.Trim(code, userCodeLetters) != "" {
		return "", false
	}
	return code, true
}

// PollDevice answers a program that waits: the tokens, once, or a *GrantError.
func (s *Service) PollDevice(ctx context.Context, deviceCode string) (TokenPair, error) {
	if !strings.HasPrefix(deviceCode, devicePrefix) {
		if err := s.cheap.allow(principal.OriginFrom(ctx).IP); err != nil {
			return TokenPair{}, err
		}
		return TokenPair{}, errGrant
	}
	p, err := s.st.Devices.PollDevice(ctx, digest(deviceCode), s.now())
	if err != nil {
		return TokenPair{}, fmt.Errorf("looking at a device code: %w", err)
	}
	if p.Outcome != DevicePollDone {
		return TokenPair{}, p.Outcome.err()
	}
	u, err := s.st.Users.UserByID(ctx, p.UserID)
	if err != nil {
		return TokenPair{}, err
	}
	pair, err := s.begin(ctx, u, proof{Method: principal.MethodDevice, At: p.AuthAt, On: Ground{Device: digest(deviceCode)}})
	if overtaken(err) { // by another poll, or by whoever ended the account's logins
		return TokenPair{}, errGrant
	}
	return pair, err
}

// DevicePollOutcome is what a poll found.
type DevicePollOutcome int

// The outcomes.
const (
	DevicePollUnknown DevicePollOutcome = iota
	DevicePollDone                      // approved, and not used yet
	DevicePollPending
	DevicePollSlowDown
	DevicePollDenied
	DevicePollExpired
)

func (o DevicePollOutcome) err() error {
	switch o {
	case DevicePollPending:
		return errPending
	case DevicePollSlowDown:
		return errSlowDown
	case DevicePollDenied:
		return errDenied
	case DevicePollExpired:
		return errOld
	case DevicePollDone, DevicePollUnknown:
	}
	return errGrant
}

// DevicePoll is the outcome, and of a finished grant whose it is.
type DevicePoll struct {
	Outcome DevicePollOutcome
	UserID  string
	AuthAt  time.Time
}

var errUserCode = apperr.New(apperr.NotFound, "this code is not known, or it has expired").
	WithHint("compare it with your terminal, or run `ergon login` again")

// FindDevice shows a signed-in person which login a code would allow. Each call counts against the account's tries.
func (s *Service) FindDevice(ctx context.Context, userCode string) (DeviceGrant, error) {
	p, err := s.pageUser(ctx)
	if err != nil {
		return DeviceGrant{}, err
	}
	if err := s.countCode(ctx, p.ID, "device code"); err != nil {
		return DeviceGrant{}, err
	}
	code, ok := parseUserCode(userCode)
	if !ok {
		return DeviceGrant{}, errUserCode
	}
	g, err := s.st.Devices.PendingDevice(ctx, s.userCodeMAC(code), s.now())
	if apperr.Is(err, apperr.NotFound) {
		s.recordFailure(ctx, audit.Event{Action: "device.code", Subject: p.ID}, errUserCode)
		err = errUserCode
	}
	return g, err
}

// countCode counts a code that an account tried; looking up and deciding are counted each by itself. The key is none that a
// name at the login could have: whoever types there must not use up somebody's tries.
func (s *Service) countCode(ctx context.Context, userID, what string) error {
	now := s.now()
	until, err := s.st.Throttle.ReserveAttempt(ctx, hex.EncodeToString(mac(s.pageKey, "tries", what, userID)), now, codeDelay)
	if err != nil {
		return fmt.Errorf("counting codes: %w", err)
	}
	if !until.After(now) {
		return nil
	}
	err = &apperr.Error{Code: apperr.RateLimited, Message: "too many codes were tried with this account", Hint: "wait and try again", RetryAfter: until.Sub(now)}
	s.recordFailure(ctx, audit.Event{Action: "device.code", Subject: userID}, err)
	return err
}

func codeDelay(tries int64) time.Duration {
	if tries < maxCodeTries {
		return 0
	}
	return codeTryPause
}

// pageUser is the person on the confirmation page; no other login confirms another one.
func (s *Service) pageUser(ctx context.Context) (principal.Principal, error) {
	p, err := principal.UserFrom(ctx)
	if err != nil {
		return p, err
	}
	if p.Method != principal.MethodPage && p.Method != principal.MethodOIDC {
		return p, apperr.New(apperr.Forbidden, "only the confirmation page confirms a login")
	}
	return p, s.recent(ctx, p)
}

// DecideDevice lets the program in as the signed-in person, or refuses it. It works once.
func (s *Service) DecideDevice(ctx context.Context, userCode string, approve bool) error {
	p, err := s.pageUser(ctx)
	if err != nil {
		return err
	}
	if err := s.countCode(ctx, p.ID, "device decision"); err != nil {
		return err
	}
	code, ok := parseUserCode(userCode)
	if !ok {
		return errUserCode
	}
	d := DeviceDecision{UserCodeMAC: s.userCodeMAC(code), UserID: p.ID, AuthAt: p.AuthAt, State: DeviceDenied}
	if approve {
		d.State = DeviceApproved
	}
	err = s.act(ctx, audit.Event{Action: "device." + string(d.State), Subject: p.ID}, func(ctx context.Context) error {
		if err := s.hold(ctx); err != nil {
			return err
		}
		return s.st.Devices.DecideDevice(ctx, d, s.now())
	})
	if apperr.Is(err, apperr.NotFound) {
		return errUserCode
	}
	return err
}

// DeviceDecision is what a person decided about a pending grant.
type DeviceDecision struct {
	UserCodeMAC string
	UserID      string
	AuthAt      time.Time
	State       DeviceState // approved or denied
}

// DeviceStore keeps grants of the device flow.
type DeviceStore interface {
	// InsertDevice stores a grant; already_exists when the user code is taken.
	InsertDevice(ctx context.Context, g DeviceGrant) error
	// PendingDevice finds a grant that waits and has not expired, by its user code; not_found otherwise.
	PendingDevice(ctx context.Context, userCodeMAC string, now time.Time) (DeviceGrant, error)
	// DecideDevice decides a grant that PendingDevice would find, once; not_found otherwise.
	DecideDevice(ctx context.Context, d DeviceDecision, now time.Time) error
	// PollDevice says whether a grant was approved, or why there is no login yet; SessionStore.StartSession uses it up. A poll that
	// comes too early makes the interval five seconds longer.
	PollDevice(ctx context.Context, deviceHash string, now time.Time) (DevicePoll, error)
}
