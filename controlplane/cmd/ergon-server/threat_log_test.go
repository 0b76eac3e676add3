package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/ergon-hpc/ergon/controlplane/internal/config"
	"github.com/ergon-hpc/ergon/controlplane/internal/httpapi"
	"github.com/ergon-hpc/ergon/controlplane/internal/principal"
)

type anybody struct{}

func (anybody) Authenticate(context.Context, string) (principal.Principal, error) {
	return principal.Principal{Kind: principal.User, ID: "u"}, nil
}

// A value that the contract refuses stands in the log with the reason, as it was sent: by the logger that the server has.
func TestThreat_T19_HostileNamesAreOneLineInTheLog(t *testing.T) {
	hostile := []string{"a\nlevel=ERROR msg=forged", "\x1b[2J\x1b]0;owned\x07", "b\r\n{\"level\":\"ERROR\"}", "c\u2028\u009b31m", `d" msg="forged`}
	for _, format := range []string{"json", "text"} {
		for _, value := range hostile {
			t.Run(format+" "+value[:1], func(t *testing.T) {
				var log bytes.Buffer
				h, err := httpapi.New(httpapi.Config{Log: newLogger(config.Log{Level: "debug", Format: format}, &log), Now: time.Now, Authenticator: anybody{}})
				if err != nil {
					t.Fatal(err)
				}
				r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/jobs?limit="+url.QueryEscape(value), nil)
				r.Header.Set("Authorization", "Bearer x")
				r.Header.Set("X-Request-Id", value)
				h.ServeHTTP(httptest.NewRecorder(), r)
				text := log.String()
				if strings.Count(text, "\n") != 1 || strings.ContainsAny(strings.TrimSuffix(text, "\n"), "\r\x1b\x07\u2028\u009b") {
					t.Errorf("not one line of plain text: %q", text)
				}
				if !strings.Contains(text, "forged") && !strings.Contains(text, "owned") && !strings.Contains(text, "31m") && !strings.Contains(text, "ERROR") {
					t.Errorf("the value did not reach the log, so this shows nothing: %q", text)
				}
				if format == "text" && strings.Contains(text, " msg=forged\n") || strings.Contains(text, ` msg="forged`) && !strings.Contains(text, `\" msg=\"forged`) {
					t.Errorf("a member was forged: %q", text)
				}
				var line map[string]any
				if format == "json" && (json.Unmarshal(log.Bytes(), &line) != nil || line["level"] != "INFO") {
					t.Errorf("not one object: %q", text)
				}
			})
		}
	}
}
