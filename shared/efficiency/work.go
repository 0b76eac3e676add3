package efficiency

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"strings"

	"github.com/ergon-hpc/ergon/shared/slurmfmt"
)

var (
	// Snakemake's Slurm executor names jobs by the UUID of its run and puts the rule into the comment.
	runName   = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)
	ruleMark  = regexp.MustCompile(`(?:^|[\s='":|;])rule_([A-Za-z0-9_.-]+)`)
	wildcards = regexp.MustCompile(`_wildcards_.*$`)
	numbers   = regexp.MustCompile(`[0-9]+(\.[0-9]+)?`)
)

// workOf says what a job does where its name is that of a whole workflow, or of every sbatch --wrap.
func workOf(r *slurmfmt.Record) string {
	switch name := r.Get("JobName"); {
	case runName.MatchString(name):
		for _, column := range []string{"Comment", "SubmitLine"} {
			if m := ruleMark.FindStringSubmatch(r.Get(column)); m != nil {
				return "snakejob." + wildcards.ReplaceAllString(m[1], "")
			}
		}
	case name == "wrap":
		return wrapOf(r.Get("SubmitLine"))
	}
	return ""
}

// wrapOf is a digest of the command without its numbers: the command itself may hold what nobody should read in a report.
func wrapOf(line string) string {
	_, command, found := strings.Cut(line, " --wrap")
	command = strings.TrimSpace(strings.TrimPrefix(command, "="))
	if !found || command == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(numbers.ReplaceAllString(command, "#")))
	return "wrap." + hex.EncodeToString(sum[:6])
}
