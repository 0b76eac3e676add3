package gormstore

import (
	"context"
	"fmt"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
	"github.com/ergon-hpc/ergon/controlplane/internal/storage"
)

// Storage implements the ports of the feature storage.
type Storage struct{ s *Store }

var (
	_ storage.Ledger    = Storage{}
	_ storage.Book      = Storage{}
	_ storage.Catalogue = Storage{}
	_ storage.Owners    = Storage{}
	_ storage.Recounter = Storage{}
	_ storage.Census    = Storage{}
)

// Storage gives the ports of the feature storage.
func (s *Store) Storage() Storage { return Storage{s} }

// Reserve locks the user's quota row first: reservations of one user queue there, so that two that ask for the same entry
// at once get the same upload, and none gets through once the account is frozen.
func (st Storage) Reserve(ctx context.Context, userID string, quotas storage.Quotas, drafts []storage.Draft) ([]storage.Reservation, error) {
	var out []storage.Reservation
	err := st.s.Tx(ctx, func(tx *gorm.DB) error {
		if err := lockQuota(tx, userID, quotas.User); err != nil {
			return err
		}
		if err := checkEnabled(tx, userID); err != nil {
			return err
		}
		r := reserving{tx: tx, userID: userID, out: make([]storage.Reservation, len(drafts)), drafts: drafts, jobLimit: quotas.Job}
		err := r.run()
		out = r.out
		return err
	})
	return out, err
}

// lockQuota makes the row of a user when there is none, locks it, and writes the limit that holds now.
func lockQuota(tx *gorm.DB, userID string, site storage.Limit) error {
	rule, err := ruleInForce(tx, userID, site)
	if err != nil {
		return err
	}
	fresh := quotaRow{UserID: userID, LimitBytes: rule.Limit.Bytes, LimitObjects: rule.Limit.Objects}
	err = tx.Clauses(clause.OnConflict{
		Columns: []clause.Column{{Name: "user_id"}}, DoUpdates: clause.AssignmentColumns([]string{"limit_bytes", "limit_objects"}),
	}).Create(&fresh).Error
	if err != nil {
		return fmt.Errorf("locking the quota of a user: %w", err)
	}
	return nil
}

// checkEnabled refuses accounts that are disabled, as those that are being deleted are.
func checkEnabled(tx *gorm.DB, userID string) error {
	var disabled int64
	err := tx.Table("users").Where("id = ? AND disabled_at IS NOT NULL", userID).Count(&disabled).Error
	if err == nil && disabled > 0 {
		err = apperr.New(apperr.Forbidden, "this account is disabled").WithHint("ask an administrator")
	}
	return err
}

// reserving is one transaction of Reserve.
type reserving struct {
	tx       *gorm.DB
	userID   string
	jobLimit storage.Limit
	drafts   []storage.Draft
	out      []storage.Reservation
	live     map[string]uploadRow // by identity
	stored   map[string]objectRow // by identity
	taken    map[string]bool      // keys that were given out
}

func (r *reserving) run() error {
	if err := r.lookUp(); err != nil {
		return err
	}
	var fresh []int
	for i, d := range r.drafts {
		found, err := r.known(i, d)
		if err != nil {
			return err
		}
		if !found {
			fresh = append(fresh, i)
		}
	}
	admitted, err := r.admit(fresh)
	if err != nil {
		return err
	}
	return r.insert(admitted)
}

// lookUp reads what exists under the names and keys of the drafts. All drafts of a call belong to the same job or to none.
func (r *reserving) lookUp() error {
	names, keys := make([]string, 0, len(r.drafts)), make([]string, 0, len(r.drafts))
	for _, d := range r.drafts {
		names, keys = append(names, d.Upload.Name), append(keys, d.PlainKey)
	}
	where := func(q *gorm.DB) *gorm.DB {
		return q.Where("user_id = ? AND job_id IS NULL AND name IN ?", r.userID, names)
	}
	if job := r.drafts[0].Upload.Job; job != nil {
		where = func(q *gorm.DB) *gorm.DB {
			return q.Where("job_id = ? AND attempt = ? AND name IN ? AND user_id = ?", job.ID.String(), job.Attempt, names, r.userID)
		}
		if err := r.lookUpObjects(where); err != nil {
			return err
		}
	}
	var live []uploadRow
	if err := where(r.tx).Where("status = ?", string(storage.Reserved)).Find(&live).Error; err != nil {
		return fmt.Errorf("looking for uploads: %w", err)
	}
	r.live = map[string]uploadRow{}
	for _, u := range live {
		r.live[identityKey(u.Class, u.Name, u.SizeBytes, u.Sha256)] = u
	}
	var taken []string
	if err := r.tx.Model(&uploadRow{}).Where("object_key IN ?", keys).Pluck("object_key", &taken).Error; err != nil {
		return fmt.Errorf("looking for keys: %w", err)
	}
	r.taken = map[string]bool{}
	for _, k := range taken {
		r.taken[k] = true
	}
	return nil
}

