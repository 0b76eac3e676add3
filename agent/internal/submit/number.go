package submit

import (
	"bytes"
	"strings"
)

const (
	submitted = "Submitted batch job "
	onCluster = " on cluster "
	maxDigits = 20
)

// jobNumber finds what sbatch prints on a line of its own: "Submitted batch job 7", "Submitted batch job 7 on cluster x",
// or with --parsable "7" or "7;x". It is "" when there is none, or, because a site's wrapper prints more, several: the
// tag tells then. No regexp: compiling one costs each submission more than reading the answer.
func jobNumber(stdout []byte) string {
	found := ""
	for line := range bytes.Lines(stdout) {
		n := lineNumber(strings.TrimSuffix(strings.TrimSuffix(string(line), "\n"), "\r"))
		if n == "" {
			continue
		}
		if found != "" {
			return ""
		}
		found = n
	}
	return found
}

func lineNumber(line string) string {
	line = strings.TrimPrefix(line, submitted)
	end := strings.IndexFunc(line, func(r rune) bool { return r < '0' || r > '9' })
	if end < 0 {
		end = len(line)
	}
	number, rest := line[:end], line[end:]
	if number == "" || len(number) > maxDigits || !clusterName(rest) {
		return ""
	}
	return number
}

// clusterName says that nothing follows the number but the name of a cluster.
func clusterName(rest string) bool {
	if rest == "" {
		return true
	}
	name, parsable := strings.CutPrefix(rest, ";")
	if !parsable {
		var human bool
		if name, human = strings.CutPrefix(rest, onCluster); !human {
			return false
		}
	}
	return name != "" && !strings.ContainsAny(name, " \t\r\n\v\f")
}
