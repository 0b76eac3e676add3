package main

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/mattn/go-runewidth"

	"github.com/ergon-hpc/ergon/agent/internal/report"
	"github.com/ergon-hpc/ergon/agent/internal/term"
	"github.com/ergon-hpc/ergon/shared/api"
	"github.com/ergon-hpc/ergon/shared/efficiency"
)

// jobRow is one line of `ergon jobs`, the same from the server and from the local Slurm. ID is the server's uuid, ""
// locally.
type jobRow struct {
	ID          string             `json:"id"`
	JobID       string             `json:"job_id"`
	Cluster     string             `json:"cluster"`
	User        string             `json:"user"`
	Name        string             `json:"name"`
	State       string             `json:"state"`
	SlurmState  string             `json:"slurm_state"`
	Reason      string             `json:"reason"`
	Submit      *time.Time         `json:"submit"`
	Start       *time.Time         `json:"start"`
	End         *time.Time         `json:"end"`
	ElapsedS    *float64           `json:"elapsed_s"`
	Nodes       *int64             `json:"nodes"`
	CPUs        *int64             `json:"cpus"`
	CPU         *efficiency.Metric `json:"cpu_efficiency"`
	Memory      *efficiency.Metric `json:"memory_efficiency"`
	Time        *efficiency.Metric `json:"time_efficiency"`
	UploadPhase string             `json:"upload_phase"`
}

func rowOfAPI(j api.Job) jobRow {
	row := jobRow{
		ID: j.Id.String(), JobID: j.SlurmJobId, Cluster: j.Cluster, User: deref(j.UnixUser), Name: deref(j.Name),
		State: string(j.State), SlurmState: j.SlurmState, Reason: deref(j.Reason), Submit: &j.SubmitAt, Start: j.StartAt, End: j.EndAt,
		CPU: j.CpuEfficiency, Memory: j.MemoryEfficiency, Time: j.TimeEfficiency, UploadPhase: string(deref(j.UploadPhase)),
	}
	if j.ElapsedS != nil {
		seconds := float64(*j.ElapsedS)
		row.ElapsedS = &seconds
	}
	row.Nodes, row.CPUs = widen(j.Nodes), widen(j.Cpus)
	return row
}

func widen(v *int32) *int64 {
	if v == nil {
		return nil
	}
	wide := int64(*v)
	return &wide
}

func rowOfReport(r efficiency.Report) jobRow {
	j := r.Job
	row := jobRow{
		JobID: j.JobID, Cluster: j.Cluster, User: j.User, Name: j.Name, State: j.State, SlurmState: j.SlurmState, Reason: j.Reason,
		Submit: moment(j.Submit), Start: moment(j.Start), End: moment(j.End), ElapsedS: j.ElapsedSeconds, Nodes: j.Nodes, CPUs: j.CPUs,
	}
	row.CPU, row.Memory, row.Time = metric(r, efficiency.CPUEfficiency), metric(r, efficiency.MemoryEfficiency), metric(r, efficiency.TimeEfficiency)
	return row
}

func metric(r efficiency.Report, name efficiency.MetricName) *efficiency.Metric {
	if m, known := r.Metrics[name]; known {
		return &m
	}
	return nil
}

func moment(unix *int64) *time.Time {
	if unix == nil {
		return nil
	}
	t := time.Unix(*unix, 0).UTC()
	return &t
}

// printRows prints the list in one format.
func (a *app) printRows(rows []jobRow, f format) error {
	switch f {
	case formatJSON:
		enc := newEncoder(a.Out)
		for _, row := range rows {
			if err := enc.Encode(row); err != nil {
				return err
			}
		}
		return nil
	case formatCSV:
		return rowsCSV(a.Out, rows)
	case formatYAML:
		return report.YAML(a.Out, rows)
	}
	table := newTable(a.Out, a.style())
	table.head("JOB", "CLUSTER", "STATE", "CPU", "MEMORY", "LIMIT", "ELAPSED", "OUTPUTS", "NAME")
	for _, r := range rows {
		state := r.SlurmState
		if r.State == "PENDING" && r.Reason != "" {
			state += " (" + r.Reason + ")"
		}
		table.add(r.JobID, r.Cluster, state, percentOf(r.CPU), percentOf(r.Memory), percentOf(r.Time), secondsOf(r.ElapsedS), r.UploadPhase, r.Name)
	}
	return table.write()
}

func percentOf(m *efficiency.Metric) string {
	if m == nil || m.Value == nil {
		return "–"
	}
	return report.Percent(*m.Value)
}

func secondsOf(v *float64) string {
	if v == nil {
		return "–"
	}
	return report.Seconds(*v)
}

func rowsCSV(out io.Writer, rows []jobRow) error {
	w := csv.NewWriter(out)
	header := []string{
		"id", "job_id", "cluster", "user", "name", "state", "slurm_state", "reason", "submit", "start", "end", "elapsed_s",
		"nodes", "cpus", "cpu_efficiency", "memory_efficiency", "time_efficiency", "upload_phase",
	}
	if err := w.Write(header); err != nil {
		return err
	}
	for _, r := range rows {
		cells := []string{
			r.ID, r.JobID, r.Cluster, r.User, r.Name, r.State, r.SlurmState, r.Reason, stampOf(r.Submit), stampOf(r.Start), stampOf(r.End),
			plain(r.ElapsedS), plain(r.Nodes), plain(r.CPUs), valueOf(r.CPU), valueOf(r.Memory), valueOf(r.Time), r.UploadPhase,
		}
		for i := range cells {
			cells[i] = report.Harmless(cells[i])
		}
		if err := w.Write(cells); err != nil {
			return err
		}
	}
	w.Flush()
	return w.Error()
}

func stampOf(t *time.Time) string {
	if t == nil {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

func plain[T int64 | float64](v *T) string {
	if v == nil {
		return ""
	}
	data, err := json.Marshal(*v)
	if err != nil {
		return ""
	}
	return string(data)
}

func valueOf(m *efficiency.Metric) string {
	if m == nil || m.Value == nil {
		return ""
	}
	return strconv.FormatFloat(*m.Value, 'f', -1, 64)
}

// table prints cells in columns as wide as they need; every cell is cleaned.
type table struct {
	out   io.Writer
	style report.Style
	rows  [][]string
}

func newTable(out io.Writer, style report.Style) *table { return &table{out: out, style: style} }

func (t *table) head(cells ...string) { t.add(cells...) }

func (t *table) add(cells ...string) {
	clean := make([]string, len(cells))
	for i, c := range cells {
		clean[i] = term.Clean(c)
	}
	t.rows = append(t.rows, clean)
}

func (t *table) write() error {
	var widths []int
	for _, row := range t.rows {
		for i, c := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], runewidth.StringWidth(c))
		}
	}
	for n, row := range t.rows {
		var b strings.Builder
		for i, c := range row {
			b.WriteString(runewidth.FillRight(c, widths[i]) + "  ")
		}
		line := strings.TrimRight(b.String(), " ")
		if n == 0 {
			line = t.style.Bold(line)
		}
		if _, err := fmt.Fprintln(t.out, line); err != nil {
			return err
		}
	}
	return nil
}
