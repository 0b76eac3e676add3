package submit

import (
	"fmt"
	"path"
	"strings"

	"github.com/ergon-hpc/ergon/shared/sbatch"
	"github.com/ergon-hpc/ergon/shared/workprint"
)

// directives are what a script asks of Ergon, and of sbatch where we must know it.
type directives struct {
	// found says that there is at least one #ERGON line.
	found   bool
	inputs  []string
	outputs []string
	scratch bool
	export  bool
	// comment and exports are values of #SBATCH lines; has* say whether they are there.
	comment, exports       string
	hasComment, hasExports bool
	// print is that of the whole script, nil where only a part of it was read.
	print *workprint.Text
	// faults are lines that could not be understood, in words for the user. They never stop a submission.
	faults []string
}

const (
	ergonPrefix  = "#ERGON"
	sbatchPrefix = "#SBATCH"
	maxFaults    = 10
)

// readDirectives reads the head of a script: like sbatch it stops at the first command. complete says that the head
// ended before the text did, or that the text is the whole script.
func readDirectives(script string, whole bool) (d directives, complete bool) {
	number := 0
	for rest := script; rest != ""; {
		line, tail, ended := strings.Cut(rest, "\n")
		if !ended && !whole {
			return d, false // the line may go on
		}
		number++
		line, rest = strings.TrimSuffix(line, "\r"), tail
		switch {
		case after(line, ergonPrefix):
			d.ergon(number, line[len(ergonPrefix):])
		case after(line, sbatchPrefix):
			d.sbatch(line[len(sbatchPrefix):])
		case strings.TrimSpace(line) == "" || line[0] == '#':
		default:
			return d, true
		}
	}
	return d, whole
}

// after says that a line is a directive: the prefix, then nothing or white space.
func after(line, prefix string) bool {
	rest, ok := strings.CutPrefix(line, prefix)
	return ok && (rest == "" || rest[0] == ' ' || rest[0] == '\t')
}

func (d *directives) fault(number int, format string, args ...any) {
	if len(d.faults) < maxFaults {
		d.faults = append(d.faults, fmt.Sprintf("line %d: ", number)+fmt.Sprintf(format, args...))
	}
}

func (d *directives) ergon(number int, text string) {
	d.found = true
	words, err := splitWords(text)
	if err != nil {
		d.fault(number, "%v", err)
		return
	}
	for _, word := range words {
		if strings.HasPrefix(word, "#") {
			return // a comment behind the directive
		}
		key, value, has := strings.Cut(word, "=")
		switch {
		case key == "inputs" && value != "":
			d.inputs = append(d.inputs, list(value)...)
		case key == "outputs" && value != "":
			for _, glob := range list(value) {
				d.output(number, glob)
			}
		case key == "scratch" && !has:
			d.scratch = true
		case key == "export" && !has:
			d.export = true
		case key == "inputs" || key == "outputs":
			d.fault(number, "%s= needs names, as in #ERGON %s=result.nc,logs/*.txt", key, key)
		case key == "scratch" || key == "export":
			d.fault(number, "%s takes no value", key)
		default:
			d.fault(number, "%q is no directive; there are inputs=…, outputs=…, scratch and export", clip(word))
		}
	}
}

// output takes a glob that stays below the job's directory.
func (d *directives) output(number int, glob string) {
	if path.IsAbs(glob) || glob == ".." || strings.HasPrefix(glob, "../") || strings.Contains(glob, "/../") || strings.HasSuffix(glob, "/..") {
		d.fault(number, "outputs=%q leaves the job's directory; write to $ERGON_OUTPUT_DIR and name files below it", clip(glob))
		return
	}
	if _, err := path.Match(glob, ""); err != nil {
		d.fault(number, "outputs=%q is no valid pattern", clip(glob))
		return
	}
	d.outputs = append(d.outputs, glob)
}

// sbatch keeps what of sbatch's own options our arguments would override.
func (d *directives) sbatch(text string) {
	words, err := splitWords(text)
	if err != nil {
		return // sbatch will say so itself
	}
	line := sbatch.Parse(words)
	if o, ok := line.Last("comment"); ok && o.Has {
		d.comment, d.hasComment = o.Value, true
	}
	if o, ok := line.Last("export"); ok && o.Has {
		d.exports, d.hasExports = o.Value, true
	}
}

func list(value string) []string {
	var out []string
	for part := range strings.SplitSeq(value, ",") {
		if part != "" {
			out = append(out, part)
		}
	}
	return out
}

// splitWords splits at white space; quotes and backslashes protect it, as in a shell.
func splitWords(text string) ([]string, error) {
	var words []string
	var word strings.Builder
	var quote byte
	open := false
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case quote == 0 && (c == ' ' || c == '\t'):
			if open {
				words = append(words, word.String())
				word.Reset()
				open = false
			}
			continue
		case quote == 0 && (c == '"' || c == '\''):
			quote = c
		case quote != 0 && c == quote:
			quote = 0
		case c == '\\' && quote != '\'' && i+1 < len(text):
			i++
			word.WriteByte(text[i])
		default:
			word.WriteByte(c)
		}
		open = true
	}
	if quote != 0 {
		return nil, fmt.Errorf("a quote (%c) is not closed", quote)
	}
	if open {
		words = append(words, word.String())
	}
	return words, nil
}

// clip shortens foreign text for a message.
func clip(s string) string {
	const most = 80
	if len(s) <= most {
		return s
	}
	return s[:most] + "…"
}
