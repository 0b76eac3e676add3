package way

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ergon-hpc/ergon/e2e/harness"
	"github.com/ergon-hpc/ergon/e2e/site"
)

func TestInputsAreInTheDirectoryBeforeTheJobStarts(t *testing.T) {
	harness.Need(t, world)
	world.LogOnFailure(t)
	for name, text := range map[string]string{"way-mesh.txt": "a mesh\n", "way-start.txt": "a start\n"} {
		alice.Must(t, "ergon", "files", "put", alice.Write(t, name, text, 0o644))
	}
	id := alice.Sbatch(t, `#!/bin/bash
#SBATCH --job-name=inputs --mem=50M --output=inputs-%j.out
#ERGON inputs=way-mesh.txt,way-start.txt
cd "${ERGON_INPUT_DIR:?}"
cat way-mesh.txt way-start.txt
ls
`)
	job := alice.WaitJob(t, id, "settled", site.Settled)
	text, err := os.ReadFile(filepath.Join(alice.Home, "inputs-"+id+".out"))
	if want := "a mesh\na start\nway-mesh.txt\nway-start.txt\n"; err != nil || string(text) != want || job.State != "DONE" {
		t.Errorf("job %s; it read %q, %v; want %q", job.State, text, err, want)
	}
	alice.WaitReport(t, job.ID, "there", func(site.Report) bool { return true })
	var r struct {
		Job struct {
			InputBytes *float64 `json:"input_bytes"`
		} `json:"job"`
	}
	if _, err := alice.Get(t.Context(), "/jobs/"+job.ID+"/efficiency", &r); err != nil || r.Job.InputBytes == nil || *r.Job.InputBytes != 15 {
		t.Errorf("the report knows %v bytes of inputs (%v), want 15", r.Job.InputBytes, err)
	}
}

// The terminal is script(1)'s: the wrapper speaks to terminals only.
func TestAnInputThatIsNotStoredIsSaidAndTheJobIsSubmittedAllTheSame(t *testing.T) {
	harness.Need(t, world)
	world.LogOnFailure(t)
	script := alice.Write(t, "noinput.sh", `#!/bin/bash
#SBATCH --job-name=noinput --mem=50M --output=noinput-%j.out
#ERGON inputs=way-nowhere.txt
cat "${ERGON_INPUT_DIR:?}/way-nowhere.txt"
`, 0o755)
	program, err := harness.Binary("ergon")
	if err != nil {
		t.Fatal(err)
	}
	out := alice.Must(t, "script", "-qec", program+" sbatch "+script, "/dev/null")
	for _, want := range []string{`input "way-nowhere.txt"`, "ergon files ls", "ERGON_INPUT_DIR is not set", "Submitted batch job "} {
		if !strings.Contains(out, want) {
			t.Errorf("the terminal lacks %q:\n%s", want, out)
		}
	}
	fields := strings.Fields(out)
	if len(fields) == 0 {
		t.Fatal("the terminal shows nothing")
	}
	id := fields[len(fields)-1]
	if job := alice.WaitJob(t, id, "settled", site.Settled); job.State != "FAILED" || job.SubmissionID == "" {
		t.Errorf("job %+v, want it tagged, and ended by the variable that is not set", job)
	}
}
