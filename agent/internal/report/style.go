package report

import (
	"time"

	"github.com/ergon-hpc/ergon/shared/efficiency"
)

// Style says what the reader's screen can show.
type Style struct {
	// Color allows ANSI colours; only for a terminal and never with NO_COLOR (no-color.org).
	Color bool
	// Sparks allows the block characters of sparklines; only for a terminal.
	Sparks bool
	// Width is the number of columns, 80 when zero.
	Width int
	// Location is the zone of printed times; nil is the reader's own.
	Location *time.Location
}

// clock prints Unix seconds.
func (s Style) clock(unix int64) string {
	where := s.Location
	if where == nil {
		where = time.Local //nolint:gosmopolitan // people read their own clock
	}
	return time.Unix(unix, 0).In(where).Format("2006-01-02 15:04")
}

func (s Style) paint(code, text string) string {
	if !s.Color || text == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (s Style) bold(text string) string { return s.paint("1", text) }
func (s Style) dim(text string) string  { return s.paint("2", text) }

// severity paints a finding's mark.
func (s Style) severity(sev efficiency.Severity, text string) string {
	switch sev {
	case efficiency.Critical:
		return s.paint("31;1", text)
	case efficiency.Warning:
		return s.paint("33", text)
	default:
		return s.paint("36", text)
	}
}

func (s Style) width() int {
	if s.Width <= 0 {
		return 80
	}
	return s.Width
}

// Bold paints a heading, where colours are allowed.
func (s Style) Bold(text string) string { return s.bold(text) }
