package secret_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"strings"
	"testing"

	"github.com/ergon-hpc/ergon/shared/secret"
)

const text = "https://store/b/k?X-Amz-Signature=deadbeef"

type holder struct {
	Plain  secret.Secret
	Ptr    *secret.Secret
	Nested struct{ S secret.Secret }
	hidden secret.Secret
}

func newHolder() holder {
	s := secret.New(text)
	h := holder{Plain: s, Ptr: &s, hidden: s}
	h.Nested.S = s
	return h
}

func TestSecretNeverPrints(t *testing.T) {
	h := newHolder()
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T %v", "%10s", "% x"} {
		for _, v := range []any{h.Plain, h.Ptr, []secret.Secret{h.Plain}, map[string]secret.Secret{"k": h.Plain}, h, &h} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
	}
	fmt.Fprintln(&out, h.Plain, h, errors.New(h.Plain.String()))
	for _, log := range []*slog.Logger{slog.New(slog.NewJSONHandler(&out, nil)), slog.New(slog.NewTextHandler(&out, nil))} {
		log.Info("x", "url", h.Plain, "ptr", h.Ptr, "all", h, "group", slog.GroupValue(slog.Any("u", h.Plain)))
	}
	for _, encode := range []func(any) ([]byte, error){json.Marshal, xml.Marshal} {
		raw, err := encode(h)
		if err != nil {
			t.Fatal(err)
		}
		out.Write(raw)
	}
	for _, part := range []string{"deadbeef", "Signature", fmt.Sprintf("%x", text)[:20], fmt.Sprintf("%X", text)[:20]} {
		if i := strings.Index(out.String(), part); i >= 0 {
			t.Errorf("leaked %q in %q", part, out.String()[max(0, i-80):i+20])
		}
	}
	if !strings.Contains(out.String(), "redacted") {
		t.Error("nothing was printed at all")
	}
}

func TestOnlyRevealGivesTheText(t *testing.T) {
	if got := secret.New(text).Reveal(); got != text {
		t.Errorf("got %q", got)
	}
	var in struct{ S secret.Secret }
	if err := json.Unmarshal([]byte(`{"S":"abc"}`), &in); err != nil || in.S.Reveal() != "abc" {
		t.Errorf("decoding gives %q, %v", in.S.Reveal(), err)
	}
	if !in.S.Equal(secret.New("abc")) || in.S.Equal(secret.New("abd")) || in.S.IsZero() || !secret.New("").IsZero() {
		t.Error("comparison is wrong")
	}
}

func TestStripURLKeepsTheCauseAndDropsTheSignature(t *testing.T) {
	for _, raw := range []string{text, "https://user:pass@store/b?X-Amz-Signature=deadbeef#pass", "://X-Amz-Signature=deadbeef"} {
		err := secret.StripURL(fmt.Errorf("putting: %w", &url.Error{Op: "Put", URL: raw, Err: io.ErrUnexpectedEOF}))
		if s := err.Error(); strings.Contains(s, "deadbeef") || strings.Contains(s, "pass") {
			t.Errorf("leaked: %s", s)
		}
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("lost the cause: %v", err)
		}
	}
	if err := secret.StripURL(io.EOF); !errors.Is(err, io.EOF) {
		t.Errorf("another error became %v", err)
	}
	if secret.StripURL(nil) != nil {
		t.Error("nil became an error")
	}
}
