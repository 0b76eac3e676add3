package efficiency

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ergon-hpc/ergon/e2e/harness"
	"github.com/ergon-hpc/ergon/e2e/site"
)

const (
	mib      = 1 << 20
	askEvery = 200 * time.Millisecond
	// around is what a process has beside the memory that it was told to touch: interpreter, shell, libraries.
	around = 20 * mib
	// watts is what dev/slurm/lib/feeder.py makes of each node: 100 W package and 20 W memory.
	watts = 120
)

// known is a job of known behaviour.
type known struct {
	name   string
	submit func(*testing.T) string
	check  func(t *testing.T, id string)
}

// TestJobsOfKnownBehaviour submits all jobs before it looks at the first: they run beside one another.
func TestJobsOfKnownBehaviour(t *testing.T) {
	harness.Need(t, world)
	world.LogOnFailure(t)
	jobs := []known{
		{"one of four cores busy for 20 s on a node of 100 W + 20 W", submitBurn, burned},
		{"the time in which a job was suspended is not counted", submitPaused, paused},
		{"300 MB touched", submitTouch, touched},
		{"two steps at the same time need what both need", submitBoth, both},
		{"two steps one after the other need what the larger one needs", submitTurns, turns},
		{"ranks of very different size need their sum", submitRanks, ranks},
	}
	ids := make([]string, len(jobs))
	for i, job := range jobs {
		ids[i] = job.submit(t)
	}
	t.Run("a running job is told so", func(t *testing.T) { running(t, ids[0]) })
	t.Run("a running job is seen live on the server", func(t *testing.T) { live(t, ids[0]) })
	suspend(t, ids[1])
	for i, job := range jobs {
		t.Run(job.name, func(t *testing.T) { job.check(t, ids[i]) })
	}
}

// cpuSeconds adds up what the job's processes counted for themselves.
func cpuSeconds(t *testing.T, output string) (sum float64) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(alice.Home, output))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`cpu_seconds=([0-9.]+)`).FindAllStringSubmatch(string(text), -1) {
		v, err := strconv.ParseFloat(m[1], 64)
		if err != nil {
			t.Fatal(err)
		}
		sum += v
	}
	if sum == 0 {
		t.Fatalf("%s counts no CPU time:\n%s", output, text)
	}
	return sum
}

// cpu compares the CPU time with the processes' own count: 0.3 s for shells and launchers, and three percent.
func cpu(t *testing.T, r report, own float64) {
	t.Helper()
	slack := 0.3 + 0.03*own
	r.between(t, "cpu_used", own-slack, own+slack)
	allocated := *r.Job.CPUs * *r.Job.Elapsed
	r.between(t, "cpu_efficiency", 100*(own-slack)/allocated, 100*(own+slack)/allocated)
}

func submitBurn(t *testing.T) string {
	return alice.Sbatch(t, fmt.Sprintf(`#!/bin/bash
#SBATCH --job-name=burn --exclusive --nodes=1 --ntasks=1 --cpus-per-task=4 --mem=300M --time=5 --profile=all --output=burn-%%j.out
exec python3 %s 20 10
`, world.Burn()))
}

func burned(t *testing.T, id string) {
	r := finished(t, id, true)
	cpu(t, r, cpuSeconds(t, "burn-"+id+".out"))
	elapsed := *r.Job.Elapsed
	// Slurm reads the meter once a second, on a busy machine a little later; elapsed is in whole seconds.
	low, high := watts*(elapsed-3), watts*(elapsed+1.5)
	r.between(t, "energy", low, high)
	r.between(t, "power_average", low/elapsed, high/elapsed)
	r.peak(t, id)
	r.between(t, "energy_delay_product", low*elapsed, high*elapsed)
	if m := r.Metrics["energy"]; m.Source != "consumed_energy" || m.Bound != "exact" {
		t.Errorf("energy %s: the node was the job's own, so its energy is exact", m)
	}
	lines(t, id)
	if !strings.Contains(r.Everyday, "phone") {
		t.Errorf("in everyday words: %q", r.Everyday)
	}
	if slices.ContainsFunc(r.Findings, func(f struct {
		Rule string `json:"rule"`
	},
	) bool {
		return f.Rule == "source_disagreement"
	}) {
		t.Error("profile and accounting of the same job disagree")
	}
}

// lines checks the series of the node against what dev/slurm/lib/feeder.py makes of each node: ten reads of 512 KiB and
// ten writes of 256 KiB in a second, through Slurm's Lustre plugin, which records counters.
func lines(t *testing.T, id string) {
	t.Helper()
	r := seff(t, id)
	for name, want := range map[string]float64{"filesystem_read": 10 * 524288, "filesystem_write": 10 * 262144, "power": watts} {
		if got := r.total(t, name); math.Abs(got-want) > 0.15*want {
			t.Errorf("%s is %g on average, the node did %g", name, got, want)
		}
	}
	if in := r.total(t, "network_in"); in < 0 || in > 1e9 {
		t.Errorf("network_in is %g bytes per second on average", in)
	}
}

// running asks for the job before it ends: sstat knows what sacct does not yet.
func running(t *testing.T, id string) {
	var r report
	harness.EventuallyEach(t, site.Patience, askEvery, func() (bool, string) {
		r, _ = ask(t, id) // sacct shows a job some moments after its submission
		m := r.Metrics["cpu_used"]
		return r.Job.SlurmState != "PENDING" && m.Value != nil && *m.Value >= 1, fmt.Sprintf("job %s is %s, CPU %s", id, r.Job.SlurmState, m)
	})
	m := r.Metrics["cpu_used"]
	if r.Job.SlurmState != "RUNNING" || m.Bound != "lower" || !slices.Contains(m.Reasons, "running") {
		t.Fatalf("state %s, CPU %s: want a lower bound of a running job", r.Job.SlurmState, m)
	}
	if used := *m.Value; used > *r.Job.Elapsed+2 {
		t.Errorf("%g CPU seconds after %g seconds on one core", used, *r.Job.Elapsed)
	}
}

// live asks the server before the job ends: the agent samples it as its user.
func live(t *testing.T, id string) {
	job := alice.WaitJob(t, id, "known to the server", func(j site.Job) bool { return j.State == "RUNNING" })
	var m site.Metric
	harness.EventuallyEach(t, site.Patience, askEvery, func() (bool, string) {
		r, ok := alice.Report(t, job.ID)
		m = r.Metrics["cpu_used"]
		return ok && r.Job.SlurmState == "RUNNING" && m.Value != nil && *m.Value >= 1, fmt.Sprintf("job %s has no sample: %+v", id, m)
	})
	if m.Source != "sstat" || !slices.Contains(m.Reasons, "running") {
		t.Errorf("CPU %+v: want what sstat saw of a running job", m)
	}
}

func submitTouch(t *testing.T) string {
	return alice.Sbatch(t, fmt.Sprintf(`#!/bin/bash
#SBATCH --job-name=touch --ntasks=1 --mem=400M --time=5 --profile=task --output=touch-%%j.out
srun python3 %s 12 300 0.05
`, world.Burn()))
}

func touched(t *testing.T, id string) {
	r := finished(t, id, true)
	// The batch script and the task it started hold their memory at the same time.
	r.between(t, "memory_peak", 300*mib, 300*mib+2*around)
	r.between(t, "memory_efficiency", 100*300.0/400, 100*(300*mib+2*around)/(400*mib))
	if m := r.Metrics["memory_peak"]; m.Source != "hdf5_profile" || m.Bound != "estimate" || !slices.Contains(m.Reasons, "sampled") {
		t.Errorf("memory %s: want the profile's, which is sampled", m)
	}
	cpu(t, r, cpuSeconds(t, "touch-"+id+".out"))
}

func submitBoth(t *testing.T) string {
	return alice.Sbatch(t, fmt.Sprintf(`#!/bin/bash
#SBATCH --job-name=both --ntasks=2 --mem=500M --time=5 --output=both-%%j.out
srun --exact --ntasks=1 --mem=220M python3 %[1]s 8 150 0.05 &
srun --exact --ntasks=1 --mem=220M python3 %[1]s 8 150 0.05 &
wait
`, world.Burn()))
}

func both(t *testing.T, id string) {
	r := finished(t, id, false)
	r.between(t, "memory_peak", 300*mib, 300*mib+2*around)
	cpu(t, r, cpuSeconds(t, "both-"+id+".out"))
}

func submitTurns(t *testing.T) string {
	return alice.Sbatch(t, fmt.Sprintf(`#!/bin/bash
#SBATCH --job-name=turns --ntasks=1 --mem=300M --time=5 --output=turns-%%j.out
srun python3 %[1]s 5 150 0.05
srun python3 %[1]s 5 100 0.05
`, world.Burn()))
}

func turns(t *testing.T, id string) {
	r := finished(t, id, false)
	r.between(t, "memory_peak", 150*mib, 150*mib+around)
	cpu(t, r, cpuSeconds(t, "turns-"+id+".out"))
}

func submitRanks(t *testing.T) string {
	return alice.Sbatch(t, fmt.Sprintf(`#!/bin/bash
#SBATCH --job-name=ranks --nodes=1 --ntasks=4 --mem=800M --time=5 --output=ranks-%%j.out
srun bash -c 'exec python3 %s 8 $((SLURM_PROCID == 0 ? 240 : 40)) 0.05'
`, world.Burn()))
}

func ranks(t *testing.T, id string) {
	r := finished(t, id, false)
	// The largest rank times four would be 960 MiB, more than the job had.
	r.between(t, "memory_peak", 360*mib, 360*mib+4*around)
	cpu(t, r, cpuSeconds(t, "ranks-"+id+".out"))
}

func submitPaused(t *testing.T) string {
	return alice.Sbatch(t, fmt.Sprintf(`#!/bin/bash
#SBATCH --job-name=paused --ntasks=1 --mem=100M --time=5 --output=paused-%%j.out
exec python3 %s 12 10 0.2
`, world.Burn()))
}

const pause = 6 * time.Second

// suspend stops a job for a while.
func suspend(t *testing.T, id string) {
	alice.WaitJob(t, id, "running", func(j site.Job) bool { return j.State == "RUNNING" })
	world.Root(t, "scontrol", "suspend", id)
	time.Sleep(pause) // the time itself is what is measured
	world.Root(t, "scontrol", "resume", id)
}

func paused(t *testing.T, id string) {
	r := finished(t, id, false)
	if r.Job.Suspended == nil || *r.Job.Suspended < pause.Seconds()-1 {
		t.Fatalf("suspended for %v seconds, want at least %v", r.Job.Suspended, pause.Seconds()-1)
	}
	if whole := *r.Job.End - *r.Job.Start; math.Abs(*r.Job.Elapsed+*r.Job.Suspended-whole) > 2 {
		t.Errorf("ran %g s, suspended %g s of %g s", *r.Job.Elapsed, *r.Job.Suspended, whole)
	}
	if m := r.Metrics["cpu_efficiency"]; !slices.Contains(m.Reasons, "suspended") {
		t.Errorf("CPU %s: the suspension is not named", m)
	}
	cpu(t, r, cpuSeconds(t, "paused-"+id+".out"))
}
