package efficiency

import (
	"fmt"
	"strings"
	"time"
)

func disagreementRule(v view) *Finding {
	all := v.a.disagreements()
	if len(all) == 0 {
		return nil
	}
	e := evidence{}
	var names []string
	for _, d := range all {
		names = append(names, string(d.metric))
		e.num(string(d.metric)+"."+string(d.first), d.x).num(string(d.metric)+"."+string(d.second), d.y)
	}
	return &Finding{
		Rule: RuleSourceDisagreement, Severity: Info,
		Text:     fmt.Sprintf("Two sources of Slurm's numbers (profile, accounting, sstat or jobstats) do not agree on %s. Both numbers are in the evidence; read them with care.", strings.Join(names, ", ")),
		Change:   "Nothing in the job has to change. Plan with the larger number, and tell the operators of the cluster which job this is.",
		Evidence: e,
	}
}

func tariffGapRule(v view) *Finding {
	e := evidence{}
	if gap := v.bills.noPrice; len(gap) > 0 {
		e.text("no_price", intervals(gap))
	}
	if gap := v.bills.noCarbon; len(gap) > 0 {
		e.text("no_carbon_intensity", intervals(gap))
	}
	if len(e) == 0 {
		return nil
	}
	return &Finding{
		Rule: RuleTariffGap, Severity: Info,
		Text:     "There is no price or no carbon intensity for part of the time of the job; that part is left out.",
		Change:   "Nothing in the job has to change: the operators of the server have to import what is missing.",
		Evidence: e,
	}
}

// intervals prints the first few in UTC.
func intervals(list []Interval) string {
	const shown = 5
	var out []string
	for i, iv := range list {
		if i == shown {
			out = append(out, fmt.Sprintf("and %d more", len(list)-shown))
			break
		}
		out = append(out, clock(iv.From)+"/"+clock(iv.To))
	}
	return strings.Join(out, ", ")
}

func clock(unix int64) string { return time.Unix(unix, 0).UTC().Format(time.RFC3339) }
