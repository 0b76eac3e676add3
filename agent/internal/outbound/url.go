package outbound

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
)

// ParseServer checks a server's address: https, or http to a loopback address, with no user, query or fragment. It
// returns the address without a slash at its end.
func ParseServer(text string) (string, error) {
	if text == "" {
		return "", errors.New("no server is known: give --server https://…, or set ERGON_SERVER")
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return "", fmt.Errorf("%q is no server address; write it as https://ergon.example.org", text)
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", errors.New("the server address must not hold a user, a query or a fragment")
	}
	switch {
	case u.Scheme == "https":
	case u.Scheme == "http" && isLoopback(u.Hostname()):
	default:
		return "", fmt.Errorf("%s: tokens go only over https (http only to a loopback address)", u.Redacted())
	}
	return strings.TrimRight(u.Scheme+"://"+u.Host+u.Path, "/"), nil
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// CheckStoreURL checks a presigned URL that a server gave us by the same rule; the error never quotes it.
func CheckStoreURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil {
		return errors.New("the server gave an unusable store address")
	}
	if u.Scheme == "https" || u.Scheme == "http" && isLoopback(u.Hostname()) {
		return nil
	}
	return fmt.Errorf("the server gave a store address (%s) that is not https; set ERGON_STORE_PUBLIC_URL there to an https address", u.Host)
}
