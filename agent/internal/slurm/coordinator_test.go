package slurm

import (
	"slices"
	"strings"
	"testing"
)

func TestCoordinatorsAreReadFromTheirAccounts(t *testing.T) {
	cases := map[string][]Coordinator{
		"":                            nil,
		"root|\nphysics|\n":           nil,
		"physics|alice\n":             {{"physics", "alice"}},
		"physics|alice,bob\nchem|eve": {{"physics", "alice"}, {"physics", "bob"}, {"chem", "eve"}},
		"physics|alice,,\r\n":         {{"physics", "alice"}},
		" There are no accounts\n":    nil,
		"|alice\nphysics|a|b\n":       nil, // forged by a bar: says nothing
	}
	for in, want := range cases {
		if got := parseCoordinators(in); !slices.Equal(got, want) {
			t.Errorf("%q: %v, want %v", in, got, want)
		}
	}
}

func FuzzParseCoordinators(f *testing.F) {
	f.Add("physics|alice,bob\nchem|eve\n")
	f.Add("||,,\n|")
	f.Fuzz(func(t *testing.T, in string) {
		for _, c := range parseCoordinators(in) {
			if c.Account == "" || c.User == "" || strings.ContainsAny(c.Account+c.User, "|\n") {
				t.Errorf("%q gives %+v", in, c)
			}
		}
	})
}
