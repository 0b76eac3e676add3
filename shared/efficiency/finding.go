package efficiency

// Rule is the id of a finding's rule.
type Rule string

// The rules.
const (
	RuleIdleGPU            Rule = "idle_gpu"
	RuleIdleNode           Rule = "idle_node"
	RuleSerialOnManyCores  Rule = "serial_on_many_cores"
	RuleMemoryOver         Rule = "memory_over_requested"
	RuleTimeOver           Rule = "time_over_requested"
	RuleMemoryNearLimit    Rule = "memory_near_limit"
	RuleOutOfMemory        Rule = "out_of_memory"
	RuleTimeout            Rule = "timeout"
	RuleFragmentation      Rule = "node_fragmentation"
	RuleCoresPerGPU        Rule = "too_many_cores_per_gpu"
	RuleMemoryPerGPU       Rule = "too_much_memory_per_gpu"
	RuleImbalance          Rule = "imbalance"
	RuleOversubscription   Rule = "oversubscription"
	RuleMemoryLeak         Rule = "memory_leak_slope"
	RuleTooShort           Rule = "too_short_job"
	RuleSourceDisagreement Rule = "source_disagreement"
	RulePageCache          Rule = "page_cache_suspected"
	RuleUnmeasured         Rule = "unmeasured_nodes"
	RuleLowGPU             Rule = "low_gpu_utilization"
	RuleTariffGap          Rule = "tariff_gap"
)

// Severity orders findings.
type Severity string

// Critical: work was lost. Warning: much was wasted or nearly lost. Info: worth knowing.
const (
	Critical Severity = "critical"
	Warning  Severity = "warning"
	Info     Severity = "info"
)

// Finding is one thing worth telling the user about a job.
type Finding struct {
	Rule     Rule     `json:"rule"`
	Severity Severity `json:"severity"`
	// Text is for the user, in plain language.
	Text string `json:"text"`
	// Change says what to do; empty when there is nothing safe to advise.
	Change string `json:"change"`
	// Evidence holds the numbers that the rule saw, by name with unit, and as
	// threshold_NAME the limits that it compared them with.
	Evidence map[string]any `json:"evidence"`
	// Wasted is what following the advice would have saved.
	Wasted Wasted `json:"wasted"`
	// Directive is the #SBATCH option of the change ("--mem=4G"), empty when none.
	Directive string `json:"directive,omitempty"`
	// Risk says what can go wrong when the directive is followed.
	Risk string `json:"risk,omitempty"`
}

// Wasted is an amount per resource; zero means none of that resource.
type Wasted struct {
	CoreS float64 `json:"core_s"`
	ByteS float64 `json:"byte_s"`
	GPUS  float64 `json:"gpu_s"`
	Joule float64 `json:"joule"`
}

// Action is one change to the job script.
type Action struct {
	// Line is a complete directive: "#SBATCH --mem=4G".
	Line string `json:"line"`
	// Why is one plain sentence.
	Why string `json:"why"`
	// Risk says what can go wrong.
	Risk string `json:"risk,omitempty"`
	Rule Rule   `json:"rule"`
}
