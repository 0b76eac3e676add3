// Package mask takes secrets out of free text of accounting: submit lines, comments, directories, names of jobs. sacct gives
// sbatch's arguments joined by blanks, without their quotes, so where a value ends is not always known: what may be part of a
// secret goes. It errs on the side of masking; what looks like no secret (a bare word
// after -p, or one that is stuck to it) cannot be found.
package mask

import "strings"

// Masked stands for what was taken out.
const Masked = "***"

// sensitive are parts of names whose values are secrets, in lower case.
var sensitive = []string{"passw", "passphrase", "pwd", "token", "secret", "key", "credential", "auth"}

// prefixes begin tokens of well-known services.
var prefixes = []string{
	"ergon_", "glpat-", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "AKIA", "ASIA", "AIza", "sk-", "hf_", "eyJ",
	"xoxa-", "xoxb-", "xoxp-", "xoxr-", "xoxs-",
}

// shortestToken is the least length of a token behind its prefix: shorter ones are names of files.
const shortestToken = 12

// Text masks a text. Masking twice changes nothing more.
func Text(s string) string {
	var l Lines
	return l.Line(s)
}

// suspicious spares most texts the work.
func suspicious(s string) bool {
	if strings.ContainsAny(s, "=:@") {
		return true
	}
	l := lower(s)
	for _, name := range sensitive {
		if strings.Contains(l, name) {
			return true
		}
	}
	for _, p := range prefixes {
		if strings.Contains(s, p) {
			return true
		}
	}
	return strings.Contains(l, "bearer")
}

// next splits a text after its first word.
func next(s string) (gap, word, rest string) {
	i := 0
	for i < len(s) && s[i] <= ' ' {
		i++
	}
	j := i
	for j < len(s) && s[j] > ' ' {
		j++
	}
	return s[:i], s[i:j], s[j:]
}

// exports says that a word begins an environment with values. Nobody knows where it ends.
func exports(word, after string) bool {
	if word == "--export" {
		_, list, _ := next(after)
		return strings.Contains(list, "=")
	}
	list, ok := strings.CutPrefix(word, "--export=")
	return ok && strings.Contains(list, "=")
}

type masker struct {
	out   strings.Builder
	value bool // the next word is a secret
	login bool // the next word may be name:secret
	quote byte // all words up to this one are
}

func (m *masker) word(w string) {
	if w == "" {
		return
	}
	masked, value, quote := examine(w)
	login := m.login
	m.login = w == "-u" || w == "--user" || w == "--proxy-user"
	if s, q, ok := loginOf(w, login); ok {
		masked, quote = s, max(quote, q)
	}
	switch {
	case m.quote != 0:
		if strings.IndexByte(w, m.quote) >= 0 {
			m.quote, m.value = quote, value
		}
		masked = Masked
	case m.value && !strings.HasPrefix(w, "--"):
		m.value = value || scheme(w)
		m.quote, masked = quote, Masked
		if q := w[0]; (q == '"' || q == '\'') && strings.IndexByte(w[1:], q) < 0 {
			m.quote = q
		}
	default:
		m.value, m.quote = value, quote
	}
	m.out.WriteString(masked)
}

// scheme is a word of an Authorization header that stands before the secret.
func scheme(w string) bool {
	l := strings.Trim(lower(w), `"',;`)
	return l == "bearer" || l == "basic" || l == "digest" || l == "negotiate"
}

// examine masks one word and says whether the next is a secret, or all up to a quote.
func examine(w string) (masked string, value bool, quote byte) {
	if strings.HasSuffix(lower(w), "bearer") {
		return w, true, 0
	}
	if name, ok := named(w); ok {
		if name < 0 {
			return tokens(userinfo(w)), true, 0
		}
		secret := strings.TrimLeft(w[name:], "=:")
		if secret == "" || secret == `"` || secret == "'" {
			return w, true, 0
		}
		if q := secret[0]; (q == '"' || q == '\'') && strings.IndexByte(secret[1:], q) < 0 {
			quote = q
		}
		return tokens(userinfo(w[:name])) + Masked, scheme(secret), quote
	}
	return tokens(userinfo(w)), false, 0
}

// named finds the value that a sensitive name in a word has: where it begins, or -1 when it is the next word.
func named(w string) (at int, ok bool) {
	l := lower(w)
	first := len(w)
	for _, name := range sensitive {
		if i := strings.Index(l, name); i >= 0 {
			first = min(first, i)
		}
	}
	if first == len(w) {
		return 0, false
	}
	if i := strings.IndexAny(w[first:], "=:"); i >= 0 {
		return first + i + 1, true
	}
	option := strings.HasPrefix(w, "-")
	return -1, option || l == "password" || l == "passwd" || l == "passphrase"
}

// userinfo masks what stands before the @ of an address.
func userinfo(w string) string {
	at := strings.Index(w, "://")
	if at < 0 {
		return w
	}
	rest := w[at+3:]
	authority := rest
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		authority = rest[:i]
	}
	end := strings.LastIndexByte(authority, '@')
	if end < 0 && strings.IndexByte(authority, ':') >= 0 { // a password with a slash
		end = strings.LastIndexByte(rest, '@')
	}
	if end < 0 {
		return w[:at+3] + userinfo(rest)
	}
	return w[:at+3] + Masked + rest[end:end+1] + userinfo(rest[end+1:])
}

// tokens masks what begins as tokens of well-known services do.
func tokens(w string) string {
	for _, p := range prefixes {
		for from := 0; ; {
			i := strings.Index(w[from:], p)
			if i < 0 {
				break
			}
			i += from
			end := i + len(p)
			for end < len(w) && tokenByte(w[end]) {
				end++
			}
			if end-i-len(p) < shortestToken {
				from = i + len(p)
				continue
			}
			w = w[:i] + Masked + w[end:]
			from = i + len(Masked)
		}
	}
	return w
}

func tokenByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("_-.+/=~", c) >= 0
}

// lower is strings.ToLower for ASCII, which keeps places in any text.
func lower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}
