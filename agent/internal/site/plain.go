package site

import (
	"errors"
	"strings"
	"unicode/utf8"
)

// ErrNotPlain says that a file is not of the plain kind: sections of settings, each with one value on its line. It may
// still be good YAML.
var ErrNotPlain = errors.New("the file needs a YAML reader")

// Parse reads a plain file. What it takes means to YAML the same; everything else is ErrNotPlain.
func Parse(data []byte) (Site, error) {
	p := parser{site: Default(), seen: map[string]bool{}}
	for line := range strings.SplitSeq(string(data), "\n") {
		if !printable(line) || !p.line(line) {
			return Default(), ErrNotPlain
		}
	}
	return p.site, nil
}

type parser struct {
	site    Site
	seen    map[string]bool
	section string // that is open; "" for none
	indent  int    // of its settings; 0 before the first
}

// line takes a line; false says that it is not plain.
func (p *parser) line(line string) bool {
	text := strings.TrimLeft(line, " ")
	if text == "" || text[0] == '#' {
		return true
	}
	key, rest, ok := strings.Cut(text, ":")
	value, has, plain := scalar(rest)
	if !ok || !plain || !isKey(key) {
		return false
	}
	indent := len(line) - len(text)
	if indent == 0 {
		p.section, p.indent = "", 0
		if !has {
			p.section = key
		}
		return p.once(key) && (!has || key != "slurm" && key != "tag" && key != "dirs")
	}
	if p.indent == 0 {
		p.indent = indent
	}
	name := p.section + "." + key
	if p.section == "" || !has || indent != p.indent || !p.once(name) {
		return false
	}
	p.take(name, value)
	return true
}

// once is false for a setting that was there before, which is an error in YAML.
func (p *parser) once(name string) bool {
	before := p.seen[name]
	p.seen[name] = true
	return !before
}

func (p *parser) take(name, value string) {
	switch name {
	case "slurm.sbatch":
		p.site.Sbatch = value
	case "tag.carrier":
		p.site.Carrier = value
	case "dirs.base":
		p.site.Base = value
	case "dirs.scratch":
		p.site.Scratch = value
	}
}

// scalar reads what follows a colon: nothing, or one value and perhaps a comment.
func scalar(rest string) (value string, has, plain bool) {
	if rest != "" && rest[0] != ' ' {
		return "", false, false
	}
	switch rest = strings.Trim(rest, " "); {
	case rest == "" || rest[0] == '#':
		return "", false, true
	case rest[0] == '"' || rest[0] == '\'':
		return quoted(rest)
	}
	value, _, _ = strings.Cut(rest, " #")
	value = strings.TrimRight(value, " ")
	return value, true, ascii(value) && isPlainStart(value[0]) && !isNull(value) && !strings.Contains(value, ": ") && !strings.HasSuffix(value, ":")
}

// quoted reads a value in quotes without escapes.
func quoted(text string) (value string, has, plain bool) {
	value, tail, closed := strings.Cut(text[1:], text[:1])
	comment := strings.TrimLeft(tail, " ")
	clean := tail == "" || tail[0] == ' ' && (comment == "" || comment[0] == '#')
	return value, true, closed && clean && ascii(value) && !strings.Contains(value, `\`)
}

func isKey(key string) bool {
	for _, c := range key {
		if (c < 'a' || c > 'z') && c != '_' {
			return false
		}
	}
	return key != ""
}

// isPlainStart knows the beginnings of values that mean nothing else to YAML.
func isPlainStart(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '/' || c == '~' || c == '.' || c == '_'
}

func isNull(value string) bool { return value == "~" || strings.EqualFold(value, "null") }

func ascii(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' })
}

// printable says that YAML sees no line break, tab or forbidden character in a line.
func printable(line string) bool {
	return utf8.ValidString(line) && !strings.ContainsFunc(line, func(r rune) bool {
		return r < ' ' || r > '~' && r < 0xA0 || r == 0x2028 || r == 0x2029 || r == 0xFEFF || r == 0xFFFE || r == 0xFFFF
	})
}
