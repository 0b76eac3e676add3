package storage

import (
	"cmp"
	"slices"
)

// Limit is a quota.
type Limit struct{ Bytes, Objects int64 }

// Quotas are what one reservation must keep to.
type Quotas struct {
	User Limit // the site's default; rules of the user, the role or a cluster go over it
	Job  Limit // what the outputs of one job may take; a zero member does not restrict
}

// Scope is where a limit comes from.
type Scope string

// The scopes, the closest first.
const (
	ScopeUser    Scope = "user"
	ScopeRole    Scope = "role"
	ScopeCluster Scope = "cluster"
	ScopeDefault Scope = "default"
)

// Rule is a limit that an administrator gave. Subject is the id of an account, the word of a role, or the id of a cluster;
// Name is what people call it.
type Rule struct {
	Scope   Scope
	Subject string
	Name    string
	Limit   Limit
}

var closeness = map[Scope]int{ScopeUser: 0, ScopeRole: 1, ScopeCluster: 2}

// InForce chooses of the rules that fit an account: its own, else its role's, else the largest of the clusters where it is
// linked, else the site's default.
func InForce(rules []Rule, site Limit) Rule {
	if len(rules) == 0 {
		return Rule{Scope: ScopeDefault, Limit: site}
	}
	return slices.MinFunc(rules, func(a, b Rule) int {
		return cmp.Or(
			cmp.Compare(closeness[a.Scope], closeness[b.Scope]),
			cmp.Compare(b.Limit.Bytes, a.Limit.Bytes), cmp.Compare(b.Limit.Objects, a.Limit.Objects), cmp.Compare(a.Subject, b.Subject),
		)
	})
}

// Tally is what is stored and reserved.
type Tally struct {
	UsedBytes, UsedObjects         int64
	ReservedBytes, ReservedObjects int64
}

// Plus adds member by member.
func (t Tally) Plus(o Tally) Tally {
	return Tally{
		UsedBytes: t.UsedBytes + o.UsedBytes, UsedObjects: t.UsedObjects + o.UsedObjects,
		ReservedBytes: t.ReservedBytes + o.ReservedBytes, ReservedObjects: t.ReservedObjects + o.ReservedObjects,
	}
}

// Minus gives the differences.
func (t Tally) Minus(o Tally) Tally {
	return Tally{
		UsedBytes: t.UsedBytes - o.UsedBytes, UsedObjects: t.UsedObjects - o.UsedObjects,
		ReservedBytes: t.ReservedBytes - o.ReservedBytes, ReservedObjects: t.ReservedObjects - o.ReservedObjects,
	}
}

// Standing is what an account stores, and the limit that holds for it now.
type Standing struct {
	Tally
	Rule Rule
}

// JobStanding is what the outputs of one job take.
type JobStanding struct {
	Tally
	JobID      string
	SlurmJobID string
}
