package jobs

import (
	"slices"
	"strings"
	"testing"

	"github.com/ergon-hpc/ergon/shared/slurmfmt"
	"github.com/ergon-hpc/ergon/shared/workprint"
)

func TestOfASubmitLineOnlyThePrintOfItsArgumentsIsKept(t *testing.T) {
	kept := essence("sbatch -n 4 --mem=2G job.sh in.dat --passphrase=hunter2 7", "x")
	if text := workprint.OfLine(kept, ""); text == nil || !slices.Equal(text.Numbers, []float64{7}) || text.Digest != workprint.Arguments("in.dat --passphrase=other 8").Digest {
		t.Errorf("%q: %+v", kept, text)
	}
	if strings.ContainsAny(kept, "./") || strings.Contains(kept, "hunter") || !strings.HasPrefix(kept, "-n --ergon-arguments=") {
		t.Errorf("kept %q", kept)
	}
	if kept := essence("srun -n 4 a.out", "x"); kept != "-n" {
		t.Errorf("kept %q", kept)
	}
}

// sacct gives no quotes: only the job's name says where that of -J ends, also on a site that does not store it.
func TestTheNameOfAJobSaysWhereItsScriptStands(t *testing.T) {
	c := cleaner{intake: Intake{NoSubmitLine: true, NoJobName: true}}
	columns := slurmfmt.NewColumns("JobName", "SubmitLine")
	for name, want := range map[string]string{"fit": " --ergon-arguments=" + workprint.Arguments("job.sh 5").Digest + ":5", "fit a20": ""} {
		r := c.clean(slurmfmt.NewRecord(columns, []string{name, "sbatch -n 4 -J fit a20 job.sh 5"}, nil))
		if got := r.At(1); r.At(0) != "" || got != "-n"+want {
			t.Errorf("of a job named %q %q is kept", name, got)
		}
	}
}
