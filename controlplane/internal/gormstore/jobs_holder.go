package gormstore

import (
	"fmt"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/ergon-hpc/ergon/controlplane/internal/jobs"
)

// holderRow is one job's reporter with what is known of that agent.
type holderRow struct {
	JobID      string
	AgentID    string
	Told       bool
	LastSeenAt *Time
	RevokedAt  *Time
}

// loadHolders reads who reports the jobs that events are about. Accounting rows claim nothing.
func loadHolders(tx *gorm.DB, want jobs.Want, b *jobs.Book) error {
	if len(want.Events) == 0 {
		return nil
	}
	b.Holders = map[uuid.UUID]jobs.Holder{}
	for part := range chunks(texts(want.IDs)) {
		var rows []holderRow
		err := tx.Raw(`SELECT r.job_id, r.agent_id, r.told, a.last_seen_at, a.revoked_at FROM job_reporters AS r
			LEFT JOIN agents AS a ON a.id = r.agent_id WHERE r.job_id IN ?`, part).Scan(&rows).Error
		if err != nil {
			return fmt.Errorf("reading who reports the jobs: %w", err)
		}
		for _, r := range rows {
			id, err := uuid.Parse(r.JobID)
			if err != nil {
				return fmt.Errorf("reading who reports the jobs: %w", err)
			}
			b.Holders[id] = jobs.Holder{AgentID: r.AgentID, Told: r.Told, LastSeen: r.LastSeenAt.Ptr(), Revoked: r.RevokedAt != nil}
		}
	}
	return nil
}

func writeClaims(tx *gorm.DB, claims []jobs.Claim) error {
	for _, c := range claims {
		err := tx.Exec(`INSERT INTO job_reporters (job_id, agent_id, told, since) VALUES (?, ?, ?, ?)
			ON CONFLICT (job_id) DO UPDATE SET agent_id = excluded.agent_id, told = excluded.told, since = excluded.since`,
			c.JobID.String(), c.AgentID, c.Told, At(c.Since)).Error
		if err != nil {
			return fmt.Errorf("noting who reports a job: %w", err)
		}
	}
	return nil
}
