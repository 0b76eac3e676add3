package mask

import "strings"

// loginOf masks what stands behind the name in name:secret: a word after -u or --user (expected), or one that is stuck to it.
// quote is the one up to which the secret goes on.
func loginOf(w string, expected bool) (masked string, quote byte, ok bool) {
	stuck := strings.HasPrefix(w, "-u") || strings.HasPrefix(w, "--user=") || strings.HasPrefix(w, "--proxy-user=")
	at := strings.IndexByte(w, ':')
	if at < 0 || !expected && !stuck {
		return "", 0, false
	}
	masked, _, _ = examine(w[:at])
	return unquoted(masked) + ":" + Masked, unclosed(0, w), true
}

// unquoted has no quotes: the other end of one may have gone with the secret.
func unquoted(w string) string { return strings.NewReplacer(`"`, "", "'", "").Replace(w) }
