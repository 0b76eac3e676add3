package advice

import (
	"cmp"
	"regexp"
	"strings"

	"github.com/ergon-hpc/ergon/shared/efficiency"
)

// Fingerprint says which runs are the same work. It is comparable.
type Fingerprint struct {
	Cluster   string `json:"cluster"`
	User      string `json:"user"`
	Account   string `json:"account"`
	Partition string `json:"partition"`
	// Name is the job's name without its digits; for workflow engines the rule or process.
	Name string `json:"name"`
	// Script and Arguments are the digests of the script and of its arguments (package workprint); empty when they are not known.
	Script    string `json:"script,omitempty"`
	Arguments string `json:"arguments,omitempty"`
}

// Of is the fingerprint of a job.
func Of(job efficiency.Job) Fingerprint {
	f := Fingerprint{Cluster: job.Cluster, User: job.User, Account: job.Account, Partition: job.Partition, Name: cmp.Or(job.Work, Name(job.Name))}
	if job.Script != nil {
		f.Script = job.Script.Digest
	}
	if job.Arguments != nil {
		f.Arguments = job.Arguments.Digest
	}
	return f
}

// same says that two jobs are the same work; a script or arguments that are not known on one side do not part them, nor does
// a partition or account that the target leaves to the site (empty).
func (f Fingerprint) same(o Fingerprint) bool {
	match := func(a, b string) bool { return a == "" || b == "" || a == b }
	return f.Name == o.Name && f.Name != anyRule && match(f.User, o.User) && match(f.Cluster, o.Cluster) && match(f.Account, o.Account) &&
		match(f.Partition, o.Partition) && match(f.Script, o.Script) && match(f.Arguments, o.Arguments)
}

var (
	snakemake = regexp.MustCompile(`^snakejob\.(.+)\.\d+(\.sh)?$`)
	nextflow  = regexp.MustCompile(`^(nf-.+?)_\(.*\)$`)
	uuid      = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)
	hash      = regexp.MustCompile(`\b[0-9a-fA-F]{8,}\b`)
	digits    = regexp.MustCompile(`[0-9]+`)
	repeated  = regexp.MustCompile(`#([-_.:=]?#)+`)
)

// anyRule is the name of a workflow's run (Snakemake's UUID) of which the rule is not known: any of its jobs may be other work.
const anyRule = "(a workflow's run)"

// Name is a job's name as far as it names the work: numbers and hashes become "#", of Snakemake and Nextflow the rule or
// process stays.
func Name(name string) string {
	if m := snakemake.FindStringSubmatch(name); m != nil {
		return "snakejob." + m[1]
	}
	if m := nextflow.FindStringSubmatch(name); m != nil {
		return m[1]
	}
	if uuid.MatchString(name) {
		return anyRule
	}
	name = hash.ReplaceAllStringFunc(name, func(s string) string {
		if strings.ContainsAny(s, "0123456789") {
			return "#"
		}
		return s
	})
	return repeated.ReplaceAllString(digits.ReplaceAllString(name, "#"), "#")
}
