package app

import (
	"github.com/ergon-hpc/ergon/controlplane/internal/config"
	"github.com/ergon-hpc/ergon/controlplane/internal/jobs"
)

func intake(c config.Ingest) jobs.Intake {
	return jobs.Intake{NoStrangers: !c.Strangers, NoSubmitLine: !c.SubmitLine, NoWorkDir: !c.WorkDir, NoJobName: !c.JobName}
}
