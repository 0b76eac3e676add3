package jobs

import (
	"context"
	"time"
)

// Service takes reports and answers questions about jobs.
type Service struct {
	books  Books
	reader Reader
	now    func() time.Time
	hinted func(context.Context)
	intake Intake
	seen   func(ctx context.Context, clusterID string, seen []Sighting) error
}

// New makes the service. hinted is called after reports may have made an analysis due, outside any transaction; it may be
// nil, must not block and need not succeed: what is due stands in the rows.
func New(books Books, reader Reader, now func() time.Time, hinted func(context.Context)) *Service {
	if hinted == nil {
		hinted = func(context.Context) {}
	}
	return &Service{books: books, reader: reader, now: now, hinted: hinted}
}

func (s *Service) hint(ctx context.Context) { s.hinted(ctx) }

// AdoptLinked gives the jobs of a unix user to the account that was linked to it, and returns how many changed.
func (s *Service) AdoptLinked(ctx context.Context, link Link) (int64, error) {
	return s.books.Adopt(ctx, link)
}

// Cluster finds the cluster of an agent.
func (s *Service) Cluster(ctx context.Context, id string) (Cluster, error) {
	return s.books.ClusterByID(ctx, id)
}

// PutFacts stores what a cluster said about itself: JSON of the contract's ClusterFacts.
func (s *Service) PutFacts(ctx context.Context, clusterID, slurmVersion string, facts []byte) error {
	return s.books.PutFacts(ctx, clusterID, slurmVersion, facts)
}
