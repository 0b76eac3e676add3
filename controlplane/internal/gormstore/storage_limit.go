package gormstore

import (
	"context"
	"fmt"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
	"github.com/ergon-hpc/ergon/controlplane/internal/identity"
	"github.com/ergon-hpc/ergon/controlplane/internal/storage"
)

// ruleRow is a quota that a site gave.
type ruleRow struct {
	Scope                    string `gorm:"primaryKey"`
	Subject                  string `gorm:"primaryKey"`
	LimitBytes, LimitObjects int64
}

// TableName of quota_rules.
func (ruleRow) TableName() string { return "quota_rules" }

// SetRule gives a limit. What is used or reserved already stays, also above a lower limit.
func (st Storage) SetRule(ctx context.Context, r storage.Rule) error {
	row := ruleRow{Scope: string(r.Scope), Subject: r.Subject, LimitBytes: r.Limit.Bytes, LimitObjects: r.Limit.Objects}
	return st.s.Tx(ctx, func(tx *gorm.DB) error {
		err := tx.Clauses(clause.OnConflict{
			Columns:   []clause.Column{{Name: "scope"}, {Name: "subject"}},
			DoUpdates: clause.AssignmentColumns([]string{"limit_bytes", "limit_objects"}),
		}).Create(&row).Error
		if err != nil {
			return fmt.Errorf("setting a quota: %w", err)
		}
		return nil
	})
}

// DropRule takes a limit back, so that the next rule holds. NotFound when there is none.
func (st Storage) DropRule(ctx context.Context, scope storage.Scope, subject string) error {
	return st.s.Tx(ctx, func(tx *gorm.DB) error {
		res := tx.Where("scope = ? AND subject = ?", string(scope), subject).Delete(&ruleRow{})
		if res.Error == nil && res.RowsAffected == 0 {
			return apperr.New(apperr.NotFound, "no quota was set there").WithHint("`ergon-server admin quota list` shows all that are set")
		}
		return res.Error
	})
}

// rulesWithNames joins what people call the subjects.
const rulesWithNames = `SELECT r.scope AS scope, r.subject AS subject, r.limit_bytes AS limit_bytes, r.limit_objects AS limit_objects,
	COALESCE(u.username, c.name, r.subject) AS name FROM quota_rules r
	LEFT JOIN users u ON r.scope = 'user' AND u.id = r.subject
	LEFT JOIN clusters c ON r.scope = 'cluster' AND c.id = r.subject`

type namedRule struct {
	Scope, Subject, Name     string
	LimitBytes, LimitObjects int64
}

func (r namedRule) rule() storage.Rule {
	return storage.Rule{
		Scope: storage.Scope(r.Scope), Subject: r.Subject, Name: r.Name, Limit: storage.Limit{Bytes: r.LimitBytes, Objects: r.LimitObjects},
	}
}

// Rules lists every limit that was given.
func (st Storage) Rules(ctx context.Context) ([]storage.Rule, error) {
	var rows []namedRule
	if err := st.s.q(ctx).Raw(rulesWithNames + " ORDER BY r.scope, r.subject").Scan(&rows).Error; err != nil {
		return nil, mapErr(err)
	}
	return mapRows(rows, namedRule.rule), nil
}

// ruleInForce reads the rules that fit an account and chooses.
func ruleInForce(tx *gorm.DB, userID string, site storage.Limit) (storage.Rule, error) {
	var rows []namedRule
	err := tx.Raw(rulesWithNames+` WHERE r.scope = 'user' AND r.subject = ?
		OR r.scope = 'role' AND r.subject = (SELECT role FROM users WHERE id = ?)
		OR r.scope = 'cluster' AND r.subject IN (SELECT cluster_id FROM links WHERE user_id = ? AND suspended_at IS NULL)`,
		userID, userID, userID).Scan(&rows).Error
	if err != nil {
		return storage.Rule{}, fmt.Errorf("reading quotas: %w", err)
	}
	return storage.InForce(mapRows(rows, namedRule.rule), site), nil
}

// Standing reads what an account stores and which limit holds for it.
func (st Storage) Standing(ctx context.Context, userID string, site storage.Limit) (storage.Standing, error) {
	rule, err := ruleInForce(st.s.q(ctx), userID, site)
	if err != nil {
		return storage.Standing{}, mapErr(err)
	}
	var q quotaRow
	if err := st.s.q(ctx).Limit(1).Find(&q, "user_id = ?", userID).Error; err != nil {
		return storage.Standing{}, mapErr(err)
	}
	return storage.Standing{Tally: q.tally(), Rule: rule}, nil
}

// SiteQuotas tells identity what accounts store, with the limits that hold at this site.
type SiteQuotas struct {
	st   Storage
	site storage.Limit
}

var _ identity.QuotaStore = SiteQuotas{}

// SiteQuotas reads quotas; site is the limit of accounts for which no rule holds.
func (st Storage) SiteQuotas(site storage.Limit) SiteQuotas { return SiteQuotas{st: st, site: site} }

// QuotaOf is also known of an account that never stored anything.
func (q SiteQuotas) QuotaOf(ctx context.Context, userID string) (identity.Quota, error) {
	s, err := q.st.Standing(ctx, userID, q.site)
	return identity.Quota{
		UsedBytes: s.UsedBytes, ReservedBytes: s.ReservedBytes, LimitBytes: s.Rule.Limit.Bytes,
		UsedObjects: s.UsedObjects, ReservedObjects: s.ReservedObjects, LimitObjects: s.Rule.Limit.Objects,
		LimitFrom: string(s.Rule.Scope), LimitName: s.Rule.Name,
	}, err
}

// LargestJobs gives the jobs of an account whose outputs take the most.
func (q SiteQuotas) LargestJobs(ctx context.Context, userID string, limit int) ([]storage.JobStanding, error) {
	var rows []struct {
		Row        jobQuotaRow `gorm:"embedded"`
		SlurmJobID string
	}
	err := q.st.s.q(ctx).Raw(`SELECT b.*, j.slurm_job_id AS slurm_job_id FROM job_quotas b JOIN jobs j ON j.id = b.job_id
		WHERE j.user_id = ? AND b.used_objects + b.reserved_objects > 0
		ORDER BY b.used_bytes + b.reserved_bytes DESC, b.job_id LIMIT ?`, userID, limit).Scan(&rows).Error
	list := make([]storage.JobStanding, 0, len(rows))
	for _, r := range rows {
		list = append(list, storage.JobStanding{Tally: r.Row.tally(), JobID: r.Row.JobID, SlurmJobID: r.SlurmJobID})
	}
	return list, mapErr(err)
}
