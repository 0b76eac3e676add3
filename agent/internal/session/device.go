package session

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/ergon-hpc/ergon/agent/internal/outbound"
	"github.com/ergon-hpc/ergon/shared/api"
)

// DeviceClient is what the person who confirms is told about this program.
type DeviceClient struct{ Host, Cluster string }

// DevicePrompt is what a person does to confirm a login: type the code on the page.
type DevicePrompt struct {
	UserCode string
	Page     string
	Life     time.Duration
}

const (
	grantDevice = "urn:ietf:params:oauth:grant-type:device_code"
	// Bounds on what a server may make us wait between two questions (RFC 8628 §3.5 adds five seconds to each slow_down).
	minInterval = time.Second
	maxInterval = time.Minute
	slowDown    = 5 * time.Second
	maxLife     = 30 * time.Minute
)

// LoginDevice logs in by the device flow (RFC 8628): show is called once, then the server is asked until the person has
// confirmed, refused, or the code has expired. ctx ends the waiting.
func (m *Manager) LoginDevice(ctx context.Context, server string, c DeviceClient, show func(DevicePrompt)) (State, error) {
	client, base, err := m.Anonymous(server)
	if err != nil {
		return State{}, err
	}
	resp, err := client.StartDeviceWithResponse(ctx, api.StartDeviceJSONRequestBody{Host: &c.Host, Cluster: &c.Cluster})
	if err != nil {
		return State{}, outbound.Explain(base, err)
	}
	if err := outbound.Check(resp.HTTPResponse, resp.ApplicationproblemJSONDefault, http.StatusOK); err != nil {
		return State{}, err
	}
	codes := resp.JSON200
	if codes == nil {
		return State{}, fmt.Errorf("%s answered without a code; is this an Ergon server?", base)
	}
	life := min(time.Duration(codes.ExpiresIn)*time.Second, maxLife)
	show(DevicePrompt{UserCode: codes.UserCode, Page: page(base, codes.VerificationUri), Life: life})
	pair, err := m.await(ctx, client, base, waiting{
		code: codes.DeviceCode, interval: time.Duration(codes.Interval) * time.Second, until: m.now().Add(life),
	})
	if err != nil {
		return State{}, err
	}
	state := m.fromPair(State{Server: base}, pair)
	if err := m.store.WithLock(ctx, func() error { return m.store.Save(state) }); err != nil {
		return State{}, err
	}
	return m.learnName(ctx, state)
}

// page is the server's word, if a person may be sent there: an address of the kind that tokens go to.
func page(base, said string) string {
	if u, err := url.Parse(said); err == nil && u.Path != "" {
		if _, err := outbound.ParseServer(said); err == nil {
			return said
		}
	}
	return base + "/device"
}

// waiting is a code that a person has to confirm.
type waiting struct {
	code     string
	interval time.Duration
	until    time.Time
}

var errCodeExpired = errors.New("nobody confirmed the login in time; run ergon login again")

// await asks until there is an answer. A server that cannot be reached for a moment is asked again.
func (m *Manager) await(ctx context.Context, client *api.ClientWithResponses, base string, w waiting) (*api.TokenPair, error) {
	for m.now().Before(w.until) {
		w.interval = max(minInterval, min(w.interval, maxInterval))
		if err := m.wait(ctx, w.interval); err != nil {
			return nil, err
		}
		resp, err := client.PollDeviceWithResponse(ctx, api.PollDeviceJSONRequestBody{GrantType: grantDevice, DeviceCode: w.code})
		if err != nil {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			w.interval *= 2 // RFC 8628 §3.5: exponential backoff after a timeout
			continue
		}
		switch again, err := w.judge(resp, base); {
		case err != nil:
			return nil, err
		case !again:
			return resp.JSON200, nil
		}
	}
	return nil, errCodeExpired
}

// judge says whether to ask again.
func (w *waiting) judge(resp *api.PollDeviceResponse, base string) (again bool, err error) {
	if resp.JSON400 == nil {
		err := outbound.Check(resp.HTTPResponse, resp.ApplicationproblemJSONDefault, http.StatusOK)
		var p *outbound.Problem
		switch {
		case errors.As(err, &p) && p.Temporary():
			w.interval = max(2*w.interval, p.RetryAfter)
			return true, nil
		case err == nil && resp.JSON200 == nil:
			return false, fmt.Errorf("%s answered without tokens", base)
		}
		return false, err
	}
	switch resp.JSON400.Error {
	case api.AuthorizationPending:
		return true, nil
	case api.SlowDown:
		w.interval += slowDown
		return true, nil
	case api.AccessDenied:
		return false, errors.New("the login was refused on the confirmation page")
	case api.ExpiredToken, api.InvalidGrant:
	}
	return false, errCodeExpired
}

// learnName asks who has logged in: only the page knew.
func (m *Manager) learnName(ctx context.Context, state State) (State, error) {
	client, err := m.API(ctx)
	if err != nil {
		return state, err
	}
	resp, err := client.GetMeWithResponse(ctx)
	if err != nil {
		return state, outbound.Explain(state.Server, err)
	}
	if err := outbound.Check(resp.HTTPResponse, resp.ApplicationproblemJSONDefault, http.StatusOK); err != nil {
		return state, err
	}
	if resp.JSON200 != nil {
		state.Username = resp.JSON200.User.Username
	}
	return state, m.store.WithLock(ctx, func() error { return m.store.Save(state) })
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
