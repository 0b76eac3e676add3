package config

// Retention is how long files are kept, by class, and jobs.
type Retention struct {
	OutputDays  int `env:"OUTPUT_DAYS" envDefault:"0" doc:"Days to keep outputs of jobs, stdout and stderr; 0: until their owner deletes them"`
	ProfileDays int `env:"PROFILE_DAYS" envDefault:"0" doc:"Days to keep profiles of jobs; 0: until their owner deletes them"`
	InputDays   int `env:"INPUT_DAYS" envDefault:"0" doc:"Days to keep inputs of jobs; 0: until their owner deletes them"`
	UploadDays  int `env:"UPLOAD_DAYS" envDefault:"0" doc:"Days to keep users' own uploads; 0: until their owner deletes them"`
	JobDays     int `env:"ACCOUNTING_DAYS" envDefault:"400" doc:"Days to keep jobs with their accounting rows, reports, series and findings, from their end or their import; then only sums per cluster, account and month; 0: for ever"`
}

func (r Retention) check() []string {
	ok := r.OutputDays >= 0 && r.ProfileDays >= 0 && r.InputDays >= 0 && r.UploadDays >= 0 && r.JobDays >= 0
	return want(ok, "RETENTION_OUTPUT_DAYS", "days to keep must not be negative, and neither those of the other classes")
}
