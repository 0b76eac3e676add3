package config

import "time"

// Limit is how many requests a minute are let through.
type Limit struct {
	PerAddress int `env:"PER_ADDRESS" envDefault:"12000" doc:"Requests a minute of one address (IPv6: /64), which a whole login node may share; kept in memory by each replica; 0: no limit"`
	PerCaller  int `env:"PER_CALLER" envDefault:"6000" doc:"Requests a minute of one account or agent, in memory; 0: no limit"`
	PerRoute   int `env:"PER_ROUTE" envDefault:"3000" doc:"Requests a minute of one account, agent or (where nobody is logged in) address for one operation, in memory; 0: no limit"`
	Presigns   int `env:"PRESIGNS" envDefault:"3000" doc:"Calls a minute of one account or agent for presigned URLs, exactly, of all replicas together; 0: no limit"`
}

func (l Limit) check() []string {
	ok := l.PerAddress >= 0 && l.PerCaller >= 0 && l.PerRoute >= 0 && l.Presigns >= 0
	return want(ok, "LIMIT_PER_ADDRESS", "limits must not be negative, and neither the others of ERGON_LIMIT")
}

// Roles is what Slurm's words make of people, and how long links count.
type Roles struct {
	Coordinators bool          `env:"COORDINATORS" envDefault:"false" doc:"True: who coordinates a Slurm account (sacctmgr, told by system agents) sees the sums of its jobs"`
	Persons      bool          `env:"COORDINATORS_SEE_PERSONS" envDefault:"false" doc:"True: coordinators also see the sums of single persons; each look is audited, and the persons see who looked"`
	LinkTTL      time.Duration `env:"LINK_TTL" envDefault:"0s" doc:"A link of a unix user that was not confirmed for so long is suspended until its owner runs ergon link again; 0: never"`
}

func (r Roles) check() []string {
	return want(r.LinkTTL == 0 || r.LinkTTL >= time.Hour, "ROLES_LINK_TTL", "must be 0 or at least 1h")
}
