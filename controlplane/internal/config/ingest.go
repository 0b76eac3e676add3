package config

// Ingest is what the server takes of jobs. Environments and scripts are never stored, and secrets are masked in all free text.
type Ingest struct {
	Strangers  bool `env:"STRANGERS" envDefault:"true" doc:"False: jobs of people without a linked account are not stored, neither from agents nor by imports. Sums then cover the others only, and energy of nodes shared with strangers cannot be split"`
	SubmitLine bool `env:"SUBMIT_LINE" envDefault:"false" doc:"True: store submit lines with their arguments, secrets masked. False: only which of --exclusive, -c, -n and their like were given, which is all that reports need, and a digest and the numbers of the script's arguments"`
	WorkDir    bool `env:"WORK_DIR" envDefault:"false" doc:"True: store working directories and paths of stdin, stdout and stderr; no report needs them"`
	JobName    bool `env:"JOB_NAME" envDefault:"true" doc:"False: names of jobs are not stored; advice then has less to know earlier runs of the same work by"`
}
