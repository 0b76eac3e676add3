package slurmfmt

import "strings"

// maxRowLines bounds how many lines one row may take.
const maxRowLines = 1000

// row makes rd.rec of the line and those that belong to it.
func (rd *Reader) row(l line) bool {
	tokens := rd.split(l.text)
	good := rd.typed(tokens)
	if good && (!rd.openEnd() || len(rd.delimiter) == 1 && tokens[len(tokens)-1] == "") {
		return rd.emit(l, tokens) // with a delimiter that users know, text that begins with a newline is rarer than garbage
	}
	text, grown := rd.gather(l, good)
	if grown {
		tokens = rd.split(text)
		good = rd.typed(tokens)
	} else if good {
		tokens = rd.split(text) // looking ahead used the token buffer
	}
	if good {
		return rd.emit(l, tokens)
	}
	return rd.mend(l, text, rd.split(text))
}

// openEnd says whether a complete row may go on in the next line: only when its
// last column is free text, no delimiter closes it, and the job id in front tells
// the next row's start from such text. A path that goes on is taken for a damaged
// row: paths with newlines hardly exist.
func (rd *Reader) openEnd() bool {
	n := len(rd.kinds)
	return n > 0 && rd.idFirst && !rd.trailing && rd.kinds[n-1].free() && rd.kinds[n-1] != colPath
}

// stray says that a line can be no part of the text at the end of a complete row: it
// has fields of its own, so it is the rest of another row, or a command's own message.
func (rd *Reader) stray(text string) bool {
	for _, command := range []string{"sacct: ", "sstat: ", "squeue: ", "slurm_"} {
		if strings.HasPrefix(text, command) {
			return true
		}
	}
	return strings.Contains(text, rd.delimiter)
}

// typed says that the row has the right number of fields and that those with a
// strict shape have it. Names are not looked at: a newer Slurm's odd word, or an
// odd job id (kept as opaque text), costs no row.
func (rd *Reader) typed(tokens []string) bool {
	if len(tokens) != len(rd.kinds) {
		return false
	}
	for i, kind := range rd.kinds {
		if kind.strict() && !kind.fits(tokens[i]) {
			return false
		}
	}
	return true
}

// gather appends the lines that do not start a row of their own. A complete row
// takes only what its last column may hold.
func (rd *Reader) gather(l line, complete bool) (text string, grown bool) {
	var b strings.Builder
	for range maxRowLines {
		next, ok := rd.lines.peek()
		if !ok || next.fault != "" || next.text == rd.header || rd.startsRow(next.text) {
			break
		}
		if complete && (!rd.openEnd() || rd.stray(next.text)) || max(b.Len(), len(l.text))+len(next.text) >= rd.opt.MaxLine {
			break // an orphan, reported when its turn comes
		}
		if b.Len() == 0 {
			b.WriteString(l.text)
		}
		b.WriteByte('\n')
		b.WriteString(next.text)
		rd.lines.peeked = false
	}
	if b.Len() == 0 {
		return l.text, false
	}
	return b.String(), true
}

// startsRow says whether a line begins a row: its job id and all else before the
// first free text have their shape, or the line is a whole row by itself.
func (rd *Reader) startsRow(text string) bool {
	if !rd.idFirst {
		return rd.typed(rd.split(text))
	}
	rest, more := text, true
	for _, kind := range rd.kinds[:rd.firstFree] {
		var field string
		if !more {
			return false
		}
		field, rest, more = cutField(rest, rd.delimiter)
		if !kind.fits(unquote(field)) {
			return rd.wholeRow(text)
		}
	}
	return true
}

// wholeRow finds rows with an odd job id. Few lines of free text have by chance as
// many fields as a row, each with its shape.
func (rd *Reader) wholeRow(text string) bool {
	const fewest = 4
	return len(rd.kinds) >= fewest && rd.typed(rd.split(text))
}

func cutField(s, delimiter string) (field, rest string, more bool) {
	if len(delimiter) == 1 {
		if i := strings.IndexByte(s, delimiter[0]); i >= 0 {
			return s[:i], s[i+1:], true
		}
		return s, "", false
	}
	return strings.Cut(s, delimiter)
}

// unquote drops the quotes of a CSV field that needs none.
func unquote(s string) string {
	if n := len(s); n > 1 && s[0] == '"' && s[n-1] == '"' {
		return s[1 : n-1]
	}
	return s
}

func (rd *Reader) emit(l line, tokens []string) bool {
	copy(rd.rec.fields, tokens)
	rd.rec.Line, rd.rec.damaged = l.number, nil
	return true
}

// mend repairs a row with too many fields or reports it.
func (rd *Reader) mend(l line, text string, tokens []string) bool {
	fields, damaged, ok := rd.repair.solve(tokens, rd.delimiter)
	if !ok {
		l.text = text
		rd.report(l, rd.badReason(len(tokens)))
		return false
	}
	copy(rd.rec.fields, fields)
	rd.rec.Line, rd.rec.damaged = l.number, damaged
	return true
}
