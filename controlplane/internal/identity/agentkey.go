package identity

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
	"github.com/ergon-hpc/ergon/controlplane/internal/audit"
	"github.com/ergon-hpc/ergon/controlplane/internal/principal"
)

// KeyProof is the text that both keys of an agent sign: the new one, so that nobody registers a key that they do not hold, and
// the one until now, so that a copied access token does not take the agent over.
func KeyProof(agentID, publicKey string) string {
	return "ergon agent key " + agentID + " " + publicKey
}

// KeyChange asks for another key: the public half, and the signatures of KeyProof by it and by the key until now.
type KeyChange struct{ PublicKey, Proof, Consent string }

// RotateAgentKey replaces the key of the calling agent. Tokens that it has stay valid until they expire; the old key gets
// none any more. The key that counts already changes nothing, so that an agent that lost the answer may repeat it.
func (s *Service) RotateAgentKey(ctx context.Context, c KeyChange) error {
	p, err := principal.AgentFrom(ctx)
	if err != nil {
		return err
	}
	if _, err := parsePublicKey(c.PublicKey); err != nil {
		return invalid("public_key", err.Error())
	}
	if !c.signed(p.ID, c.PublicKey, c.Proof) {
		return invalid("proof", "the signature of the new key over the agent's id and that key")
	}
	a, err := s.st.Agents.AgentByID(ctx, p.ID)
	if err != nil || a.PublicKey == c.PublicKey {
		return err
	}
	if !c.signed(p.ID, a.PublicKey, c.Consent) {
		err := invalid("consent", "the signature of the key until now over the same text; an agent that lost that key is enrolled again")
		s.recordFailure(ctx, audit.Event{Action: "agent.key", Subject: p.ID}, err)
		return err
	}
	err = s.act(ctx, audit.Event{Action: "agent.key", Subject: p.ID}, func(ctx context.Context) error {
		return s.st.Agents.ReplaceAgentKey(ctx, p.ID, a.PublicKey, c.PublicKey, s.now())
	})
	s.agents.forget(p.ID)
	switch {
	case apperr.Is(err, apperr.AlreadyExists):
		return apperr.New(apperr.AlreadyExists, "this key is enrolled already").WithHint("make a new key for each agent")
	case apperr.Is(err, apperr.NotFound):
		return apperr.New(apperr.Conflict, "the agent has another key by now").WithHint("look at who replaced it: `ergon-server admin audit export`")
	}
	return err
}

// signed says whether that key signed the change.
func (c KeyChange) signed(agentID, by, signature string) bool {
	key, err := parsePublicKey(by)
	if err != nil {
		return false
	}
	raw, err := base64.RawURLEncoding.DecodeString(signature)
	return err == nil && ed25519.Verify(key, []byte(KeyProof(agentID, c.PublicKey)), raw)
}

// skewOf is how far an agent's clock is ahead of ours, as its assertion shows: it was made a moment ago. nil: it does not say.
func (s *Service) skewOf(c jwt.RegisteredClaims) *time.Duration {
	if c.IssuedAt == nil {
		return nil
	}
	d := c.IssuedAt.Sub(s.now()).Round(time.Second)
	return &d
}
