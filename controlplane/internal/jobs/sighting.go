package jobs

import (
	"context"
	"time"
)

// Sighting is a unix identity as a cluster's accounting shows it: who had the uid when a job was submitted.
type Sighting struct {
	UID      int64
	UnixName string
	At       time.Time
}

// OnSeen sets who is told of the identities in accounting of system agents, before it is stored. Only before the first call
// of anything else.
func (s *Service) OnSeen(tell func(ctx context.Context, clusterID string, seen []Sighting) error) {
	s.seen = tell
}

// tellSeen tells the latest sighting of each uid. A user's own agent proves nothing about uids.
func (s *Service) tellSeen(ctx context.Context, who Reporter, p *Prepared) error {
	if s.seen == nil || who.Owner != nil {
		return nil
	}
	latest := map[int64]Sighting{}
	for _, u := range p.bundles {
		if u.orphan || u.facts.UID == nil || u.facts.User == "" {
			continue
		}
		g := Sighting{UID: *u.facts.UID, UnixName: u.facts.User, At: time.Unix(u.facts.Submit, 0)}
		if old, ok := latest[g.UID]; !ok || old.At.Before(g.At) {
			latest[g.UID] = g
		}
	}
	if len(latest) == 0 {
		return nil
	}
	list := make([]Sighting, 0, len(latest))
	for _, g := range latest {
		list = append(list, g)
	}
	return s.seen(ctx, p.batch.Cluster.ID, list)
}
