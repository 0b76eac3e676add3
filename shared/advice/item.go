package advice

import "github.com/ergon-hpc/ergon/shared/efficiency"

// Kind is what an item is about.
type Kind string

// The kinds.
const (
	Memory Kind = "memory"
	CPUs   Kind = "cpus"
	Time   Kind = "time"
)

// Verdict says what to do.
type Verdict string

// The verdicts.
const (
	Cut     Verdict = "cut"     // ask for less
	Raise   Verdict = "raise"   // ask for more
	Keep    Verdict = "keep"    // the request fits
	Refused Verdict = "refused" // the data does not allow advice
)

// Reason says why a run does not count, or why advice is refused.
type Reason string

// The reasons.
const (
	NotCompleted Reason = "not_completed" // failed, cancelled, running
	OutOfMemory  Reason = "out_of_memory"
	Timeout      Reason = "timeout"
	Unmeasured   Reason = "unmeasured" // no number, or a lower bound
	Truncated    Reason = "truncated"  // a killed step, a hole, disagreeing sources
	PageCache    Reason = "page_cache" // file cache at the limit; of a refusal: more would be asked because of what may be cache
	Short        Reason = "short"      // too short to learn from
	SampledShort Reason = "sampled_short"
	OtherShape   Reason = "other_shape" // other nodes, CPUs, GPUs or numbers in the script
	// Only of refusals.
	TooFew       Reason = "too_few_runs"
	Spread       Reason = "spread"
	NotAsked     Reason = "not_asked"     // the job's own request is not known
	ShapeUnknown Reason = "shape_unknown" // tasks or threads is not known
	Beyond       Reason = "needed_more"   // a run that was stopped needed more than advice would give
	Outside      Reason = "outside"       // its numbers lie outside of those that the runs had
)

// RunReasons lists why runs may be left out, in the order of telling.
func RunReasons() []Reason {
	return []Reason{OutOfMemory, Timeout, NotCompleted, Short, SampledShort, Unmeasured, Truncated, PageCache, OtherShape}
}

// Item is the advice about one option.
type Item struct {
	Kind    Kind    `json:"kind"`
	Verdict Verdict `json:"verdict"`
	// Reason is set for refusals; Why is one sentence for the user in any case.
	Reason Reason `json:"reason,omitempty"`
	Why    string `json:"why"`
	// Directive is the option to set ("--mem=4G"); empty unless cut or raise.
	Directive string `json:"directive,omitempty"`
	// Current, Largest and Recommended are byte per node, CPUs, or seconds; 0 where not known.
	Current     float64 `json:"current"`
	Largest     float64 `json:"largest"`
	Recommended float64 `json:"recommended"`
	// Runs is how many clean runs count, Left out how many do not, by reason.
	Runs int            `json:"runs"`
	Left map[Reason]int `json:"left_out"`
	// Margin is Recommended / Largest before rounding; Risk the chance that the next run is larger than all that count,
	// 1 / (runs + 1), before the margin.
	Margin   float64 `json:"margin"`
	Risk     float64 `json:"risk"`
	RiskText string  `json:"risk_text,omitempty"`
	// Explained names the number that the runs' need follows, where they differ for that: Largest is then what the largest of
	// them would have needed with this job's number. Outlying is how many numbers of this job lie a little outside of those
	// that the runs had; each adds to the margin.
	Explained string `json:"explained_by,omitempty"`
	Outlying  int    `json:"outlying,omitempty"`
	// Saving is what a run would have held less.
	Saving efficiency.Wasted `json:"saving"`
}
