package httpapi

import (
	"fmt"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/controlplane/internal/identity"
	"github.com/ergon-hpc/ergon/shared/api"
)

func credentials(c api.Credentials) identity.Credentials {
	out := identity.Credentials{Username: c.Username, Password: c.Password}
	if c.Invitation != nil {
		out.Invitation = *c.Invitation
	}
	return out
}

func wireKeys(keys []identity.JWK) api.Jwks {
	set := api.Jwks{}
	set.Keys = make([]struct {
		Alg string `json:"alg"`
		Crv string `json:"crv"`
		Kid string `json:"kid"`
		Kty string `json:"kty"`
		Use string `json:"use"`
		X   string `json:"x"`
	}, len(keys))
	for i, k := range keys {
		e := &set.Keys[i]
		e.Alg, e.Crv, e.Kty, e.Use, e.Kid, e.X = "EdDSA", "Ed25519", "OKP", "sig", k.KID, k.X
	}
	return set
}

func wireUser(u identity.User) api.User {
	id, _ := uuid.Parse(u.ID) // ids are made by the server
	return api.User{Id: id, Username: u.Username, Role: api.Role(u.Role), CreatedAt: u.CreatedAt}
}

func wirePair(p identity.TokenPair) (api.TokenPair, error) {
	user, err := wireID(p.UserID)
	if err != nil {
		return api.TokenPair{}, err
	}
	session, err := wireID(p.SessionID)
	return api.TokenPair{
		AccessToken: p.AccessToken, TokenType: "Bearer", ExpiresIn: int(p.ExpiresIn.Seconds()), RefreshToken: p.RefreshToken,
		UserId: user, SessionId: session,
	}, err
}

func wireSession(s identity.Session, current string) (api.Session, error) {
	id, err := wireID(s.ID)
	method := string(s.Method)
	return api.Session{Id: id, CreatedAt: s.CreatedAt, LastUsedAt: &s.LastUsedAt, UserAgent: &s.UserAgent, Method: &method, Current: s.ID == current}, err
}

func wireLink(l identity.Link) (api.Link, error) {
	id, err := wireID(l.ID)
	if err != nil {
		return api.Link{}, err
	}
	user, err := wireID(l.UserID)
	out := api.Link{
		Id: id, Cluster: l.ClusterName, Uid: l.UID, UnixName: l.UnixName, UserId: user, CreatedAt: l.CreatedAt,
		Suspended: &l.Suspended, SelfAsserted: l.SelfAsserted,
	}
	if !l.SelfAsserted {
		out.Gid = &l.GID
	}
	return out, err
}

func wireAgent(a identity.Agent) (api.Agent, error) {
	id, err := wireID(a.ID)
	scopes := make([]api.AgentScopes, len(a.Scopes))
	for i, s := range a.Scopes {
		scopes[i] = api.AgentScopes(s)
	}
	return api.Agent{
		Id: id, Cluster: a.ClusterName, Kind: api.AgentKind(a.Kind), Name: a.Name, Scopes: scopes, CreatedAt: a.CreatedAt,
		LastSeenAt: a.LastSeenAt, Version: &a.Version,
	}, err
}

func wireID(text string) (uuid.UUID, error) {
	id, err := uuid.Parse(text)
	if err != nil {
		return id, fmt.Errorf("an id in the database is not a UUID: %w", err)
	}
	return id, nil
}

func wireAll[D, W any](list []D, fn func(D) (W, error)) ([]W, error) {
	out := make([]W, 0, len(list))
	for _, d := range list {
		w, err := fn(d)
		if err != nil {
			return nil, err
		}
		out = append(out, w)
	}
	return out, nil
}

func wireQuota(q identity.Quota) api.Quota {
	return api.Quota{
		UsedBytes: q.UsedBytes, ReservedBytes: q.ReservedBytes, LimitBytes: q.LimitBytes,
		UsedObjects: q.UsedObjects, ReservedObjects: q.ReservedObjects, LimitObjects: q.LimitObjects,
		LimitFrom: text(q.LimitFrom), LimitName: text(q.LimitName),
	}
}
