package slurmtest

import (
	"strings"

	"github.com/ergon-hpc/ergon/shared/slurmfmt"
)

// mark stands for the delimiter, which the agent draws anew for each call; the fake command puts it in.
const mark = "@D@"

// Row is one row by column name; absent columns are empty.
type Row map[string]string

// Squeue prints rows as the agent's squeue call would.
func Squeue(rows ...Row) string { return lines(slurmfmt.SqueueColumns(), false, rows) }

// Sacct prints rows as the agent's sacct call would, with the header.
func Sacct(rows ...Row) string { return lines(slurmfmt.SacctColumns(), true, rows) }

func lines(columns []string, header bool, rows []Row) string {
	var b strings.Builder
	if header {
		b.WriteString(strings.Join(columns, mark) + "\n")
	}
	for _, row := range rows {
		fields := make([]string, len(columns))
		for i, name := range columns {
			fields[i] = row[name]
		}
		b.WriteString(strings.Join(fields, mark) + "\n")
	}
	return b.String()
}
