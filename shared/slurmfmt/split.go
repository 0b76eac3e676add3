package slurmfmt

import "strings"

// splitInto appends the fields of line to dst.
func splitInto(dst []string, line, delimiter string) []string {
	if len(delimiter) == 1 {
		return splitByte(dst, line, delimiter[0])
	}
	for {
		i := strings.Index(line, delimiter)
		if i < 0 {
			return append(dst, line)
		}
		dst = append(dst, line[:i])
		line = line[i+len(delimiter):]
	}
}

func splitByte(dst []string, line string, delimiter byte) []string {
	for {
		i := strings.IndexByte(line, delimiter)
		if i < 0 {
			return append(dst, line)
		}
		dst = append(dst, line[:i])
		line = line[i+1:]
	}
}

// splitQuoted splits a CSV line whose fields may be quoted (RFC 4180), as
// spreadsheets write them; sacct itself never quotes. ok is false when a quote
// does not close: the row may go on in the next line.
func splitQuoted(dst []string, line string, delimiter byte) (fields []string, ok bool) {
	for {
		if !strings.HasPrefix(line, `"`) {
			i := strings.IndexByte(line, delimiter)
			if i < 0 {
				return append(dst, line), true
			}
			dst, line = append(dst, line[:i]), line[i+1:]
			continue
		}
		text, rest, closed := cutQuoted(line[1:])
		dst = append(dst, text)
		if rest == "" {
			return dst, closed
		}
		if !closed || rest[0] != delimiter {
			return dst, false
		}
		line = rest[1:]
	}
}

// cutQuoted reads up to the closing quote; a doubled quote stands for one.
func cutQuoted(s string) (text, rest string, closed bool) {
	var b strings.Builder
	for {
		i := strings.IndexByte(s, '"')
		if i < 0 {
			return s, "", false
		}
		b.WriteString(s[:i])
		s = s[i+1:]
		if !strings.HasPrefix(s, `"`) {
			return b.String(), s, true
		}
		b.WriteByte('"')
		s = s[1:]
	}
}
