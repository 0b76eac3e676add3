package gormstore

import (
	"context"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/ergon-hpc/ergon/controlplane/internal/audit"
)

type auditRow struct {
	ID         string
	Chain      string
	Seq        int64
	Version    int
	PrevHash   string
	Hash       string
	At         Time
	ActorKind  string
	ActorID    string
	Action     string
	Subject    string
	Outcome    string
	RequestID  string
	RemoteAddr string
	Detail     string
	Person     string
	Sealed     string
}

func (auditRow) TableName() string { return "audit" }

func (r auditRow) domain() audit.Row {
	return audit.Row{
		ID: r.ID, Chain: r.Chain, Seq: r.Seq, Version: r.Version, PrevHash: r.PrevHash, Hash: r.Hash, At: r.At.Time(), ActorKind: r.ActorKind,
		ActorID: r.ActorID, Action: r.Action, Subject: r.Subject, Outcome: r.Outcome, RequestID: r.RequestID, RemoteAddr: r.RemoteAddr,
		Detail: r.Detail, Person: r.Person, Sealed: r.Sealed,
	}
}

func newAuditRow(r audit.Row) auditRow {
	return auditRow{
		ID: r.ID, Chain: r.Chain, Seq: r.Seq, Version: r.Version, PrevHash: r.PrevHash, Hash: r.Hash, At: At(r.At), ActorKind: r.ActorKind,
		ActorID: r.ActorID, Action: r.Action, Subject: r.Subject, Outcome: r.Outcome, RequestID: r.RequestID, RemoteAddr: r.RemoteAddr,
		Detail: r.Detail, Person: r.Person, Sealed: r.Sealed,
	}
}

type auditHeadRow struct {
	Chain     string `gorm:"primaryKey"`
	Seq       int64
	Hash      string
	MAC       string `gorm:"column:mac"`
	UpdatedAt Time   `gorm:"autoUpdateTime:false"`
}

func (auditHeadRow) TableName() string { return "audit_heads" }

func (r auditHeadRow) domain() audit.Head {
	return audit.Head{Chain: r.Chain, Seq: r.Seq, Hash: r.Hash, MAC: r.MAC, At: r.UpdatedAt.Time()}
}

// AppendAudit inserts a row and moves the head of its chain.
func (s *Store) AppendAudit(ctx context.Context, r audit.Row, h audit.Head) error {
	row := newAuditRow(r)
	head := auditHeadRow{Chain: h.Chain, Seq: h.Seq, Hash: h.Hash, MAC: h.MAC, UpdatedAt: At(h.At)}
	return s.Tx(ctx, func(tx *gorm.DB) error {
		if err := tx.Create(&row).Error; err != nil {
			return err
		}
		return tx.Clauses(clause.OnConflict{UpdateAll: true, Columns: []clause.Column{{Name: "chain"}}}).Create(&head).Error
	})
}

// AuditChain reads rows of a chain in order.
func (s *Store) AuditChain(ctx context.Context, chain string, after int64, limit int) ([]audit.Row, error) {
	var rows []auditRow
	if err := s.q(ctx).Where("chain = ? AND seq > ?", chain, after).Order("seq").Limit(limit).Find(&rows).Error; err != nil {
		return nil, mapErr(err)
	}
	return mapRows(rows, auditRow.domain), nil
}

// AuditChains lists the chains.
func (s *Store) AuditChains(ctx context.Context) ([]string, error) {
	var chains []string
	err := s.q(ctx).Table("audit").Distinct().Order("chain").Pluck("chain", &chains).Error
	return chains, mapErr(err)
}

// AuditHeads reads heads, those that moved last first.
func (s *Store) AuditHeads(ctx context.Context, limit int) ([]audit.Head, error) {
	q := s.q(ctx).Order("updated_at DESC, chain")
	if limit > 0 {
		q = q.Limit(limit)
	}
	var rows []auditHeadRow
	if err := q.Find(&rows).Error; err != nil {
		return nil, mapErr(err)
	}
	return mapRows(rows, auditHeadRow.domain), nil
}

// AuditHead reads the head of a chain.
func (s *Store) AuditHead(ctx context.Context, chain string) (audit.Head, error) {
	var r auditHeadRow
	if err := s.q(ctx).Take(&r, "chain = ?", chain).Error; err != nil {
		return audit.Head{}, mapErr(err)
	}
	return r.domain(), nil
}

type auditKeyRow struct {
	Person    string `gorm:"primaryKey"`
	SealedKey string
	CreatedAt Time
}

func (auditKeyRow) TableName() string { return "audit_keys" }

// AuditKey reads the sealed key of a person.
func (s *Store) AuditKey(ctx context.Context, person string) (string, error) {
	var r auditKeyRow
	if err := s.q(ctx).Take(&r, "person = ?", person).Error; err != nil {
		return "", mapErr(err)
	}
	return r.SealedKey, nil
}

// InsertAuditKey stores a key where there is none.
func (s *Store) InsertAuditKey(ctx context.Context, person, sealed string, now time.Time) error {
	row := auditKeyRow{Person: person, SealedKey: sealed, CreatedAt: At(now)}
	return mapErr(s.q(ctx).Clauses(clause.OnConflict{DoNothing: true}).Create(&row).Error)
}

// DestroyAuditKey leaves an empty key.
func (s *Store) DestroyAuditKey(ctx context.Context, person string, now time.Time) error {
	row := auditKeyRow{Person: person, CreatedAt: At(now)}
	return mapErr(s.q(ctx).Clauses(clause.OnConflict{
		Columns: []clause.Column{{Name: "person"}}, DoUpdates: clause.AssignmentColumns([]string{"sealed_key"}),
	}).Create(&row).Error)
}
