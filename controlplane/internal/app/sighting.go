package app

import (
	"context"

	"github.com/ergon-hpc/ergon/controlplane/internal/identity"
	"github.com/ergon-hpc/ergon/controlplane/internal/jobs"
)

// suspendsLinks tells identity which unix identities accounting shows; it suspends links of uids that went to somebody else.
func suspendsLinks(svc *identity.Service) func(ctx context.Context, clusterID string, seen []jobs.Sighting) error {
	return func(ctx context.Context, clusterID string, seen []jobs.Sighting) error {
		list := make([]identity.Sighting, 0, len(seen))
		for _, g := range seen {
			list = append(list, identity.Sighting{UID: g.UID, UnixName: g.UnixName, At: g.At})
		}
		_, err := svc.Seen(ctx, clusterID, list)
		return err
	}
}
