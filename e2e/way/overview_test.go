package way

import (
	"strings"
	"testing"

	"github.com/ergon-hpc/ergon/e2e/harness"
	"github.com/ergon-hpc/ergon/e2e/site"
)

func TestErgonAloneIsTheServersSummary(t *testing.T) {
	harness.Need(t, world)
	world.LogOnFailure(t)
	job := bob.WaitJob(t, bob.Sbatch(t, "#!/bin/bash\n#SBATCH --mem=50M --output=alone-%j.out\nexit 3\n"), "ended", site.Ended)
	bob.WaitReport(t, job.ID, "there", func(site.Report) bool { return true })
	out := bob.Must(t, "ergon")
	for _, want := range []string{"Your last 30 days:", "failed", "from " + world.URL} {
		if !strings.Contains(out, want) {
			t.Errorf("ergon alone lacks %q:\n%s", want, out)
		}
	}
}

// Whoever starts the server reads where it listens and how the first account is made; what is printed works.
func TestTheServerSaysWhereItListensAndHowTheFirstAccountIsMade(t *testing.T) {
	harness.Need(t, world)
	log := world.Server().Log()
	if want := "ergon-server listens on " + world.URL + "\n"; !strings.Contains(log, want) {
		t.Errorf("the server did not print %q", want)
	}
	_, rest, found := strings.Cut(log, "first account:  ergon-server admin ")
	command, _, _ := strings.Cut(rest, "   (")
	words := strings.Fields(strings.Replace(command, "NAME", "firstadmin", 1))
	if !found || len(words) < 3 {
		t.Fatalf("the server did not print how the first account is made")
	}
	const password = "a battery, a horse and a staple"
	if _, err := world.Admin(t.Context(), password+"\n", words...); err != nil {
		t.Fatal(err)
	}
	if err := world.Login(t.Context(), "firstadmin", password); err != nil {
		t.Error(err)
	}
}
