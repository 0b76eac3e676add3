package session

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/ergon-hpc/ergon/agent/internal/outbound"
	"github.com/ergon-hpc/ergon/shared/api"
)

// expiryMargin is how long before its end an access token is replaced.
const expiryMargin = 30 * time.Second

// Manager owns the session of one user: login, logout, refresh, and clients. It is safe for concurrent use.
type Manager struct {
	store *Store
	http  *http.Client
	now   func() time.Time
	// Server overrides the address of the session file (--server, ERGON_SERVER); "" keeps it.
	Server string
	// Token is a personal access token (ERGON_TOKEN) that is used in place of a session; "" for none. It is a secret.
	Token string
	// Local asks the agent of this node for tokens of this unix user, where the site logs in that way; nil asks nobody. stale is
	// a token that the server has just refused, or "". ErrNotLoggedIn says that there is no such login here.
	Local func(ctx context.Context, stale string) (State, error)

	wait  func(ctx context.Context, d time.Duration) error
	mu    sync.Mutex
	local State // what Local said last
}

// NewManager keeps its session below dir (see Dir). client is used for every request; nil means outbound.NewClient.
func NewManager(dir string, client *http.Client, now func() time.Time) *Manager {
	if client == nil {
		client = outbound.NewClient(60 * time.Second)
	}
	return &Manager{store: NewStore(dir), http: client, now: now, wait: sleep}
}

// State tells who is logged in, or ErrNotLoggedIn. A session comes first, then the unix identity by the agent of this node. With
// a personal access token only server and token are known. Nothing is asked of the server.
func (m *Manager) State(ctx context.Context) (State, error) {
	if m.Token != "" {
		return m.tokenState()
	}
	state, err := m.store.Load()
	if !errors.Is(err, ErrNotLoggedIn) || m.Local == nil {
		return state, err
	}
	return m.unixState(ctx, "")
}

// unixState is the login by unix identity: what Local said last while that is good, else what it says now.
func (m *Manager) unixState(ctx context.Context, stale string) (State, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.usable(m.local, stale) {
		return m.local, nil
	}
	state, err := m.Local(ctx, stale)
	if err == nil {
		m.local = state
	}
	return state, err
}

var errTokenServer = errors.New("a token names no server: give --server https://…, or set ERGON_SERVER")

func (m *Manager) tokenState() (State, error) {
	server := m.Server
	if server == "" {
		stored, err := m.store.Load()
		if err != nil {
			return State{}, errTokenServer
		}
		server = stored.Server
	}
	return State{Server: server, AccessToken: m.Token}, nil
}

// Anonymous gives a client without a token, and the address that it talks to.
func (m *Manager) Anonymous(server string) (*api.ClientWithResponses, string, error) {
	base, err := outbound.ParseServer(server)
	if err != nil {
		return nil, "", err
	}
	client, err := api.NewClientWithResponses(base, api.WithHTTPClient(m.http))
	return client, base, err
}

// API gives a client for the logged-in user. Each request carries a valid access token, refreshed under a lock when it
// is about to end or when the server refuses it. Errors of requests should go through outbound.Explain and Check.
func (m *Manager) API(ctx context.Context) (*api.ClientWithResponses, error) {
	state, err := m.State(ctx)
	if err != nil {
		return nil, err
	}
	if m.Server != "" && m.Server != state.Server {
		return nil, fmt.Errorf("you are logged in at %s, not at %s; run: ergon login --server %s", state.Server, m.Server, m.Server)
	}
	base, err := outbound.ParseServer(state.Server)
	if err != nil {
		return nil, err
	}
	return api.NewClientWithResponses(base, api.WithHTTPClient(&http.Client{
		Transport: &bearer{manager: m}, CheckRedirect: m.http.CheckRedirect, Timeout: m.http.Timeout,
	}))
}

// Credentials name an account; the password is a secret.
type Credentials struct {
	Server, Username, Password string
	Invitation                 string // for Register, where the server asks for one
}

// Register makes an account; it does not log in.
func (m *Manager) Register(ctx context.Context, c Credentials) error {
	client, base, err := m.Anonymous(c.Server)
	if err != nil {
		return err
	}
	body := api.Credentials{Username: c.Username, Password: c.Password}
	if c.Invitation != "" {
		body.Invitation = &c.Invitation
	}
	resp, err := client.RegisterWithResponse(ctx, body)
	if err != nil {
		return outbound.Explain(base, err)
	}
	return outbound.Check(resp.HTTPResponse, resp.ApplicationproblemJSONDefault, http.StatusCreated)
}

// Login makes a session and stores it.
func (m *Manager) Login(ctx context.Context, c Credentials) (State, error) {
	client, base, err := m.Anonymous(c.Server)
	if err != nil {
		return State{}, err
	}
	resp, err := client.LoginWithResponse(ctx, api.Credentials{Username: c.Username, Password: c.Password})
	if err != nil {
		return State{}, outbound.Explain(base, err)
	}
	if err := outbound.Check(resp.HTTPResponse, resp.ApplicationproblemJSONDefault, http.StatusOK); err != nil {
		return State{}, err
	}
	if resp.JSON200 == nil {
		return State{}, fmt.Errorf("%s answered without tokens; is this an Ergon server?", base)
	}
	state := m.fromPair(State{Server: base, Username: c.Username}, resp.JSON200)
	return state, m.store.WithLock(ctx, func() error { return m.store.Save(state) })
}

