package efficiency

import "cmp"

// RuleTotal is one rule over many jobs: what a user should look at first.
type RuleTotal struct {
	Rule     Rule     `json:"rule"`
	Severity Severity `json:"severity"`
	// Jobs is the number of jobs with the finding.
	Jobs   int    `json:"jobs"`
	Wasted Wasted `json:"wasted"`
	// Worst names up to five jobs, the most wasteful first.
	Worst []string `json:"worst"`
	// Text and Change are those of the worst job.
	Text   string `json:"text"`
	Change string `json:"change"`
}

// SumFindings adds the findings of many jobs up by rule, the most wasteful first
// (core-seconds, then GPU-seconds, byte-seconds, jobs).
func SumFindings(reports []Report) []RuleTotal {
	var sum FindingAdder
	for i := range reports {
		sum.Add(&reports[i])
	}
	return sum.Rules()
}

func (w Wasted) plus(o Wasted) Wasted {
	return Wasted{CoreS: w.CoreS + o.CoreS, ByteS: w.ByteS + o.ByteS, GPUS: w.GPUS + o.GPUS, Joule: w.Joule + o.Joule}
}

func (w Wasted) compare(o Wasted) int {
	return cmp.Or(cmp.Compare(w.CoreS, o.CoreS), cmp.Compare(w.GPUS, o.GPUS), cmp.Compare(w.ByteS, o.ByteS))
}
