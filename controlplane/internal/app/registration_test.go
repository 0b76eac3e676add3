package app

import (
	"testing"

	"github.com/ergon-hpc/ergon/controlplane/internal/config"
)

// ADR 1: auto is open while only this machine reaches the API; the other words mean what they say wherever it listens.
func TestWhoMayRegisterFollowsFromSettingAndAddress(t *testing.T) {
	auto := map[string]string{
		"127.0.0.1:8080": "open", "127.8.9.10:8080": "open", "[::1]:8080": "open", "localhost:8080": "open",
		":8080": "closed", "0.0.0.0:8080": "closed", "[::]:8080": "closed", "192.0.2.7:8080": "closed", "[2001:db8::1]:8080": "closed",
		"10.0.0.1:8080": "closed", "ergon.example.org:8080": "closed", "localhost.example.org:8080": "closed", "127.0.0.1": "closed", "": "closed",
	}
	for listen, want := range auto {
		cases := map[string]string{"auto": want, "open": "open", "invite": "invite", "closed": "closed"}
		for setting, want := range cases {
			var cfg config.Config
			cfg.HTTP.Listen, cfg.Auth.Registration = listen, setting
			if got := Registration(cfg); got != want {
				t.Errorf("%s on %q: %s, want %s", setting, listen, got, want)
			}
		}
	}
}