// Logout ends the session on the server, or every session of the account, and forgets it here. The session is
// forgotten here even when the server cannot be reached; the error then says so.
func (m *Manager) Logout(ctx context.Context, everywhere bool) error {
	if m.Token != "" {
		return errors.New("ERGON_TOKEN is set, and a token has no session: unset it, or end it with `ergon token revoke`")
	}
	remote := m.endRemote(ctx, api.LogoutRequest{Everywhere: &everywhere})
	if errors.Is(remote, ErrNotLoggedIn) {
		return remote
	}
	if err := m.store.Remove(); err != nil {
		return err
	}
	if remote != nil {
		return fmt.Errorf("forgotten here, but the server may keep the session until it expires: %w", remote)
	}
	return nil
}

// EndEverything ends all by which the account acts: its sessions, its tokens for programs and its own agents. Only when the server
// has done it is the session forgotten here: a refusal wants a fresh login, and a server that was away the same call again.
func (m *Manager) EndEverything(ctx context.Context) error {
	if m.Token != "" {
		return errors.New("ERGON_TOKEN is set, and a token of a program ends no others: unset it, and run `ergon login`")
	}
	yes := true
	if err := m.endRemote(ctx, api.LogoutRequest{Everything: &yes}); err != nil {
		return err
	}
	return m.store.Remove()
}

func (m *Manager) endRemote(ctx context.Context, what api.LogoutRequest) error {
	client, err := m.API(ctx)
	if err != nil {
		return err
	}
	resp, err := client.LogoutWithResponse(ctx, what)
	if err != nil {
		return outbound.Explain("the server", err)
	}
	return outbound.Check(resp.HTTPResponse, resp.ApplicationproblemJSONDefault, http.StatusNoContent)
}

func (m *Manager) fromPair(s State, pair *api.TokenPair) State {
	s.AccessToken, s.RefreshToken = pair.AccessToken, pair.RefreshToken
	s.UserID, s.SessionID = pair.UserId.String(), pair.SessionId.String()
	s.ExpiresAt = m.now().Add(time.Duration(pair.ExpiresIn) * time.Second).UTC()
	return s
}

// token gives a valid access token. stale is one that the server has just refused, or "".
func (m *Manager) token(ctx context.Context, stale string) (string, error) {
	if m.Token != "" {
		return m.Token, nil
	}
	state, err := m.store.Load()
	if errors.Is(err, ErrNotLoggedIn) && m.Local != nil {
		state, err = m.unixState(ctx, stale)
		return state.AccessToken, err
	}
	if err != nil {
		return "", err
	}
	if m.usable(state, stale) {
		return state.AccessToken, nil
	}
	err = m.store.WithLock(ctx, func() error {
		if state, err = m.store.Load(); err != nil || m.usable(state, stale) {
			return err // another process has refreshed meanwhile
		}
		state, err = m.refresh(ctx, state)
		return err
	})
	return state.AccessToken, err
}

func (m *Manager) usable(s State, stale string) bool {
	return s.AccessToken != stale && s.AccessToken != "" && m.now().Add(expiryMargin).Before(s.ExpiresAt)
}

func (m *Manager) refresh(ctx context.Context, state State) (State, error) {
	client, base, err := m.Anonymous(state.Server)
	if err != nil {
		return State{}, err
	}
	resp, err := client.RefreshWithResponse(ctx, api.RefreshRequest{RefreshToken: state.RefreshToken})
	if err != nil {
		return State{}, outbound.Explain(base, err)
	}
	if resp.StatusCode() == http.StatusUnauthorized {
		return State{}, errors.Join(errEnded, m.store.Remove())
	}
	if err := outbound.Check(resp.HTTPResponse, resp.ApplicationproblemJSONDefault, http.StatusOK); err != nil {
		return State{}, err
	}
	if resp.JSON200 == nil {
		return State{}, fmt.Errorf("%s answered without tokens", base)
	}
	next := m.fromPair(state, resp.JSON200)
	return next, m.store.Save(next)
}

// errEnded says that the refresh token no longer works.
var errEnded = fmt.Errorf("your session has ended: %w", ErrNotLoggedIn)

// ServerFrom picks the address: flag, else $ERGON_SERVER, else the session's own.
func (m *Manager) ServerFrom(flag string, env func(string) string) (string, error) {
	for _, text := range []string{flag, env("ERGON_SERVER")} {
		if text != "" {
			return outbound.ParseServer(text)
		}
	}
	state, err := m.store.Load()
	if err != nil && !errors.Is(err, ErrNotLoggedIn) && !errors.Is(err, os.ErrPermission) {
		return "", err
	}
	return outbound.ParseServer(state.Server)
}
