package site

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/ergon-hpc/ergon/e2e/harness"
)

// Patience is how long a thing may take that is over within seconds on a machine with nothing else to do.
const Patience = 120 * time.Second

// askEvery is how often the server is asked.
const askEvery = 200 * time.Millisecond

// WaitJob waits until the server shows the job and the condition holds for it, and returns it.
func (p *Person) WaitJob(t testing.TB, slurmID, what string, condition func(Job) bool) Job {
	t.Helper()
	return p.WaitJobs(t, slurmID, 1, what, condition)[0]
}

// WaitJobs waits for exactly n jobs (the tasks of an array) for which the condition holds.
func (p *Person) WaitJobs(t testing.TB, slurmID string, n int, what string, condition func(Job) bool) (jobs []Job) {
	t.Helper()
	harness.EventuallyEach(t, Patience, askEvery, func() (bool, string) {
		jobs = p.Jobs(t, slurmID)
		if len(jobs) != n {
			return false, fmt.Sprintf("the server shows %d jobs for %s, want %d that are %s", len(jobs), slurmID, n, what)
		}
		for _, j := range jobs {
			if !condition(j) {
				return false, fmt.Sprintf("job %s is not %s: %s (%s), upload %s", j.SlurmJobID, what, j.State, j.SlurmState, j.UploadPhase)
			}
		}
		return true, ""
	})
	return jobs
}

// Ended says that Slurm's end of the job has reached the server.
func Ended(j Job) bool { return j.State == "DONE" || j.State == "FAILED" }

// Settled says that the end and all outputs of a job that went through the wrapper have reached the server.
func Settled(j Job) bool { return Ended(j) && j.UploadPhase == "verified" }

// WaitReport waits for a report for which the condition holds.
func (p *Person) WaitReport(t testing.TB, jobID, what string, condition func(Report) bool) (r Report) {
	t.Helper()
	harness.EventuallyEach(t, Patience, askEvery, func() (bool, string) {
		var ok bool
		r, ok = p.Report(t, jobID)
		if !ok {
			return false, "job " + jobID + " has no report"
		}
		return condition(r), fmt.Sprintf("the report is not %s: sources %v, verdict %q", what, r.Sources, r.Verdict)
	})
	return r
}

// SHA256 is a local file's checksum in hex.
func SHA256(t testing.TB, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return Sum(data)
}

// Sum is the checksum of data in hex.
func Sum(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
