package efficiency

// Ledger is the account of each resource of a job or of any group of jobs. A
// resource whose allocation is not known is null.
type Ledger struct {
	// CoreS is in core-seconds (CPU-seconds as allocated).
	CoreS *Account `json:"core_s"`
	// ByteS is in byte-seconds; used = peak × elapsed, so its bound is upper.
	ByteS *Account `json:"byte_s"`
	// GPUS is in GPU-seconds.
	GPUS *Account `json:"gpu_s"`
	// Joule is in joules.
	Joule *Account `json:"joule"`
}

// Account is one balance. All fields are ≥ 0, and
//
//	Allocated + Overuse = Used + Idle + Forced + Lost + Unmeasured
//
// holds exactly in float64, in any order of summation: all amounts are multiples of
// one power of two small enough for that.
type Account struct {
	Allocated float64 `json:"allocated"`
	// Overuse is what was used beyond the allocation (grace time, escaped threads).
	Overuse float64 `json:"overuse"`
	Used    float64 `json:"used"`
	Idle    float64 `json:"idle"`
	// Forced is idle capacity that the site's rules made the job take: never the user's waste.
	Forced float64 `json:"forced"`
	// Lost is the whole of failed attempts.
	Lost float64 `json:"lost"`
	// Unmeasured is capacity about which there is no data.
	Unmeasured float64 `json:"unmeasured"`
	// LostBy splits Lost by cause; the parts add up to Lost exactly.
	LostBy map[Cause]float64 `json:"lost_by"`
	// Bound is the bound of Used.
	Bound Bound `json:"bound"`
}

// Cause says why an attempt was lost.
type Cause string

// The closed list of causes.
const (
	CauseOOM        Cause = "oom"
	CauseTimeout    Cause = "timeout"
	CauseNodeFail   Cause = "node_failure"
	CausePreemption Cause = "preemption"
	CauseRequeue    Cause = "requeue"
	// CauseUser covers a non-zero exit, a crash by signal and cancelling.
	CauseUser Cause = "user_error"
)
