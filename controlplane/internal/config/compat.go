package config

// Compat keeps older clients working.
type Compat struct {
	Benchwrap    bool  `env:"BENCHWRAP" envDefault:"false" doc:"True: serve the original client benchwrap below /api (BENCHWRAP_API_URL=https://SERVER/api). It sends passwords in queries: keep query strings out of the logs of every proxy in front"`
	BenchwrapMax int64 `env:"BENCHWRAP_MAX_BYTES" envDefault:"268435456" doc:"Largest file that benchwrap may upload, bytes, at most 5 GiB; reserved for each of its uploads until it is settled, and hashed by the server"`
}

const maxSinglePut = 5 << 30 // S3's limit of one PUT, bytes

func (c Compat) check() []string {
	return want(c.BenchwrapMax >= 1 && c.BenchwrapMax <= maxSinglePut, "COMPAT_BENCHWRAP_MAX_BYTES", "must be 1 to 5368709120")
}
