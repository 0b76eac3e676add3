package report

import (
	"strings"

	"github.com/ergon-hpc/ergon/shared/efficiency"
)

// reasonWords says each reason code in words; a test holds it to the closed list.
var reasonWords = map[efficiency.Reason]string{
	efficiency.UnmeasuredNodes:    "part of the nodes has no accounting",
	efficiency.KilledStep:         "a step was killed: Slurm loses the CPU time of its children",
	efficiency.PageCacheIncluded:  "cgroup v2 counts file cache as memory",
	efficiency.NoStepData:         "the steps carry no such data",
	efficiency.MissingField:       "the accounting lacks a column for it",
	efficiency.NeverStarted:       "the job never started",
	efficiency.Running:            "the job is still running",
	efficiency.Suspended:          "suspended time is left out",
	efficiency.SharedNode:         "other jobs ran on the same node, or may have",
	efficiency.ModelEstimate:      "from a power model, not measured",
	efficiency.ShortJob:           "shorter than the sampling can resolve",
	efficiency.PerTaskMaximum:     "largest task × number of tasks",
	efficiency.Unlimited:          "there is no time limit",
	efficiency.HardwareThreads:    "CPUs are hardware threads: 50 % is full use with one thread per core",
	efficiency.ClockGap:           "the series has gaps",
	efficiency.SourceDisagreement: "two sources disagree",
	efficiency.NoEnergyPlugin:     "Slurm measured no energy here",
	efficiency.BadJobID:           "the id is no Slurm job id",
	efficiency.Sampled:            "sampled: a short spike is missed",
	efficiency.OverLimit:          "more than was allocated",
	efficiency.ScriptUnknown:      "what the script itself asked for is not known",
	efficiency.KilledAtLimit:      "killed for lack of memory: it held more than was sampled",
	efficiency.MissingIntervals:   "the tariff does not cover all of the time",
	efficiency.NotApplicable:      "does not apply to this job",
}

// sourceWords says where a number was read, as a cluster's user would look for it.
var sourceWords = map[efficiency.Source]string{
	efficiency.SourceProfile:        "HDF5 profile",
	efficiency.SourceTRES:           "sacct TRESUsageInTot",
	efficiency.SourceTotalCPU:       "sacct TotalCPU of the steps",
	efficiency.SourceJobTotalCPU:    "sacct TotalCPU of the job",
	efficiency.SourceMaxRSS:         "sacct MaxRSS × NTasks",
	efficiency.SourceAllocTRES:      "sacct AllocTRES",
	efficiency.SourceElapsed:        "sacct Elapsed, Timelimit",
	efficiency.SourceConsumedEnergy: "sacct ConsumedEnergyRaw",
	efficiency.SourceSstat:          "sstat",
	efficiency.SourceJobstats:       "jobstats summary",
	efficiency.SourceModel:          "power model",
	efficiency.SourceLedger:         "ledger",
	efficiency.SourceMixed:          "several sources",
}

// boundWords qualifies a value: nothing for an exact one.
var boundWords = map[efficiency.Bound]string{
	efficiency.Exact:    "",
	efficiency.Upper:    "at most",
	efficiency.Lower:    "at least",
	efficiency.Estimate: "about",
}

// boundName is what the sources' list calls a bound.
func boundName(b efficiency.Bound) string {
	switch b {
	case efficiency.Upper:
		return "upper bound"
	case efficiency.Lower:
		return "lower bound"
	case efficiency.Estimate:
		return "estimate"
	default:
		return "exact"
	}
}

func reasonText(r efficiency.Reason) string {
	if text, known := reasonWords[r]; known {
		return text
	}
	return string(r)
}

func sourceText(s efficiency.Source) string {
	if text, known := sourceWords[s]; known {
		return text
	}
	return string(s)
}

func reasonTexts(reasons efficiency.Reasons) string {
	texts := make([]string, len(reasons))
	for i, r := range reasons {
		texts[i] = reasonText(r)
	}
	return strings.Join(texts, "; ")
}
