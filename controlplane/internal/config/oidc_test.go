package config

import (
	"strings"
	"testing"
)

func TestAProviderNeedsItsClientAndAnAddressToComeBackTo(t *testing.T) {
	whole := []string{"ERGON_OIDC_ISSUER=https://idp.example.org/realm", "ERGON_OIDC_CLIENT_ID=ergon", "ERGON_HTTP_PUBLIC_URL=https://ergon.example.org"}
	c, err := load(t, "", whole...)
	if err != nil || c.OIDC.UsernameClaim != "preferred_username" || !c.OIDC.Accounts || c.OIDC.Name == "" {
		t.Errorf("%+v %v", c.OIDC, err)
	}
	for i := range whole {
		rest := append(append([]string{}, whole[:i]...), whole[i+1:]...)
		if _, err := load(t, "", rest...); (err == nil) != (i == 0) {
			t.Errorf("without %s: %v", whole[i], err)
		}
	}
	for _, issuer := range []string{"http://idp.example.org", "idp.example.org", "https://u:p@idp.example.org", "https://idp.example.org?x=1", "ftp://idp"} {
		if _, err := load(t, "", append(whole[1:], "ERGON_OIDC_ISSUER="+issuer)...); err == nil || !strings.Contains(err.Error(), "OIDC_ISSUER") {
			t.Errorf("%s: %v", issuer, err)
		}
	}
}

func TestThePublicAddressIsOneThatBrowsersMayGoTo(t *testing.T) {
	for address, ok := range map[string]bool{
		"https://ergon.example.org": true, "https://ergon.example.org:8443/base": true, "http://127.0.0.1:8080": true, "http://localhost:1": true,
		"http://[::1]:8080": true, "https://ergon.example.org/": false, "http://ergon.example.org": false, "ergon.example.org": false,
		"https://ergon.example.org#x": false, "javascript:alert(1)": false,
	} {
		if _, err := load(t, "", "ERGON_HTTP_PUBLIC_URL="+address); (err == nil) != ok {
			t.Errorf("%s: %v", address, err)
		}
	}
}
