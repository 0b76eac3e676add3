package report

import (
	"encoding/csv"
	"io"
	"strconv"
	"strings"

	"github.com/ergon-hpc/ergon/agent/internal/term"
	"github.com/ergon-hpc/ergon/shared/efficiency"
)

// CSV writes one row for each job. Numbers are unrounded, in the units of the metrics; a missing number is an empty
// cell, and its reasons stand in the column after it.
type CSV struct {
	w       *csv.Writer
	started bool
}

// NewCSV writes to out.
func NewCSV(out io.Writer) *CSV { return &CSV{w: csv.NewWriter(out)} }

var jobColumns = []string{
	"id", "job_id", "cluster", "user", "account", "partition", "name", "state", "slurm_state", "nodes", "cpus", "gpus",
	"memory_bytes", "submit", "start", "end", "elapsed_s", "limit_s",
}

// Add writes one job, and the header before the first.
func (c *CSV) Add(r efficiency.Report) error {
	if !c.started {
		c.started = true
		if err := c.w.Write(csvHeader()); err != nil {
			return err
		}
	}
	j := r.Job
	row := []string{
		r.ID, j.JobID, j.Cluster, j.User, j.Account, j.Partition, j.Name, j.State, j.SlurmState,
		whole(j.Nodes), whole(j.CPUs), whole(j.GPUs), number(j.MemoryBytes), whole(j.Submit), whole(j.Start), whole(j.End),
		number(j.ElapsedSeconds), number(j.LimitSeconds),
	}
	for _, name := range efficiency.MetricNames() {
		m := r.Metrics[name]
		row = append(row, number(m.Value), string(m.Bound), reasonCodes(m.Reasons))
	}
	row = append(row, r.Verdict)
	for i := range row {
		row[i] = Harmless(row[i])
	}
	if err := c.w.Write(row); err != nil {
		return err
	}
	c.w.Flush()
	return c.w.Error()
}

func csvHeader() []string {
	header := append([]string{}, jobColumns...)
	for _, name := range efficiency.MetricNames() {
		n := string(name)
		header = append(header, n, n+"_bound", n+"_reasons")
	}
	return append(header, "verdict")
}

func whole(v *int64) string {
	if v == nil {
		return ""
	}
	return strconv.FormatInt(*v, 10)
}

func number(v *float64) string {
	if v == nil {
		return ""
	}
	return strconv.FormatFloat(*v, 'f', -1, 64)
}

func reasonCodes(reasons efficiency.Reasons) string {
	texts := make([]string, len(reasons))
	for i, r := range reasons {
		texts[i] = string(r)
	}
	return strings.Join(texts, " ")
}

// Harmless keeps a spreadsheet from taking a hostile job name for a formula (OWASP, CSV injection), and a terminal from
// acting on it; numbers stay.
func Harmless(text string) string {
	text = term.Clean(text)
	if text == "" || !strings.ContainsRune("=+-@\t\r", rune(text[0])) {
		return text
	}
	if _, err := strconv.ParseFloat(text, 64); err == nil {
		return text
	}
	return "'" + text
}
