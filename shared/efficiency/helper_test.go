package efficiency

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ergon-hpc/ergon/shared/hdf5/profile"
	"github.com/ergon-hpc/ergon/shared/slurmfmt"
)

// row makes a record from "Column=value" pairs; of a column given twice the last counts.
func row(pairs ...string) *slurmfmt.Record {
	var names, values []string
	for _, p := range pairs {
		name, v, _ := strings.Cut(p, "=")
		if i := slices.Index(names, name); i >= 0 {
			values[i] = v
			continue
		}
		names, values = append(names, name), append(values, v)
	}
	return slurmfmt.NewRecord(slurmfmt.NewColumns(names...), values, nil)
}

func analyse(t interface{ Helper() }, rows ...*slurmfmt.Record) Report {
	t.Helper()
	return Analyse(Input{Rows: rows})
}

// want compares a metric with a value that has a relative error of at most 1e-9.
func want(t *testing.T, r Report, name MetricName, expected float64) Metric {
	t.Helper()
	m := r.Metrics[name]
	if m.Value == nil {
		t.Fatalf("%s is missing (%v), want %v", name, m.Reasons, expected)
	}
	if diff := *m.Value - expected; diff > 1e-9*expected || diff < -1e-9*expected {
		t.Fatalf("%s = %v, want %v", name, *m.Value, expected)
	}
	return m
}

func wantMissing(t *testing.T, r Report, name MetricName, why Reason) Metric {
	t.Helper()
	m := r.Metrics[name]
	if m.Value != nil {
		t.Fatalf("%s = %v, want it missing", name, *m.Value)
	}
	if !m.Has(why) {
		t.Fatalf("%s is missing with %v, want %s among the reasons", name, m.Reasons, why)
	}
	return m
}

func hasRule(r Report, rule Rule) *Finding {
	for i := range r.Findings {
		if r.Findings[i].Rule == rule {
			return &r.Findings[i]
		}
	}
	return nil
}

func sacctRows(t *testing.T, path string, opt slurmfmt.Options) []*slurmfmt.Record {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rd, err := slurmfmt.NewReader(f, opt)
	if err != nil {
		t.Fatal(err)
	}
	var out []*slurmfmt.Record
	for {
		r, err := rd.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, r.Clone())
	}
}

func profileFile(t *testing.T, name string) ProfileFile {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "hdf5", "testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	p, err := profile.Open(bytes.NewReader(data), int64(len(data)), profile.Options{})
	if err != nil {
		t.Fatal(err)
	}
	n, err := profile.ParseFileName(name)
	if err != nil {
		t.Fatal(err)
	}
	return ProfileFile{Step: n.Step, Node: n.Node, Profile: p}
}

type record = slurmfmt.Record
