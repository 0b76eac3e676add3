package workprint

import (
	"path"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/ergon-hpc/ergon/shared/jobkey"
	"github.com/ergon-hpc/ergon/shared/mask"
	"github.com/ergon-hpc/ergon/shared/sbatch"
)

// word carries a print in what is kept of a submit line (Word): --ergon-arguments=DIGEST:1,2.5
const word = "--ergon-arguments="

// Word is how the arguments are kept where the submit line is not.
func (t Text) Word() string {
	var b strings.Builder
	b.WriteString(word + t.Digest)
	for i, n := range t.Numbers {
		b.WriteByte(":,"[min(i, 1)])
		b.WriteString(strconv.FormatFloat(n, 'g', -1, 64))
	}
	return b.String()
}

// OfLine is the print of the arguments behind the script in sacct's SubmitLine, or of the command of --wrap; of a line of which
// only the essence is kept it is what Word says. It is nil where the arguments are not known for certain: sacct joins words by
// blanks and quotes nothing, so that a text among the options hides where the script stands. name is the job's, which tells
// whether that of an option was one word.
func OfLine(line, name string) *Text {
	if strings.HasPrefix(line, "-") { // an essence names no program
		return kept(line)
	}
	words := strings.Fields(line)
	if len(words) == 0 || path.Base(words[0]) != "sbatch" || strings.HasSuffix(line, "+") { // sacct cut it
		return nil
	}
	parsed := sbatch.Parse(words[1:])
	if o, ok := parsed.Last("wrap"); ok {
		return command(words[1+o.First:])
	}
	for _, o := range parsed.Options {
		if !certain(o, name) {
			return nil
		}
	}
	options, arguments := words[1:], []string(nil)
	if at := parsed.Script; at >= 0 {
		options, arguments = words[1:at+2], words[at+2:]
		if !names(words[at+1]) || !parsed.Has("J", "job-name") && standsBehind(name, words[at+1:]) {
			return nil
		}
	}
	if strings.Contains(strings.Join(options, " "), mask.Masked) { // nobody knows of how many words
		return nil
	}
	return Arguments(strings.Join(arguments, " "))
}

// kept reads the word again.
func kept(line string) *Text {
	at := strings.LastIndex(line, word)
	if at < 0 || at > 0 && line[at-1] != ' ' {
		return nil
	}
	digest, list, some := strings.Cut(line[at+len(word):], ":")
	t := &Text{Digest: digest}
	for some && list != "" {
		var text string
		text, list, _ = strings.Cut(list, ",")
		n, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil
		}
		t.Numbers = append(t.Numbers, n)
	}
	if !t.Valid() {
		return nil
	}
	return t
}

// certain says that an option ends where it seems to: not one that holds a free text, and not one that is not known.
func certain(o sbatch.Option, name string) bool {
	switch o.Name {
	case "J", "job-name":
		return o.Value == name
	case "comment":
		_, own, err := jobkey.ParseTag(o.Value)
		return err == nil && own == ""
	case "export":
		return !strings.Contains(o.Value, "=")
	case "extra":
		return false
	}
	return len(o.Name) == 1 || sbatch.NeedsValue(o.Name) || sbatch.Plain(o.Name)
}

// names says that a word may be the name of a script, and not the second one of an option's value (-C "a & b", -J "fit 20").
func names(word string) bool {
	return strings.ContainsFunc(word, unicode.IsLetter) && !strings.ContainsAny(word, "&|*()[]<>%")
}

// standsBehind says that a job whose name is that of its script has it behind the word that seems to be one (-o "my log" job.sh).
func standsBehind(name string, words []string) bool {
	is := func(word string) bool { return path.Base(word) == name }
	return !is(words[0]) && slices.ContainsFunc(words[1:], is)
}

// command is the print of what follows --wrap. Options of sbatch may stand behind the command: their numbers are none of its.
func command(words []string) *Text {
	text := strings.Join(words, " ")
	text, found := strings.CutPrefix(text, "--wrap")
	if !found {
		return nil // abbreviated
	}
	t := Arguments(strings.TrimPrefix(text, "="))
	for _, w := range words[1:] {
		name, _, _ := strings.Cut(strings.TrimPrefix(w, "--"), "=")
		if strings.HasPrefix(w, "--") && (sbatch.NeedsValue(name) || sbatch.Plain(name)) {
			t.Numbers = nil
		}
	}
	return t
}
