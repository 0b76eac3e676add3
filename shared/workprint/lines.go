package workprint

import (
	"bytes"
	"iter"
	"strings"
)

// logical gives the lines of a script as a shell reads them: one that ends with a backslash goes on in the next, so that a
// secret is seen together with its name. Comments and empty lines are left out, but for those that quoted is true at: what
// looks like a comment there is text.
func logical(text string, quoted func() bool) iter.Seq[string] {
	return func(yield func(string) bool) {
		var begun []byte
		for line := range strings.Lines(text) {
			body := strings.TrimSpace(line)
			if body == "" || body[0] == '#' && !strings.HasPrefix(body, "#!") && !quoted() {
				continue
			}
			begun = join(begun, line, body)
			if goesOn(body) {
				begun = begun[:len(begun)-1]
				continue
			}
			if !yield(string(begun)) {
				return
			}
			begun = begun[:0]
		}
		if begun = bytes.TrimSpace(begun); len(begun) > 0 {
			yield(string(begun))
		}
	}
}

// goesOn says that a line ends with a backslash that none stands before.
func goesOn(line string) bool {
	return (len(line)-len(strings.TrimRight(line, `\`)))%2 == 1
}

// join adds a line to the one that goes on in it, with one blank where there is any; body is the line without those around it.
func join(begun []byte, line, body string) []byte {
	if n := len(begun); n > 0 && (isBlank(begun[n-1]) || isBlank(line[0])) {
		begun = append(bytes.TrimRight(begun, " \t"), ' ')
	}
	return append(begun, body...)
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }
