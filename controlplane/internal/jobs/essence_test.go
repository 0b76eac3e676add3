package jobs

import (
	"slices"
	"strings"
	"testing"

	"github.com/ergon-hpc/ergon/shared/workprint"
)

func TestOfASubmitLineOnlyThePrintOfItsArgumentsIsKept(t *testing.T) {
	kept := essence("sbatch -n 4 --mem=2G job.sh in.dat --passphrase=hunter2 7")
	if text := workprint.OfLine(kept); text == nil || !slices.Equal(text.Numbers, []float64{7}) || text.Digest != workprint.Arguments("in.dat --passphrase=other 8").Digest {
		t.Errorf("%q: %+v", kept, text)
	}
	if strings.ContainsAny(kept, "./") || strings.Contains(kept, "hunter") || !strings.HasPrefix(kept, "-n --ergon-arguments=") {
		t.Errorf("kept %q", kept)
	}
	if kept := essence("srun -n 4 a.out"); kept != "-n" {
		t.Errorf("kept %q", kept)
	}
}
