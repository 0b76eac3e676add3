package advice

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ergon-hpc/ergon/shared/sbatch"
)

// Directives are the #SBATCH lines in the head of a script, which ends at the first command, as sbatch reads it.
type Directives struct {
	lines   []string // of the whole script, with their ends
	head    int      // how many lines belong to the head
	options []directive
}

// directive is one option in a line: bytes [from, to) of it.
type directive struct {
	name, value    string
	line, from, to int
}

// ErrHet says that a script describes a heterogeneous job, whose components have options of their own.
var ErrHet = errors.New("the script describes a heterogeneous job; change the options of its components by hand")

// ReadDirectives reads a script. It never changes it.
func ReadDirectives(script string) (*Directives, error) {
	d := &Directives{lines: slices.Collect(strings.Lines(script))}
	for i, line := range d.lines {
		text := strings.TrimRight(line, "\r\n")
		if strings.TrimSpace(text) != "" && text[0] != '#' {
			break
		}
		d.head = i + 1
		rest, ok := strings.CutPrefix(text, "#SBATCH")
		if !ok || rest == "" || rest[0] != ' ' && rest[0] != '\t' {
			continue
		}
		words := split(text, len("#SBATCH"))
		if slices.ContainsFunc(words, func(w word) bool { return w.text == "hetjob" || w.text == "packjob" || w.text == ":" }) {
			return nil, ErrHet
		}
		d.read(i, words)
	}
	return d, nil
}

func (d *Directives) read(line int, words []word) {
	for i := 0; i < len(words); i++ {
		w := words[i]
		o := directive{line: line, from: w.from, to: w.to}
		var more bool // the value is the next word
		switch {
		case strings.HasPrefix(w.text, "--"):
			name, value, has := strings.Cut(w.text[2:], "=")
			o.name, o.value = name, value
			more = !has && !sbatch.Plain(name)
		case len(w.text) > 1 && w.text[0] == '-':
			name, known := sbatch.Long(w.text[1])
			if !known {
				continue
			}
			o.name, o.value = name, strings.TrimPrefix(w.text[2:], "=")
			more = len(w.text) == 2
		default:
			continue
		}
		if more && i+1 < len(words) {
			i++
			o.value, o.to = words[i].text, words[i].to
		}
		d.options = append(d.options, o)
	}
}

// Get gives the value of an option; the last one counts.
func (d *Directives) Get(names ...string) (value string, ok bool) {
	for _, o := range slices.Backward(d.options) {
		if slices.Contains(names, o.name) {
			return o.value, true
		}
	}
	return "", false
}

// together are options that cannot stand beside each other.
var together = map[string][]string{"mem": {"mem", "mem-per-cpu", "mem-per-gpu"}}

// Set gives the script with directives such as "--mem=4G" in force: the last line that has the option is changed in place,
// others of the kind go; a new line comes behind the last #SBATCH line, or behind the first line of the script.
func (d *Directives) Set(directives ...string) (string, error) {
	lines := slices.Clone(d.lines)
	edits := map[int][]edit{}
	var fresh []string
	for _, text := range directives {
		name, _, ok := strings.Cut(strings.TrimPrefix(text, "--"), "=")
		if !ok || strings.ContainsAny(text, " \t\r\n\"'\\#") {
			return "", fmt.Errorf("%q is no plain directive", text)
		}
		names := together[name]
		if names == nil {
			names = []string{name}
		}
		put := text
		for _, o := range slices.Backward(d.options) {
			if slices.Contains(names, o.name) {
				edits[o.line] = append(edits[o.line], edit{o.from, o.to, put})
				put = ""
			}
		}
		if put != "" {
			fresh = append(fresh, "#SBATCH "+text)
		}
	}
	for i, list := range edits {
		lines[i] = apply(lines[i], list)
	}
	return strings.Join(d.insert(lines, fresh), ""), nil
}

type edit struct {
	from, to int
	text     string
}

// apply changes a line from its end to its start; a line that has no option left goes.
func apply(line string, list []edit) string {
	slices.SortFunc(list, func(a, b edit) int { return b.from - a.from })
	for _, e := range list {
		from := e.from
		if e.text == "" { // with the blanks before it
			from = len(strings.TrimRight(line[:e.from], " \t"))
		}
		line = line[:from] + e.text + line[e.to:]
	}
	if strings.TrimSpace(line) == "#SBATCH" {
		return ""
	}
	return line
}

func (d *Directives) insert(lines, fresh []string) []string {
	if len(fresh) == 0 {
		return lines
	}
	at := 0
	for i := range d.head {
		if strings.HasPrefix(d.lines[i], "#SBATCH") || i == 0 && strings.HasPrefix(d.lines[0], "#!") {
			at = i + 1
		}
	}
	end := "\n"
	if len(d.lines) > 0 && strings.HasSuffix(d.lines[0], "\r\n") {
		end = "\r\n"
	}
	if at > 0 && !strings.HasSuffix(lines[at-1], "\n") && lines[at-1] != "" {
		lines[at-1] += end
	}
	for i := range fresh {
		fresh[i] += end
	}
	return slices.Insert(lines, at, fresh...)
}

// word is a word of a line: bytes [from, to) of it, and its text without quotes.
type word struct {
	text     string
	from, to int
}

// split reads words as sbatch does, from a position on; a word that begins with # ends the line.
func split(line string, at int) (words []word) {
	var text []byte
	var quote byte
	from := -1
	flush := func(to int) {
		if from >= 0 {
			words = append(words, word{string(text), from, to})
		}
		text, from = nil, -1
	}
	for i := at; i < len(line); i++ {
		c := line[i]
		if quote == 0 && (c == ' ' || c == '\t') {
			flush(i)
			continue
		}
		if from < 0 {
			if c == '#' {
				return words
			}
			from = i
		}
		switch {
		case quote == 0 && (c == '"' || c == '\''):
			quote = c
		case quote != 0 && c == quote:
			quote = 0
		case c == '\\' && quote != '\'' && i+1 < len(line):
			i++
			text = append(text, line[i])
		default:
			text = append(text, c)
		}
	}
	flush(len(line))
	return words
}

// Diff is a unified diff of two texts with one hunk, empty when they are the same.
func Diff(name, before, after string) string {
	a, b := slices.Collect(strings.Lines(before)), slices.Collect(strings.Lines(after))
	head := 0
	for head < len(a) && head < len(b) && a[head] == b[head] {
		head++
	}
	tail := 0
	for tail < len(a)-head && tail < len(b)-head && a[len(a)-1-tail] == b[len(b)-1-tail] {
		tail++
	}
	if head == len(a) && head == len(b) {
		return ""
	}
	const context = 3
	from, rest := max(0, head-context), min(tail, context)
	var out strings.Builder
	count := func(n int) string { return fmt.Sprintf("%d,%d", min(from+1, from+n), n) }
	fmt.Fprintf(&out, "--- %s\n+++ %s\n@@ -%s +%s @@\n", name, name, count(len(a)-tail+rest-from), count(len(b)-tail+rest-from))
	put := func(mark string, lines []string) {
		for _, l := range lines {
			out.WriteString(mark + strings.TrimSuffix(l, "\n") + "\n")
			if !strings.HasSuffix(l, "\n") {
				out.WriteString("\\ No newline at end of file\n")
			}
		}
	}
	put(" ", a[from:head])
	put("-", a[head:len(a)-tail])
	put("+", b[head:len(b)-tail])
	put(" ", a[len(a)-tail:len(a)-tail+rest])
	return out.String()
}
