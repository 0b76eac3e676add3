package identity_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore"
	"github.com/ergon-hpc/ergon/controlplane/internal/gormstore/storetest"
	"github.com/ergon-hpc/ergon/controlplane/internal/identity"
	"github.com/ergon-hpc/ergon/controlplane/internal/principal"
)

// torsion are the eight points whose order divides eight, in hex, by their order.
var torsion = map[string]string{
	"1":       "0100000000000000000000000000000000000000000000000000000000000000",
	"2":       "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"4, even": "0000000000000000000000000000000000000000000000000000000000000000",
	"4, odd":  "0000000000000000000000000000000000000000000000000000000000000080",
	"8, a":    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
	"8, b":    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
	"8, c":    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
	"8, d":    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
}

// otherForms are not canonical: a y of p and more, or the sign of an x that is zero.
var otherForms = map[string]string{
	"1 with a sign":     "0100000000000000000000000000000000000000000000000000000000000080",
	"-1 with a sign":    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
	"p":                 "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"p with a sign":     "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
	"p + 1":             "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"p + 1 with a sign": "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
	"p + 3":             "f0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"p + 4":             "f1ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"p + 18":            "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
}

func fromHex(t *testing.T, text string) []byte {
	t.Helper()
	raw, err := hex.DecodeString(text)
	must(t, err)
	if len(raw) != ed25519.PublicKeySize {
		t.Fatalf("%d bytes", len(raw))
	}
	return raw
}

func TestThreat_T08_KeysThatProveNothingAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		keys map[string]string
		says string
	}{
		"small order":      {torsion, "small order"},
		"not canonical":    {otherForms, "canonical"},
		"not on the curve": {map[string]string{"2": "02" + strings.Repeat("00", 31)}, "no point"},
	} {
		for which, text := range c.keys {
			err := identity.CheckPublicKey(base64.RawURLEncoding.EncodeToString(fromHex(t, text)))
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s, %s: %v", name, which, err)
			}
		}
	}
	for range 64 {
		must(t, identity.CheckPublicKey(newAgentKey(t).public()))
	}
	for name, text := range map[string]string{
		"short": "AAAA", "padded": newAgentKey(t).public() + "=", "long": newAgentKey(t).public() + "AA", "no base64url": strings.Repeat("+", 43), "empty": "",
	} {
		if err := identity.CheckPublicKey(text); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}

// The danger is real: the standard library lets one signature of zeros stand for the point of order one, whatever the message.
func TestTheLibraryAloneTakesASignatureThatNobodyMade(t *testing.T) {
	signature := append(fromHex(t, torsion["1"]), make([]byte, 32)...)
	if !ed25519.Verify(fromHex(t, torsion["1"]), []byte("anything"), signature) {
		t.Error("then parsePublicKey need not look at the order")
	}
}

func TestAnAgentEnrolsNoKeyThatAnybodyCanSignFor(t *testing.T) {
	storetest.Each(t, func(t *testing.T, st *gormstore.Store) {
		s := replica(t, st, newClock(), nil)
		_, err := s.CreateCluster(ctx(), "hpc")
		must(t, err)
		token, _, err := s.EnrolToken(ctx(), "hpc", principal.AgentSystem, "")
		must(t, err)
		weak, good := base64.RawURLEncoding.EncodeToString(fromHex(t, torsion["1"])), newAgentKey(t)
		_, err = s.Enrol(ctx(), identity.EnrolRequest{Token: token, Name: "login1", PublicKey: weak, Version: "1"})
		wantCode(t, "enrolling", err, apperr.InvalidRequest)
		a, err := s.Enrol(ctx(), identity.EnrolRequest{Token: token, Name: "login1", PublicKey: good.public(), Version: "1"})
		must(t, err)
		access, _, err := s.AgentToken(ctx(), good.assertion(t, s, a.ID, nil))
		must(t, err)
		forged := base64.RawURLEncoding.EncodeToString(append(fromHex(t, torsion["1"]), make([]byte, 32)...))
		err = s.RotateAgentKey(as(t, s, access), identity.KeyChange{PublicKey: weak, Proof: forged, Consent: good.keyProof(a.ID, weak)})
		wantCode(t, "rotating to it", err, apperr.InvalidRequest)
		// One that a server of before had enrolled signs nothing either.
		_, err = st.SQL().ExecContext(ctx(), "UPDATE agents SET public_key = '"+weak+"'")
		must(t, err)
		_, _, err = s.AgentToken(ctx(), unsigned(t, good.assertion(t, s, a.ID, nil), forged))
		wantCode(t, "an assertion that nobody signed", err, apperr.Unauthorized)
	})
}

// unsigned is an assertion with another signature.
func unsigned(t *testing.T, assertion, signature string) string {
	t.Helper()
	i := strings.LastIndex(assertion, ".")
	if i < 0 {
		t.Fatal(assertion)
	}
	return assertion[:i+1] + signature
}
