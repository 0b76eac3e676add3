package mask

// Lines masks a text that comes line by line, such as a script: a secret in quotes may go on in the next line.
type Lines struct {
	quote byte
}

// Open says that the next line begins within a secret.
func (l *Lines) Open() bool { return l.quote != 0 }

// Line masks the next line.
func (l *Lines) Line(s string) string {
	if l.quote == 0 && !suspicious(s) {
		return s
	}
	m, cut := masker{quote: l.quote}, false
	for rest := s; rest != "" && !cut; {
		gap, word, after := next(rest)
		m.out.WriteString(gap)
		if cut = exports(word, after); cut {
			m.out.WriteString("--export=" + Masked)
			if kept := Essence(after); kept != "" {
				m.out.WriteString(" " + kept)
			}
			break
		}
		m.word(word)
		rest = after
	}
	if cut || m.value {
		m.quote = unclosed(l.quote, s)
	}
	l.quote = m.quote
	return m.out.String()
}

// unclosed is the quote that is open at the end of a text, as a shell reads it, when quote was open at its beginning. 0 is none.
func unclosed(quote byte, s string) byte {
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' && quote != '\'':
			i++
		case c == quote:
			quote = 0
		case quote == 0 && (c == '"' || c == '\''):
			quote = c
		}
	}
	return quote
}
