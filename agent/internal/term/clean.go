// Package term makes text from elsewhere (the server, job names, file names) safe to print on a terminal.
package term

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Clean replaces control characters, bidirectional overrides and bytes that are no UTF-8 by U+FFFD. Tabs and newlines
// become spaces, so that one value stays on one line.
func Clean(text string) string {
	if !needsCleaning(text) {
		return text
	}
	return strings.Map(cleanRune, strings.ToValidUTF8(text, string(utf8.RuneError)))
}

func needsCleaning(text string) bool {
	for _, r := range text {
		if cleanRune(r) != r || r == utf8.RuneError {
			return true
		}
	}
	return false
}

func cleanRune(r rune) rune {
	switch {
	case r == '\n' || r == '\t' || r == '\r':
		return ' '
	case unicode.IsControl(r), unicode.Is(unicode.Bidi_Control, r), r == '\u2028', r == '\u2029':
		return utf8.RuneError
	}
	return r
}
