package daemon

import (
	"time"

	"github.com/ergon-hpc/ergon/agent/internal/track"
)

// Ages are waits that no site can set and that only crash tests shorten; 0 is the product's.
type Ages struct {
	// Result is track.Timing.ResultGrace, Absent AbsenceProof, Lost LostAfter, Kept KeptFor, Overlap Overlap.
	Result, Absent, Lost, Kept, Overlap time.Duration
	// Prune is when old jobs are forgotten first, and how often.
	Prune time.Duration
}

func (o Options) timing() track.Timing {
	return track.Timing{
		ResultGrace: o.Ages.Result, AbsenceProof: o.Ages.Absent, LostAfter: o.Ages.Lost, KeptFor: o.Ages.Kept, Overlap: o.Ages.Overlap,
		Lookback: o.Config.Accounting.Lookback, WindowEvery: o.Config.Accounting.WindowEvery, Settle: o.Config.Uploads.Settle,
	}
}
