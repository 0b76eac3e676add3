package gormstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/ergon-hpc/ergon/controlplane/internal/tariff"
	"github.com/ergon-hpc/ergon/shared/efficiency"
)

// Tariffs gives the store of package tariff.
type Tariffs struct{ s *Store }

// NewTariffs gives the store of package tariff.
func NewTariffs(s *Store) *Tariffs { return &Tariffs{s: s} }

type tariffRow struct {
	Kind      string
	Zone      string
	Unit      string
	Constant  *float64
	Version   int64
	UpdatedAt Time
}

func (r tariffRow) head() tariff.Head {
	return tariff.Head{
		Key:  tariff.Key{Kind: tariff.Kind(r.Kind), Zone: r.Zone},
		Unit: r.Unit, Constant: r.Constant, Version: r.Version, Updated: r.UpdatedAt.Time(),
	}
}

type intervalRow struct {
	FromAt Time
	ToAt   Time
	Value  float64
}

// Heads is tariff.Store.Heads.
func (g *Tariffs) Heads(ctx context.Context) ([]tariff.Head, error) {
	var rows []tariffRow
	if err := g.s.q(ctx).Raw("SELECT kind, zone, unit, constant, version, updated_at FROM tariffs ORDER BY kind, zone").Scan(&rows).Error; err != nil {
		return nil, mapErr(err)
	}
	out := make([]tariff.Head, len(rows))
	for i, r := range rows {
		out[i] = r.head()
	}
	return out, nil
}

// Intervals is tariff.Store.Intervals.
func (g *Tariffs) Intervals(ctx context.Context, key tariff.Key) ([]efficiency.Interval, error) {
	return intervalsOf(g.s.q(ctx), key)
}

func intervalsOf(db *gorm.DB, key tariff.Key) ([]efficiency.Interval, error) {
	var rows []intervalRow
	err := db.Raw("SELECT from_at, to_at, value FROM tariff_intervals WHERE kind = ? AND zone = ? ORDER BY from_at", string(key.Kind), key.Zone).Scan(&rows).Error
	if err != nil {
		return nil, mapErr(fmt.Errorf("reading intervals: %w", err))
	}
	out := make([]efficiency.Interval, len(rows))
	for i, r := range rows {
		out[i] = efficiency.Interval{From: r.FromAt.Time().Unix(), To: r.ToAt.Time().Unix(), Value: r.Value}
	}
	return out, nil
}

var intervalBulk = bulk{table: "tariff_intervals", columns: []string{"kind", "zone", "from_at", "to_at", "value"}}

// errSame rolls back an update that changes nothing.
var errSame = errors.New("nothing changes")

// Update is tariff.Store.Update. Writing the head first makes others wait, so that change sees the last state.
func (g *Tariffs) Update(ctx context.Context, key tariff.Key, now time.Time, change func(tariff.Series) (tariff.Series, bool, error)) error {
	err := g.s.Tx(ctx, func(tx *gorm.DB) error {
		old, err := lockTariff(tx, key, now)
		if err != nil {
			return err
		}
		fresh, changed, err := change(old)
		if err != nil {
			return err
		}
		if !changed {
			return errSame
		}
		return g.write(ctx, tx, fresh, old.Version+1)
	})
	if errors.Is(err, errSame) {
		return nil
	}
	return err
}

func lockTariff(tx *gorm.DB, key tariff.Key, now time.Time) (s tariff.Series, err error) {
	err = tx.Exec(`INSERT INTO tariffs (kind, zone, unit, constant, version, updated_at) VALUES (?, ?, '', NULL, 0, ?)
		ON CONFLICT (kind, zone) DO UPDATE SET updated_at = EXCLUDED.updated_at`, string(key.Kind), key.Zone, At(now)).Error
	if err != nil {
		return s, fmt.Errorf("locking a tariff: %w", err)
	}
	var row tariffRow
	err = tx.Raw("SELECT kind, zone, unit, constant, version, updated_at FROM tariffs WHERE kind = ? AND zone = ?", string(key.Kind), key.Zone).Scan(&row).Error
	if err != nil {
		return s, fmt.Errorf("reading a tariff: %w", err)
	}
	s.Head = row.head()
	s.Intervals, err = intervalsOf(tx, key)
	return s, err
}

func (g *Tariffs) write(ctx context.Context, tx *gorm.DB, s tariff.Series, version int64) error {
	err := tx.Exec("UPDATE tariffs SET unit = ?, constant = ?, version = ? WHERE kind = ? AND zone = ?", s.Unit, s.Constant, version, string(s.Kind), s.Zone).Error
	if err == nil {
		err = tx.Exec("DELETE FROM tariff_intervals WHERE kind = ? AND zone = ?", string(s.Kind), s.Zone).Error
	}
	if err != nil {
		return fmt.Errorf("writing a tariff: %w", err)
	}
	rows := make([][]any, len(s.Intervals))
	for i, iv := range s.Intervals {
		from, to := time.Unix(iv.From, 0), time.Unix(iv.To, 0)
		rows[i] = []any{string(s.Kind), s.Zone, bind(g.s.dialect, &from), bind(g.s.dialect, &to), iv.Value}
	}
	return intervalBulk.exec(ctx, tx, rows)
}
