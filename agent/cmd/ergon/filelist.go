package main

import (
	"encoding/csv"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/ergon-hpc/ergon/agent/internal/report"
	"github.com/ergon-hpc/ergon/shared/api"
)

// fileList prints stored files as they come, page by page.
type fileList struct {
	format format
	json   *json.Encoder
	csv    *csv.Writer
	table  *table
	all    []listedFile // for yaml
	took   footprints   // of a job's files, nil where they are not asked for or not known
	count  int
	bytes  int64
	chosen bool // not all files were asked for
	app    *app
}

func (a *app) newFileList(f format) *fileList {
	return &fileList{format: f, json: newEncoder(a.Out), csv: csv.NewWriter(a.Out), table: newTable(a.Out, a.style()), app: a}
}

// listedFile is a stored file, of a job with its part of what the job took.
type listedFile struct {
	api.FileObject
	Footprint *api.Footprint `json:"footprint,omitempty"`
}

func (l *fileList) listed(f api.FileObject) listedFile {
	out := listedFile{FileObject: f}
	if took, known := l.took[f.Id]; known {
		out.Footprint = &took
	}
	return out
}

func (l *fileList) add(f api.FileObject) error {
	l.count++
	l.bytes += f.Size
	switch l.format {
	case formatJSON:
		return l.json.Encode(l.listed(f))
	case formatYAML:
		l.all = append(l.all, l.listed(f))
		return nil
	case formatCSV:
		return l.row(f)
	}
	if l.count == 1 {
		head := []string{"ID", "CLASS", "SIZE", "STORED"}
		if l.took != nil {
			head = append(head, "ENERGY", "COST", "CARBON")
		}
		l.table.head(append(head, "NAME")...)
	}
	cells := []string{f.Id.String(), string(f.Class), report.Bytes(float64(f.Size)), f.CreatedAt.Local().Format("2006-01-02 15:04")}
	l.table.add(append(append(cells, l.took.cells(f.Id)...), place(f))...)
	return nil
}

// place is where a file is for its owner: below jobs/JOB/ATTEMPT/ what a job left, else the file's own name.
func place(f api.FileObject) string {
	if _, below, found := strings.Cut(f.Key, "/"); found && f.JobId != nil {
		return below
	}
	return f.Name
}

func (l *fileList) row(f api.FileObject) error {
	if l.count == 1 {
		head := []string{"id", "name", "class", "size", "sha256", "created_at", "expires_at", "job_id", "attempt", "key"}
		if l.took != nil {
			head = append(head, "energy_joule", "cost", "cost_unit", "carbon_gram")
		}
		if err := l.csv.Write(head); err != nil {
			return err
		}
	}
	job, attempt := "", ""
	if f.JobId != nil {
		job = f.JobId.String()
	}
	if f.Attempt != nil {
		attempt = strconv.Itoa(int(*f.Attempt))
	}
	cells := []string{
		f.Id.String(), f.Name, string(f.Class), strconv.FormatInt(f.Size, 10), f.Sha256, f.CreatedAt.UTC().Format(time.RFC3339),
		stampOf(f.ExpiresAt), job, attempt, f.Key,
	}
	if l.took != nil {
		cells = append(cells, l.took.row(f.Id)...)
	}
	for i := range cells {
		cells[i] = report.Harmless(cells[i])
	}
	return l.csv.Write(cells)
}

func (l *fileList) close() error {
	switch l.format {
	case formatYAML:
		return report.YAML(l.app.Out, l.all)
	case formatCSV:
		l.csv.Flush()
		return l.csv.Error()
	case formatJSON:
		return nil
	}
	if l.count == 0 {
		text := "No stored files. Put one: ergon files put FILE\n"
		if l.chosen {
			text = "No stored files match. All of yours: ergon files ls\n"
		}
		_, err := l.app.Out.Write([]byte(text))
		return err
	}
	if err := l.table.write(); err != nil {
		return err
	}
	_, err := l.app.Out.Write([]byte(strconv.Itoa(l.count) + " files, " + report.Bytes(float64(l.bytes)) + "\n"))
	return err
}
