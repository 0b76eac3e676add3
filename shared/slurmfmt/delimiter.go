package slurmfmt

import (
	"fmt"
	"strings"
)

// headerDelimiter finds the delimiter between the first two names of a header.
// Column names hold letters, digits and _ only (sacct has no others).
func headerDelimiter(header string) (string, error) {
	if strings.HasPrefix(header, `"`) {
		return ",", nil // CSV of a spreadsheet
	}
	start := strings.IndexFunc(header, isNoNameRune)
	if start < 0 {
		return "|", nil // a single column
	}
	rest := header[start:]
	end := strings.IndexFunc(rest, isNameRune)
	if end < 0 {
		end = len(rest) // a single column with a trailing delimiter
	}
	d := rest[:end]
	if strings.Trim(d, " ") == "" {
		return "", fmt.Errorf("%w: the columns are padded with spaces; run the command with --parsable2", ErrNotParsable)
	}
	if strings.HasPrefix(d, "~|") { // ours has hex digits inside
		if i := strings.Index(rest, "|~"); i > 0 {
			return rest[:i+2], nil
		}
	}
	return d, nil
}

func isNameRune(r rune) bool {
	return r == '_' || r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z'
}

func isNoNameRune(r rune) bool { return !isNameRune(r) }

// checkHeader refuses a first line that is data, or no table at all.
func checkHeader(names []string, text string) error {
	for _, name := range names {
		if name == "" || name[0] >= '0' && name[0] <= '9' || strings.ContainsAny(name, "=:/\"") {
			return fmt.Errorf("%w: the first line is no header: %q; run the command without --noheader or name the columns",
				ErrNotParsable, clip(text))
		}
	}
	return nil
}

// guessDelimiter takes the candidate that gives most lines of the sample the
// right number of fields.
func guessDelimiter(sample []string, columns int) string {
	best, most := "|", 0
	for _, d := range []string{"|", "@@", "\x1f", "\t", "^", ";", ","} {
		hits := 0
		for _, l := range sample {
			if n := strings.Count(l, d) + 1; l != "" && (n == columns || n == columns+1) {
				hits++
			}
		}
		if hits > most {
			best, most = d, hits
		}
	}
	return best
}

// endsWithDelimiter decides between --parsable (each row ends with the
// delimiter) and --parsable2 by the majority of the sample.
func endsWithDelimiter(sample []string, delimiter string, columns int) bool {
	with, without := 0, 0
	for _, l := range sample {
		switch n := strings.Count(l, delimiter) + 1; {
		case n == columns+1 && strings.HasSuffix(l, delimiter):
			with++
		case n == columns:
			without++
		}
	}
	return with > without
}

func (rd *Reader) badReason(fields int) string {
	want := len(rd.kinds)
	switch {
	case fields < want:
		return fmt.Sprintf("the row has %d fields instead of %d", fields, want)
	case fields > want:
		return fmt.Sprintf("the row has %d fields instead of %d, and free text with the delimiter cannot be told apart; use a rare --delimiter", fields, want)
	}
	return "the row's fields do not have the shapes of their columns"
}
