package mask

import (
	"strings"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/shared/jobkey"
)

// essential are the options of which the analysis asks whether they were given (shared/efficiency).
var essential = []string{"--exclusive", "--cpus-per-task", "--cpus-per-gpu", "--ntasks", "-c", "-n"}

// Essence is what of a submit line is needed to analyse the job: which options were given, without their values, and Ergon's tag.
func Essence(line string) string {
	out := Options(line)
	if id, err := jobkey.FindTag("", line); err == nil && id != uuid.Nil {
		out = strings.TrimPrefix(out+" --comment="+jobkey.Tag(id, ""), " ")
	}
	return out
}

// Options is the essence without the tag.
func Options(line string) string {
	var out []string
	for word := range strings.FieldsSeq(line) {
		for _, option := range essential {
			if strings.HasPrefix(word, option) || option == "--exclusive" && strings.Contains(word, option) {
				out = append(out, option)
				break
			}
		}
	}
	return strings.Join(out, " ")
}
