package journal

import (
	"slices"
	"strings"
)

// withoutEmpty drops the names of the state "" and sorts the rest.
func withoutEmpty(names []string) []string {
	names = slices.DeleteFunc(names, func(n string) bool { return strings.Contains(n, "..") })
	slices.Sort(names)
	return names
}
