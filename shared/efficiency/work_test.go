package efficiency

import (
	"strings"
	"testing"
)

func TestWhatAJobDoesWhereItsNameDoesNotSay(t *testing.T) {
	const run = "0b1c7a52-6f0e-4c39-9f55-0a2d7b9f4c11"
	work := func(pairs ...string) string {
		return Analyse(Input{Rows: []*record{row(append([]string{"JobID=1", "State=COMPLETED"}, pairs...)...)}}).Job.Work
	}
	for want, pairs := range map[string][]string{
		"snakejob.map":         {"JobName=" + run, "Comment=rule_map_wildcards_sample7"},
		"snakejob.bwa_mem":     {"JobName=" + run, "Comment=rule_bwa_mem"},
		"snakejob.sort.all":    {"JobName=" + run, "SubmitLine=sbatch --parsable --job-name " + run + " --comment rule_sort.all_wildcards_x --mem 4 a"},
		"snakejob.behind_ours": {"JobName=" + run, "Comment=ergon1:" + run + "|rule_behind_ours_wildcards_1"},
	} {
		if got := work(pairs...); got != want {
			t.Errorf("%v: %q, want %q", pairs, got, want)
		}
	}
	for _, pairs := range [][]string{{"JobName=" + run}, {"JobName=fit_1", "Comment=rule_map"}, {"JobName=wrap"}, {"JobName=wrap", "SubmitLine=sbatch a.sh"}} {
		if got := work(pairs...); got != "" {
			t.Errorf("%v: %q", pairs, got)
		}
	}
	a, b := work("JobName=wrap", "SubmitLine=sbatch --mem=4G --wrap=python fit.py --lr 0.1"), work("JobName=wrap", "SubmitLine=sbatch --mem=8G --wrap python fit.py --lr 0.25")
	if a != b || !strings.HasPrefix(a, "wrap.") || strings.Contains(a, "python") || a == work("JobName=wrap", "SubmitLine=sbatch --wrap=python other.py") {
		t.Errorf("%q, %q", a, b)
	}
}
