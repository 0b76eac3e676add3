package efficiency

import (
	"regexp"

	"github.com/ergon-hpc/ergon/shared/slurmfmt"
	"github.com/ergon-hpc/ergon/shared/workprint"
)

var (
	// Snakemake's Slurm executor names jobs by the UUID of its run and puts the rule into the comment.
	runName   = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)
	ruleMark  = regexp.MustCompile(`(?:^|[\s='":|;])rule_([A-Za-z0-9_.-]+)`)
	wildcards = regexp.MustCompile(`_wildcards_.*$`)
)

// workOf says what a job does where its name is that of a whole workflow, or of every sbatch --wrap, of which arguments is the
// print of the command.
func workOf(r *slurmfmt.Record, arguments *workprint.Text) string {
	switch name := r.Get("JobName"); {
	case runName.MatchString(name):
		for _, column := range []string{"Comment", "SubmitLine"} {
			if m := ruleMark.FindStringSubmatch(r.Get(column)); m != nil {
				return "snakejob." + wildcards.ReplaceAllString(m[1], "")
			}
		}
	case name == "wrap" && arguments != nil && !arguments.Empty():
		return "wrap." + arguments.Digest[:12]
	}
	return ""
}
