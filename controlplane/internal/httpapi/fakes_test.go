package httpapi

import (
	"net/http"

	"github.com/ergon-hpc/ergon/controlplane/internal/httpapi/accountapi"
	"github.com/ergon-hpc/ergon/controlplane/internal/httpapi/filesapi"
	"github.com/ergon-hpc/ergon/controlplane/internal/httpapi/jobsapi"
)

// These panic when a request reaches them: the test that uses them says that none does.
type (
	panicFiles struct{ filesapi.StrictServerInterface }
	panicJobs  struct{ jobsapi.StrictServerInterface }

	panicAccount struct {
		accountapi.StrictServerInterface
	}
	panicAgent struct {
		AgentIdentity
		AgentJobs
		AgentFiles
	}
)

func panicHandlers() Handlers {
	return Handlers{
		Identity: fakeIdentity{}, Files: panicFiles{}, Jobs: panicJobs{}, Account: panicAccount{},
		AgentIdentity: panicAgent{}, AgentJobs: panicAgent{}, AgentFiles: panicAgent{},
		Page: http.NotFoundHandler(),
	}
}
