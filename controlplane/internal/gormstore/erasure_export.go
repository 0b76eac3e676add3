package gormstore

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"gorm.io/gorm"

	"github.com/ergon-hpc/ergon/controlplane/internal/erasure"
)

type exportRow struct {
	ID        string `gorm:"primaryKey"`
	UserID    string
	Status    string
	ObjectKey string
	SizeBytes int64
	Sha256    string
	LastError string
	ExpiresAt Time
	CreatedAt Time `gorm:"autoCreateTime:false"`
	UpdatedAt Time `gorm:"autoUpdateTime:false"`
}

// TableName of exports.
func (exportRow) TableName() string { return "exports" }

func (r exportRow) domain() erasure.Export {
	return erasure.Export{
		ID: r.ID, UserID: r.UserID, Status: erasure.Status(r.Status), Key: r.ObjectKey, SizeBytes: r.SizeBytes, SHA256: r.Sha256,
		LastError: r.LastError, ExpiresAt: r.ExpiresAt.Time(), CreatedAt: r.CreatedAt.Time(), UpdatedAt: r.UpdatedAt.Time(),
	}
}

// BeginExport locks the user's quota row, so that one of two that ask at once makes it.
func (st Erasures) BeginExport(ctx context.Context, e erasure.Export, fresh time.Time) (erasure.Export, error) {
	row := exportRow{
		ID: e.ID, UserID: e.UserID, Status: string(e.Status), ObjectKey: e.Key, ExpiresAt: At(e.ExpiresAt), CreatedAt: At(e.CreatedAt), UpdatedAt: At(e.UpdatedAt),
	}
	err := st.s.Tx(ctx, func(tx *gorm.DB) error {
		if err := lockQuota(tx, e.UserID, st.site); err != nil {
			return err
		}
		if err := checkEnabled(tx, e.UserID); err != nil {
			return err
		}
		var known []exportRow
		err := tx.Where("user_id = ? AND (status = ? OR status = ? AND created_at > ?)", e.UserID, string(erasure.Due), string(erasure.Ready), At(fresh)).
			Order("created_at DESC").Limit(1).Find(&known).Error
		if err != nil || len(known) > 0 {
			if len(known) > 0 {
				row = known[0]
			}
			return err
		}
		return tx.Create(&row).Error
	})
	return row.domain(), err
}

// Export finds one.
func (st Erasures) Export(ctx context.Context, id string) (erasure.Export, error) {
	var row exportRow
	err := st.s.q(ctx).Take(&row, "id = ?", id).Error
	return row.domain(), mapErr(err)
}

// OpenExports gives what there is to do.
func (st Erasures) OpenExports(ctx context.Context, now time.Time, limit int) ([]erasure.Export, error) {
	var rows []exportRow
	err := st.s.q(ctx).Where("status = ? OR status = ? AND expires_at <= ?", string(erasure.Due), string(erasure.Ready), At(now)).
		Order("created_at, id").Limit(limit).Find(&rows).Error
	return mapRows(rows, exportRow.domain), mapErr(err)
}

// SaveExport writes what changes.
func (st Erasures) SaveExport(ctx context.Context, e erasure.Export) error {
	return st.s.Tx(ctx, func(tx *gorm.DB) error {
		res := tx.Model(&exportRow{}).Where("id = ?", e.ID).Updates(map[string]any{
			"status": string(e.Status), "size_bytes": e.SizeBytes, "sha256": e.SHA256, "last_error": e.LastError, "updated_at": At(e.UpdatedAt),
		})
		if res.Error == nil && res.RowsAffected == 0 {
			return gorm.ErrRecordNotFound
		}
		return res.Error
	})
}

// exported is a table whose rows are about an account: where says which, with the account's id as every parameter.
type exported struct{ table, where string }

const ofJobs = "job_id IN (SELECT id FROM jobs WHERE user_id = ?)"

// exports lists every table with rows about an account. A test holds it to the schema.
var exports = []exported{
	{"users", "id = ?"},
	{"sessions", "user_id = ?"},
	{"personal_tokens", "user_id = ?"},
	{"oidc_subjects", "user_id = ?"},
	{"device_grants", "user_id = ?"},
	{"links", "user_id = ?"},
	{"left_links", "user_id = ?"},
	{"agents", "owner_user_id = ?"},
	{"quotas", "user_id = ?"},
	{"objects", "user_id = ?"},
	{"uploads", "user_id = ?"},
	{"benchwrap_uploads", "user_id = ?"},
	{"exports", "user_id = ?"},
	{"jobs", "user_id = ?"},
	{"attempts", ofJobs},
	{"accounting_rows", ofJobs},
	{"job_snapshots", ofJobs},
	{"job_samples", ofJobs},
	{"job_events", ofJobs},
	{"reports", ofJobs},
	{"job_ledgers", ofJobs},
	{"job_quotas", ofJobs},
	{"job_reporters", ofJobs},
	{"quota_rules", "scope = 'user' AND subject = ?"},
	{"looks", "viewer_id = ?"},
	{"audit", "actor_id = ? OR subject = ?"},
}

// hidden are columns that hold hashes of secrets, or ids that only the store understands.
var hidden = map[string]bool{
	"pw_hash": true, "token_hash": true, "device_hash": true, "user_code_mac": true, "store_upload_id": true, "sealed": true, "mac": true,
	"remote_addr": true, // stands sealed in the audit log
}

// jsonColumns hold JSON, and become part of the row.
var jsonColumns = map[string]bool{"fields": true, "snapshot": true, "report": true, "series": true, "manifest": true, "detail": true}

// Dump reads table by table.
func (st Erasures) Dump(ctx context.Context, userID string, emit func(table string, row erasure.Row) error) error {
	for _, e := range exports {
		args := make([]any, strings.Count(e.where, "?"))
		for i := range args {
			args[i] = userID
		}
		if err := st.dumpTable(ctx, e, args, emit); err != nil {
			return fmt.Errorf("reading %s: %w", e.table, err)
		}
	}
	return nil
}

func (st Erasures) dumpTable(ctx context.Context, e exported, args []any, emit func(table string, row erasure.Row) error) error {
	rows, err := st.s.q(ctx).Table(e.table).Where(e.where, args...).Rows()
	if err != nil {
		return mapErr(err)
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		return mapErr(err)
	}
	values, targets := make([]any, len(names)), make([]any, len(names))
	for i := range values {
		targets[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(targets...); err != nil {
			return mapErr(err)
		}
		if err := emit(e.table, jsonRow(e.table, names, values)); err != nil {
			return err
		}
	}
	return mapErr(rows.Err())
}

func jsonRow(table string, names []string, values []any) erasure.Row {
	row := erasure.Row{}
	for i, name := range names {
		if !hidden[name] && values[i] != nil {
			row[name] = jsonValue(name, values[i])
		}
	}
	if table == "objects" {
		row["download"] = fmt.Sprintf("/files/presign/download?id=%v", row["id"])
	}
	return row
}

// jsonValue gives times of both databases as text, and JSON as it is.
func jsonValue(name string, v any) any {
	if raw, ok := v.([]byte); ok {
		v = string(raw)
	}
	switch t := v.(type) {
	case time.Time:
		return t.UTC().Format(time.RFC3339Nano)
	case int64:
		if name == "at" || name == "exp" || strings.HasSuffix(name, "_at") {
			return Time(t).Time().Format(time.RFC3339Nano)
		}
	case string:
		if jsonColumns[name] && json.Valid([]byte(t)) {
			return json.RawMessage(t)
		}
	}
	return v
}