func (r *reserving) lookUpObjects(where func(*gorm.DB) *gorm.DB) error {
	var stored []objectRow
	if err := where(r.tx).Find(&stored).Error; err != nil {
		return fmt.Errorf("looking for objects: %w", err)
	}
	r.stored = map[string]objectRow{}
	for _, o := range stored {
		r.stored[identityKey(o.Class, o.Name, o.SizeBytes, o.Sha256)] = o
	}
	return nil
}

func identityKey(class, name string, size int64, sum string) string {
	return fmt.Sprintf("%s\x00%s\x00%d\x00%s", class, name, size, sum)
}

// known answers a draft whose object is stored or whose upload is reserved already.
func (r *reserving) known(i int, d storage.Draft) (bool, error) {
	u := d.Upload
	id := identityKey(string(u.Class), u.Name, u.SizeBytes, u.SHA256.Hex())
	if row, ok := r.stored[id]; ok {
		o, err := row.object()
		r.out[i].Object = &o
		return true, err
	}
	row, ok := r.live[id]
	if !ok {
		return false, nil
	}
	row.URLExpiresAt = max(row.URLExpiresAt, At(u.ExpiresAt))
	err := r.tx.Model(&uploadRow{}).Where("id = ?", row.ID).
		Updates(map[string]any{"url_expires_at": row.URLExpiresAt, "updated_at": At(u.CreatedAt)}).Error
	if err != nil {
		return false, fmt.Errorf("extending an upload: %w", err)
	}
	found, err := row.upload()
	r.out[i].Upload = &found
	return true, err
}

// admit charges the quota: all at once, and when that does not fit one after the other, so that a large one does not keep
// out the small ones behind it.
func (r *reserving) admit(fresh []int) ([]int, error) {
	var sum int64
	for _, i := range fresh {
		sum += r.drafts[i].Upload.SizeBytes // 1000 × 5 TiB fits
	}
	ok, err := r.charge(sum, int64(len(fresh)))
	if err != nil || ok {
		return fresh, err
	}
	var admitted []int
	for _, i := range fresh {
		size := r.drafts[i].Upload.SizeBytes
		if ok, err = r.charge(size, 1); err != nil {
			return nil, err
		}
		if ok {
			admitted = append(admitted, i)
			continue
		}
		if err = r.refuse(i, size); err != nil {
			return nil, err
		}
	}
	return admitted, nil
}

func (r *reserving) insert(admitted []int) error {
	rows, d := make([][]any, 0, len(admitted)), Dialect(r.tx.Name())
	for _, i := range admitted {
		u := r.drafts[i].Upload
		u.Key = r.drafts[i].PlainKey
		if r.taken[u.Key] {
			u.Key = r.drafts[i].SpareKey
		}
		r.taken[u.Key] = true
		r.out[i].Upload = &u
		rows = append(rows, uploadArgs(d, u))
	}
	if len(rows) == 0 {
		return nil
	}
	if err := uploadBulk.exec(r.tx.Statement.Context, r.tx, rows); err != nil {
		return err
	}
	return r.setOutputsPrefix()
}

// setOutputsPrefix tells the job where its outputs lie.
func (r *reserving) setOutputsPrefix() error {
	job := r.drafts[0].Upload.Job
	if job == nil {
		return nil
	}
	err := r.tx.Exec("UPDATE jobs SET outputs_prefix = ? WHERE id = ? AND outputs_prefix = ''",
		storage.JobPrefix(r.userID, job.ID), job.ID.String()).Error
	if err != nil {
		return fmt.Errorf("writing where a job's outputs lie: %w", err)
	}
	return nil
}
