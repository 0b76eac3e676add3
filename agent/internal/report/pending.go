package report

import "strings"

// pendingWords says Slurm's most common reasons of a waiting job in plain words (squeue man page, JOB REASON CODES).
var pendingWords = map[string]string{
	"None":                        "the scheduler has not looked at it yet",
	"Priority":                    "jobs of higher priority are before it",
	"Resources":                   "it is the next in line and waits for free resources",
	"Dependency":                  "it waits for another job to end",
	"DependencyNeverSatisfied":    "it waits for a job that failed, so it will never start: cancel it with scancel",
	"JobHeldUser":                 "you hold it: release it with scontrol release",
	"JobHeldAdmin":                "an administrator holds it: ask them",
	"BeginTime":                   "its start time has not come yet",
	"ReqNodeNotAvail":             "a node that it needs is down, drained or reserved",
	"Reservation":                 "its reservation has not begun",
	"PartitionDown":               "its partition is closed",
	"PartitionInactive":           "its partition is closed",
	"PartitionNodeLimit":          "it asks for more nodes than its partition allows: ask for fewer",
	"PartitionTimeLimit":          "it asks for more time than its partition allows: ask for less with --time",
	"PartitionConfig":             "its partition cannot give what it asks for: ask for less, or use another partition",
	"BadConstraints":              "no node has what it asks for: change the request",
	"Licenses":                    "it waits for a software license",
	"JobArrayTaskLimit":           "its array's own limit of running tasks (%) is reached",
	"QOSMaxJobsPerUserLimit":      "you have as many jobs running as your QOS allows",
	"QOSMaxCpuPerUserLimit":       "your jobs use as many CPUs as your QOS allows",
	"QOSMaxGRESPerUser":           "your jobs use as many GPUs as your QOS allows",
	"QOSMaxSubmitJobPerUserLimit": "you have as many jobs waiting as your QOS allows",
	"QOSJobLimit":                 "the QOS has as many jobs running as it allows",
	"QOSResourceLimit":            "the QOS has given out all it may",
	"QOSTimeLimit":                "it asks for more time than its QOS allows",
	"QOSGrpCpuLimit":              "the QOS group uses as many CPUs as it may",
	"QOSGrpMemLimit":              "the QOS group uses as much memory as it may",
	"QOSUsageThreshold":           "the QOS usage threshold is reached",
	"AssociationJobLimit":         "your account has as many jobs running as it may",
	"AssociationResourceLimit":    "your account uses all it may",
	"AssociationTimeLimit":        "your account's time limit is too short for it",
	"AssocMaxJobsLimit":           "you have as many jobs running as your account allows",
	"AssocGrpCpuLimit":            "your account uses as many CPUs as it may",
	"AssocGrpMemLimit":            "your account uses as much memory as it may",
	"AssocGrpGRES":                "your account uses as many GPUs as it may",
	"AssocGrpCPUMinutesLimit":     "your account has used up its CPU minutes: ask for more budget",
	"AssocGrpBillingMinutes":      "your account has used up its budget",
	"AccountNotAllowed":           "your account may not use this partition",
	"InvalidAccount":              "its account does not exist: submit it again with a right --account",
	"InvalidQOS":                  "its QOS does not exist: submit it again with a right --qos",
	"NodeDown":                    "a node that it needs is down",
	"Cleaning":                    "its former run is being cleaned up",
	"Prolog":                      "the node is being prepared",
	"launch failed requeued held": "it could not be launched and is held: look at its settings, then scontrol release",
	"job requeued in held state":  "it was requeued and is held: scontrol release starts it again",
}

// Pending says in plain words why a job waits; a reason that is not known is given as Slurm's own word.
func Pending(reason string) string {
	reason = strings.Trim(strings.TrimSpace(reason), "()")
	word, _, _ := strings.Cut(reason, ",") // ReqNodeNotAvail, UnavailableNodes:n1
	if text, known := pendingWords[word]; known {
		return text
	}
	if reason == "" {
		return pendingWords["None"]
	}
	return "Slurm says " + reason + " (see: man squeue, JOB REASON CODES)"
}
