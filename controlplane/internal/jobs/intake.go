package jobs

import (
	"strings"

	"github.com/ergon-hpc/ergon/shared/mask"
	"github.com/ergon-hpc/ergon/shared/slurmfmt"
	"github.com/ergon-hpc/ergon/shared/workprint"
)

// Intake is what a site leaves out of accounting before it is stored. The zero value leaves out environments and scripts only;
// secrets in free text are always masked.
type Intake struct {
	// NoStrangers leaves out jobs of people without an account.
	NoStrangers bool
	// NoSubmitLine keeps of submit lines only which options were given that the analysis asks for, Ergon's tag, and the print of
	// the script's arguments (package workprint).
	NoSubmitLine bool
	// NoWorkDir leaves out directories, and paths of stdin, stdout and stderr.
	NoWorkDir bool
	// NoJobName leaves out names of jobs and steps: advice then knows a user's runs by their account, partition and sizes only.
	NoJobName bool
}

// Intake sets what is left out. Only before the first call of anything else.
func (s *Service) Intake(i Intake) { s.intake = i }

// treatment is what becomes of the text of a column; name is the job's.
type treatment func(text, name string) string

func drop(_, _ string) string { return "" }

func masked(text, _ string) string { return mask.Text(text) }

// maskComment leaves the payload of jobstats alone: it is base64 of numbers.
func maskComment(text, _ string) string {
	if strings.HasPrefix(text, "JS1:") {
		return text
	}
	return mask.Text(text)
}

// essence is what is kept of a submit line.
func essence(line, name string) string {
	kept := mask.Essence(line)
	if arguments := workprint.OfLine(line, name); arguments != nil {
		kept = strings.TrimPrefix(kept+" "+arguments.Word(), " ")
	}
	return kept
}

// treat says what becomes of a column; nil is nothing.
func (i Intake) treat(column string) treatment {
	switch strings.ToLower(column) {
	case "environment", "environ", "env", "envvars", "script", "batchscript", "jobscript":
		return drop
	case "submitline":
		if i.NoSubmitLine {
			return essence
		}
		return masked
	case "workdir", "stdin", "stdout", "stderr":
		if i.NoWorkDir {
			return drop
		}
		return masked
	case "jobname":
		if i.NoJobName {
			return drop
		}
		return masked
	case "comment", "admincomment", "systemcomment", "extra", "container", "command":
		return maskComment
	}
	return nil
}

// cleaner applies an intake to records; those of one batch mostly share their columns.
type cleaner struct {
	intake  Intake
	columns *slurmfmt.Columns
	treat   []treatment
}

func (c *cleaner) clean(r *slurmfmt.Record) *slurmfmt.Record {
	if c.columns != r.Columns() {
		c.columns, c.treat = r.Columns(), nil
		for _, name := range r.Columns().Names() {
			c.treat = append(c.treat, c.intake.treat(name))
		}
	}
	name := r.Get("JobName")
	for i, fn := range c.treat {
		if text := r.At(i); fn != nil && text != "" {
			if kept := fn(text, name); kept != text {
				r = r.Replaced(i, kept)
			}
		}
	}
	return r
}

// stranger says that a site that takes only people with an account does not take this one.
func (b *Book) stranger(uid *int64, name string) bool {
	if !b.intake.NoStrangers || b.who.Owner != nil {
		return false
	}
	if uid == nil {
		_, known := b.Names[name]
		return !known
	}
	l, known := b.Links[*uid]
	return !known || l.UnixName != name
}

// cleanSnapshot does for what agents say what clean does for accounting.
func (i Intake) cleanSnapshot(s *Snapshot) {
	s.Name, s.Reason = i.treat("JobName")(s.Name, s.Name), mask.Text(s.Reason)
}
