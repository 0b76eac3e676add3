package gormstore

import (
	"context"

	"gorm.io/gorm"

	"github.com/ergon-hpc/ergon/controlplane/internal/tariff"
)

type fetchRow struct {
	Kind         string
	Zone         string
	URL          string `gorm:"column:url"`
	Etag         string
	LastModified string
	TriedAt      Time
	AnsweredAt   *Time
	Failures     int64
	Error        string
}

func (r fetchRow) state() tariff.State {
	return tariff.State{
		Key: tariff.Key{Kind: tariff.Kind(r.Kind), Zone: r.Zone}, URL: r.URL, ETag: r.Etag, LastModified: r.LastModified,
		Tried: r.TriedAt.Time(), Answered: r.AnsweredAt.Ptr(), Failures: r.Failures, Error: r.Error,
	}
}

const selectFetches = "SELECT kind, zone, url, etag, last_modified, tried_at, answered_at, failures, error FROM tariff_fetches"

// FetchState is tariff.States.FetchState.
func (g *Tariffs) FetchState(ctx context.Context, key tariff.Key) (tariff.State, bool, error) {
	var row fetchRow
	res := g.s.q(ctx).Raw(selectFetches+" WHERE kind = ? AND zone = ?", string(key.Kind), key.Zone).Scan(&row)
	if res.Error != nil || res.RowsAffected == 0 {
		return tariff.State{}, false, mapErr(res.Error)
	}
	return row.state(), true, nil
}

// FetchStates lists what became of fetching.
func (g *Tariffs) FetchStates(ctx context.Context) ([]tariff.State, error) {
	var rows []fetchRow
	if err := g.s.q(ctx).Raw(selectFetches + " ORDER BY kind, zone").Scan(&rows).Error; err != nil {
		return nil, mapErr(err)
	}
	out := make([]tariff.State, len(rows))
	for i, r := range rows {
		out[i] = r.state()
	}
	return out, nil
}

// SaveFetch is tariff.States.SaveFetch.
func (g *Tariffs) SaveFetch(ctx context.Context, s tariff.State) error {
	return g.s.Tx(ctx, func(tx *gorm.DB) error {
		return tx.Exec(`INSERT INTO tariff_fetches (kind, zone, url, etag, last_modified, tried_at, answered_at, failures, error)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (kind, zone) DO UPDATE SET url = excluded.url, etag = excluded.etag,
			last_modified = excluded.last_modified, tried_at = excluded.tried_at, answered_at = excluded.answered_at,
			failures = excluded.failures, error = excluded.error`,
			string(s.Kind), s.Zone, s.URL, s.ETag, s.LastModified, At(s.Tried), AtPtr(s.Answered), s.Failures, s.Error).Error
	})
}
