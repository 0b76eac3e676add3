package app

import (
	"net"
	"net/netip"

	"github.com/ergon-hpc/ergon/controlplane/internal/config"
)

// Registration is the mode in force: open, invite or closed. "auto" is open while only this machine can reach the API.
// See docs/adr/0001-first-account.md.
func Registration(cfg config.Config) string {
	if cfg.Auth.Registration != "auto" {
		return cfg.Auth.Registration
	}
	if loopback(cfg.HTTP.Listen) {
		return "open"
	}
	return "closed"
}

func loopback(listen string) bool {
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}
