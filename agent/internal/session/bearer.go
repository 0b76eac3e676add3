package session

import (
	"net/http"

	"github.com/ergon-hpc/ergon/agent/internal/outbound"
)

// bearer adds the access token, and tries once more with a fresh one when the server says 401. A personal access token is never fresher.
type bearer struct{ manager *Manager }

// RoundTrip never changes the caller's request.
func (b *bearer) RoundTrip(req *http.Request) (*http.Response, error) {
	token, err := b.manager.token(req.Context(), "")
	if err != nil {
		return nil, &outbound.Local{Err: err}
	}
	resp, err := b.send(req, token)
	if err != nil || resp.StatusCode != http.StatusUnauthorized || !replayable(req) || b.manager.Token != "" {
		return resp, err
	}
	fresh, err := b.manager.token(req.Context(), token)
	if err != nil {
		_ = resp.Body.Close()
		return nil, &outbound.Local{Err: err}
	}
	_ = resp.Body.Close()
	return b.send(req, fresh)
}

func replayable(req *http.Request) bool { return req.Body == nil || req.GetBody != nil }

func (b *bearer) send(req *http.Request, token string) (*http.Response, error) {
	copied := req.Clone(req.Context())
	if req.GetBody != nil {
		body, err := req.GetBody()
		if err != nil {
			return nil, err
		}
		copied.Body = body
	}
	copied.Header.Set("Authorization", "Bearer "+token)
	return b.manager.http.Transport.RoundTrip(copied)
}
