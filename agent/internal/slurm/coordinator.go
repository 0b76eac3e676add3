package slurm

import (
	"context"
	"strings"
)

// Coordinator is a coordinator of an account, as slurmdbd has it.
type Coordinator struct{ Account, User string }

// Coordinators lists who coordinates which account of the cluster's slurmdbd (sacctmgr(1), "withcoord"). Accounts without
// one are left out.
func (r *Runner) Coordinators(ctx context.Context) ([]Coordinator, error) {
	out, err := r.run(ctx, "sacctmgr", "--noheader", "--parsable2", "--readonly", "show", "account", "withcoord", "format=Account%256,Coordinators%4096")
	if err != nil {
		return nil, err
	}
	return parseCoordinators(string(out)), nil
}

// parseCoordinators reads lines of an account, a bar, and users with commas between. A line of another form says nothing.
func parseCoordinators(out string) []Coordinator {
	var list []Coordinator
	for line := range strings.Lines(out) {
		account, users, ok := strings.Cut(strings.TrimRight(line, "\r\n"), "|")
		if !ok || account == "" || strings.Contains(users, "|") {
			continue
		}
		for user := range strings.SplitSeq(users, ",") {
			if user = strings.TrimSpace(user); user != "" {
				list = append(list, Coordinator{account, user})
			}
		}
	}
	return list
}
