package jobs

import (
	"time"

	"github.com/google/uuid"
)

// Holder is the agent that reports a job. Several agents of a cluster see the same job in squeue; one of them tells of it
// and uploads its outputs.
type Holder struct {
	AgentID string
	// Told says that the job's wrapper spoke to this agent, which therefore knows what was declared.
	Told bool
	// LastSeen is when the agent was heard last; nil for never. Revoked agents are not heard again.
	LastSeen *time.Time
	Revoked  bool
}

// HolderPatience is how long a holder may be silent before another agent takes its jobs over. It is longer than an access
// token lives, so that what a dead agent had on its way cannot arrive behind the take-over, and much longer than the 20 s
// after which a living agent asks for its links.
const HolderPatience = 15 * time.Minute

// gone says that nothing more comes from the holder.
func (h Holder) gone(now time.Time) bool {
	return h.Revoked || h.LastSeen == nil || now.Sub(*h.LastSeen) > HolderPatience
}

// claim gives the job to the reporter when nobody holds it, when its holder is gone, or when the reporter was told by the
// wrapper and the holder found the job by its tag. false: another agent keeps it.
func (b *Book) claim(r Report) bool {
	if b.who.AgentID == "" {
		return true // not an agent: it uploads nothing
	}
	if h, held := b.Holders[r.JobID]; held && (h.Told || !r.Told) { // the report is no better claim
		if h.AgentID == b.who.AgentID {
			return true
		}
		if !h.gone(b.now) {
			return false
		}
	}
	if b.Holders == nil {
		b.Holders = map[uuid.UUID]Holder{}
	}
	b.Holders[r.JobID] = Holder{AgentID: b.who.AgentID, Told: r.Told, LastSeen: &b.now}
	b.Claims = append(b.Claims, Claim{JobID: r.JobID, AgentID: b.who.AgentID, Told: r.Told, Since: b.now})
	return true
}

// Claim is a job that has got a new holder.
type Claim struct {
	JobID   uuid.UUID
	AgentID string
	Told    bool
	Since   time.Time
}
