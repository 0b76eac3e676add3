package advice

import "fmt"

// Group says what the runs of the same work have in common beyond user, account, partition and name.
type Group struct {
	// SameScript and SameArguments are how many of the runs are known to have this job's script, and its arguments, but for
	// numbers. Of the others it is not known.
	SameScript    int `json:"same_script"`
	SameArguments int `json:"same_arguments"`
}

func groupOf(t Target, runs []run) (g Group) {
	for _, r := range runs {
		if t.Script != "" && r.print.Script == t.Script {
			g.SameScript++
		}
		if t.Arguments != "" && r.print.Arguments == t.Arguments {
			g.SameArguments++
		}
	}
	return g
}

// Text says how a group of so many runs was formed.
func (g Group) Text(runs int) string {
	say := func(what string, n int) string {
		switch n {
		case 0:
			return what + " not known"
		case runs:
			return "same " + what
		}
		return fmt.Sprintf("same %s in %d, not known in %d", what, n, runs-n)
	}
	return say("script", g.SameScript) + "; " + say("arguments", g.SameArguments)
}
