package jobs

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/ergon-hpc/ergon/shared/slurmfmt"
)

// Books is the store as ingest needs it.
type Books interface {
	// Edit loads what want names, calls apply once and stores the entries that it returns, all in one transaction.
	// Edits of one cluster never overlap. apply must not keep the book.
	Edit(ctx context.Context, want Want, apply func(*Book) ([]*Entry, error)) error
	// ClusterByName finds a cluster and makes it when create is true; created says that it did.
	ClusterByName(ctx context.Context, name string, create bool) (c Cluster, created bool, err error)
	// ClusterByID finds a cluster.
	ClusterByID(ctx context.Context, id string) (Cluster, error)
	// PutFacts stores what a cluster said about itself.
	PutFacts(ctx context.Context, clusterID, slurmVersion string, facts []byte) error
	// Adopt gives the jobs of a unix user on a cluster that are nobody's yet to an account, and returns how many changed: those
	// of this uid and this name, and of this name where no uid is known. A uid goes to other people, their jobs do not.
	Adopt(ctx context.Context, link Link) (int64, error)
}

// Reader is the store as queries need it.
type Reader interface {
	JobByID(ctx context.Context, id uuid.UUID) (Job, error)
	ListJobs(ctx context.Context, f Filter, page Page) ([]Job, error)
	AttemptsOf(ctx context.Context, ids []uuid.UUID) (map[uuid.UUID][]Attempt, error)
	EventsOf(ctx context.Context, id uuid.UUID, after EventCursor, limit int) ([]Event, error)
}

// Cluster is one cluster as the store knows it.
type Cluster struct {
	ID, Name, SlurmVersion string
	Facts                  []byte // JSON of the contract's ClusterFacts; "{}" when nothing was reported
}

// Link joins a unix user of a cluster to an account.
type Link struct {
	ClusterID string
	UID       int64
	UnixName  string
	UserID    uuid.UUID
}

// Filter selects jobs. Zero values select all.
type Filter struct {
	UserID     *uuid.UUID
	Cluster    string
	State      slurmfmt.APIState
	SlurmJobID string // also the base id of an array or het job
	From, To   *time.Time
}

// Page is a place in a list that is ordered by submit time and id, newest first.
type Page struct {
	Before *JobCursor
	Limit  int
}

// JobCursor is the last job of the page before.
type JobCursor struct {
	SubmitAt time.Time
	ID       uuid.UUID
}

// EventCursor is the last event of the page before; the zero value begins.
type EventCursor struct {
	Seq int64
	ID  uuid.UUID
	Set bool
}
