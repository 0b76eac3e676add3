package config

import (
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// OIDC is the site's OpenID provider.
type OIDC struct {
	Issuer        string `env:"ISSUER" doc:"Address of an OpenID provider, https://…, by which people may sign in to confirm a login; empty: none. Needs HTTP_PUBLIC_URL"`
	ClientID      string `env:"CLIENT_ID" doc:"The client that the provider knows this server as; its redirect address is HTTP_PUBLIC_URL/device/oidc"`
	ClientSecret  Secret `env:"CLIENT_SECRET" doc:"Its secret; empty for a public client"`
	Name          string `env:"NAME" envDefault:"your institution" doc:"What people call the provider: \"Sign in with …\""`
	UsernameClaim string `env:"USERNAME_CLAIM" envDefault:"preferred_username" doc:"Claim that becomes the name of a new account"`
	Accounts      bool   `env:"ACCOUNTS" envDefault:"true" doc:"Make an account at the first sign-in; false: people connect the provider to an account that they have"`
	CAFile        string `env:"CA_FILE" doc:"PEM certificates to trust for the provider, beside the system's"`
}

func (o OIDC) check(h HTTP) []string {
	if o.Issuer == "" {
		return nil
	}
	return slices.Concat(
		want(webAddress(o.Issuer), "OIDC_ISSUER", "must be https://… (http only on a loopback address)"),
		want(o.ClientID != "", "OIDC_CLIENT_ID", "is needed with OIDC_ISSUER"),
		want(h.PublicURL != "", "HTTP_PUBLIC_URL", "is needed with OIDC_ISSUER: the provider sends browsers back to it"),
		want(o.Name != "", "OIDC_NAME", "must not be empty"),
		want(o.UsernameClaim != "", "OIDC_USERNAME_CLAIM", "must not be empty"),
	)
}

// webAddress: https, or http to this machine; without query, fragment and user.
func webAddress(text string) bool {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return false
	}
	ip, err := netip.ParseAddr(u.Hostname())
	local := u.Hostname() == "localhost" || (err == nil && ip.IsLoopback())
	return u.Scheme == "https" || (u.Scheme == "http" && local)
}

// publicURL: browsers and cookies need the address to be exact.
func (h HTTP) publicURL() []string {
	ok := h.PublicURL == "" || (webAddress(h.PublicURL) && !strings.HasSuffix(h.PublicURL, "/"))
	return want(ok, "HTTP_PUBLIC_URL", "must be https://host[:port][/path] without a slash at its end (http only on a loopback address)")
}
