package app

import (
	"github.com/ergon-hpc/ergon/controlplane/internal/audit"
	"github.com/ergon-hpc/ergon/controlplane/internal/httpapi"
	"github.com/ergon-hpc/ergon/controlplane/internal/identity"
	"github.com/ergon-hpc/ergon/controlplane/internal/queue"
	"github.com/ergon-hpc/ergon/controlplane/internal/storage"
)

// features are the services that later features and the wiring ask for. Each wire_*.go sets its own.
type features struct {
	audit       *audit.Log           // made by wireIdentity
	unannounced *storage.Unannounced // made by wireStorage
	benchwrap   *httpapi.Benchwrap   // made by wireBenchwrap; nil: no routes of the original client

	storage *storage.Service  // made by wireStorage; later features call its Observe
	tasks   []queue.Task      // upkeep of all features; wireJobs hands them to the queue
	queue   *queue.Queue      // made by wireJobs: nil while features are wired
	ids     *identity.Service // made by wireIdentity
}
