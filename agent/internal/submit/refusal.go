package submit

import "strings"

// submissionFailed is what sbatch prints before slurm_strerror's words (sbatch.c, 22.05 to 25.05).
const submissionFailed = "Batch job submission failed: "

// refusals are words of slurm_strerror with which slurmctld answers that it made no job (slurm_errno.c of 22.05), without
// case. The list is closed on purpose: what is not in it leaves open what happened. "Slurm internal error", "Unspecified
// error" and everything about sockets, timeouts and standby controllers is missing because it can follow an acceptance.
var refusals = [...]string{
	"invalid partition name specified", "no partition specified or system default partition",
	"user's group not permitted to use this partition", "requested nodes not in this partition",
	"more processors requested than permitted", "node count specification invalid",
	"requested node configuration is not available", "requested partition configuration not available now",
	"pathname of a file, directory or other parameter too long", "invalid account or account/partition combination specified",
	"job violates accounting/qos policy", "invalid qos specification", "requested time limit is invalid",
	"access denied to requested reservation", "requested reservation is invalid", "required node not available",
	"cpu count specification invalid", "required partition not available", "invalid generic resource (gres) specification",
	"duplicate generic resource (gres) specification", "invalid gres specification", "invalid job array specification",
	"invalid feature specification", "invalid preferred feature specification", "memory required by task is not available",
	"task count specification invalid", "task distribution specification invalid", "access/permission denied",
	"invalid user id", "invalid group id", "job dependency problem", "burst buffer permission denied", "burst buffer request invalid",
	"invalid license specification", "invalid trackable resource (tres) specification", "job size specification needs to be provided",
	"requested operation not supported on this system", "requested operation is presently disabled", "invalid wckey specification",
	"time limit specification required, but not provided", "requested account has breached requested qos usage threshold",
	"invalid node name specified", "job --batch option is invalid", "invalid time-min specification",
}

// unasked are sbatch's own complaints, after which it ends without having asked slurmctld.
var unasked = [...]string{
	"unable to open file ", "batch script is empty!", "batch script contains only whitespace!", "batch script contains dos line breaks",
	"this does not look like a batch script", "the slurm controller does not allow scripts that", "script arguments not permitted with --wrap option",
	"invalid directive found in batch script", "unrecognized option", "unrecognised option", "invalid option --", "requires an argument",
	"invalid --", "is not a valid time", "invalid time limit specification",
}

// doubtful are words after which nothing that follows is certain: an earlier try of the same sbatch may have been accepted.
var doubtful = [...]string{
	"timed out", "retrying", "unable to contact", "connect", "socket", "communication", "controller", "zero bytes", "message",
}

// refusedForCertain reads sbatch's stderr: true only when sbatch itself, or slurmctld, said that there is no job. A site's
// plugin may print anything before that, so every line counts, and any doubt wins.
func refusedForCertain(stderr string) bool {
	certain := false
	for line := range strings.Lines(stderr) {
		_, words, asked := strings.Cut(line, submissionFailed)
		switch words = strings.ToLower(strings.TrimSpace(words)); {
		case asked && startsWithAny(words, refusals[:]):
			certain = true
		case asked:
			return false
		case containsAny(strings.ToLower(line), unasked[:]) && strings.HasPrefix(line, "sbatch:"):
			certain = true
		case containsAny(strings.ToLower(line), doubtful[:]):
			return false
		}
	}
	return certain
}

func startsWithAny(text string, words []string) bool {
	for _, w := range words {
		if strings.HasPrefix(text, w) {
			return true
		}
	}
	return false
}

func containsAny(text string, words []string) bool {
	for _, w := range words {
		if strings.Contains(text, w) {
			return true
		}
	}
	return false
}
