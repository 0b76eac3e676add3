package tariff

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/ergon-hpc/ergon/controlplane/internal/apperr"
	"github.com/ergon-hpc/ergon/shared/efficiency"
)

// Service imports tariffs and answers what was in force. It is safe for concurrent use.
type Service struct {
	store Store
	now   func() time.Time

	mu    sync.Mutex
	known map[Key]Series // the last version seen of each
}

// New makes the service.
func New(store Store, now func() time.Time) *Service {
	return &Service{store: store, now: now, known: map[Key]Series{}}
}

// Import puts a file's values over what is stored. The unit has to be that of the stored tariff.
func (s *Service) Import(ctx context.Context, add Series) (Changes, error) {
	if err := CheckUnit(add.Kind, add.Unit); err != nil {
		return Changes{}, err
	}
	var done Changes
	err := s.store.Update(ctx, add.Key, s.now(), func(old Series) (Series, bool, error) {
		if old.Version > 0 && old.Unit != add.Unit {
			return old, false, apperr.Newf(apperr.Conflict, "the stored %s tariff of this zone is in %s, not in %s", add.Kind, old.Unit, add.Unit).
				WithHint("values of two currencies cannot be one tariff: give the other a --zone of its own")
		}
		out := old
		out.Unit = add.Unit
		out.Intervals, done = Merge(old.Intervals, add.Intervals)
		changed := done.Added > 0 || old.Version == 0
		if add.Constant != nil && (old.Constant == nil || *old.Constant != *add.Constant) {
			out.Constant, changed = add.Constant, true
		}
		return out, changed, nil
	})
	if err != nil {
		return Changes{}, fmt.Errorf("storing a tariff: %w", err)
	}
	return done, nil
}

// Tariffs gives the price and the carbon intensity in force on a cluster from from to to: the cluster's own tariff, else the
// one for everywhere, else nil.
func (s *Service) Tariffs(ctx context.Context, cluster string, from, to time.Time) (price, carbon *efficiency.Tariff, err error) {
	heads, err := s.store.Heads(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("reading tariffs: %w", err)
	}
	if price, err = s.inForce(ctx, heads, Price, cluster, from, to); err != nil {
		return nil, nil, err
	}
	carbon, err = s.inForce(ctx, heads, Carbon, cluster, from, to)
	return price, carbon, err
}

func (s *Service) inForce(ctx context.Context, heads []Head, kind Kind, cluster string, from, to time.Time) (*efficiency.Tariff, error) {
	var best *Head
	for i := range heads {
		h := &heads[i]
		if h.Kind == kind && (h.Zone == cluster || h.Zone == "" && best == nil) {
			best = h
		}
	}
	if best == nil {
		return nil, nil
	}
	series, err := s.series(ctx, *best)
	if err != nil {
		return nil, err
	}
	return window(series, from.Unix(), to.Unix()), nil
}

// series keeps the last version of each tariff: years of prices are read once, not for each job.
func (s *Service) series(ctx context.Context, h Head) (Series, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k, ok := s.known[h.Key]; ok && k.Version == h.Version {
		return k, nil
	}
	intervals, err := s.store.Intervals(ctx, h.Key)
	if err != nil {
		return Series{}, fmt.Errorf("reading a tariff: %w", err)
	}
	s.known[h.Key] = Series{h, intervals}
	return s.known[h.Key], nil
}
