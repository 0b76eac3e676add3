package storage

import (
	"testing"

	"pgregory.net/rapid"
)

func TestTheClosestRuleHolds(t *testing.T) {
	site := Limit{Bytes: 1, Objects: 1}
	user := Rule{Scope: ScopeUser, Subject: "u", Limit: Limit{Bytes: 2, Objects: 2}}
	role := Rule{Scope: ScopeRole, Subject: "operator", Limit: Limit{Bytes: 9, Objects: 9}}
	small := Rule{Scope: ScopeCluster, Subject: "a", Limit: Limit{Bytes: 5, Objects: 99}}
	large := Rule{Scope: ScopeCluster, Subject: "b", Limit: Limit{Bytes: 6, Objects: 1}}
	for name, c := range map[string]struct {
		rules []Rule
		want  Rule
	}{
		"nothing fits":                          {nil, Rule{Scope: ScopeDefault, Limit: site}},
		"the user's own, although it is less":   {[]Rule{role, small, user}, user},
		"the role's before the cluster's":       {[]Rule{large, role}, role},
		"of several clusters the most bytes":    {[]Rule{small, large}, large},
		"a cluster's, although it is below all": {[]Rule{{Scope: ScopeCluster, Subject: "c"}}, Rule{Scope: ScopeCluster, Subject: "c"}},
	} {
		if got := InForce(c.rules, site); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

func TestTheOrderOfRulesDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rule := rapid.Custom(func(t *rapid.T) Rule {
			return Rule{
				Scope:   rapid.SampledFrom([]Scope{ScopeUser, ScopeRole, ScopeCluster}).Draw(t, "scope"),
				Subject: rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "subject"),
				Limit:   Limit{Bytes: rapid.Int64Range(0, 3).Draw(t, "bytes"), Objects: rapid.Int64Range(0, 3).Draw(t, "objects")},
			}
		})
		rules := rapid.SliceOfN(rule, 1, 6).Draw(t, "rules")
		other := rapid.Permutation(rules).Draw(t, "shuffled")
		if a, b := InForce(rules, Limit{}), InForce(other, Limit{}); a != b {
			t.Fatalf("%+v or %+v", a, b)
		}
	})
}
