package slurmfmt

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
)

// benchDump repeats real rows: jobs with their steps, 44 columns.
func benchDump(b *testing.B, delimiter string) (text string, rows int) {
	b.Helper()
	data, err := NewReader(bytes.NewReader(readFixture(b, "sacct_agent_fields.p2")), Options{Columns: agentColumns})
	if err != nil {
		b.Fatal(err)
	}
	var sb strings.Builder
	for {
		rec, err := data.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			b.Fatal(err)
		}
		if rec.Damaged() == nil {
			sb.WriteString(strings.Join(rec.fields, delimiter) + "\n")
			rows++
		}
	}
	const copies = 200
	return strings.Repeat(sb.String(), copies), rows * copies
}

func benchReader(b *testing.B, delimiter string) {
	text, rows := benchDump(b, delimiter)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		rd, err := NewReader(strings.NewReader(text), Options{Columns: agentColumns, Delimiter: delimiter})
		if err != nil {
			b.Fatal(err)
		}
		n := 0
		for {
			if _, err := rd.Next(); err != nil {
				break
			}
			n++
		}
		if n != rows {
			b.Fatalf("%d rows of %d", n, rows)
		}
	}
	b.ReportMetric(float64(rows*b.N)/b.Elapsed().Seconds(), "rows/s")
}

func BenchmarkReaderPipe(b *testing.B)          { benchReader(b, "|") }
func BenchmarkReaderRareDelimiter(b *testing.B) { benchReader(b, testDelimiter) }

// BenchmarkReaderTyped also parses what the analysis needs of each row.
func BenchmarkReaderTyped(b *testing.B) {
	text, rows := benchDump(b, "|")
	b.ReportAllocs()
	for b.Loop() {
		rd, err := NewReader(strings.NewReader(text), Options{Columns: agentColumns, Delimiter: "|"})
		if err != nil {
			b.Fatal(err)
		}
		for {
			rec, err := rd.Next()
			if err != nil {
				break
			}
			if _, err := rec.ID(); err != nil {
				b.Fatal(err)
			}
			rec.State()
			rec.Elapsed()
			rec.Duration("TotalCPU")
			rec.Time("Start")
			rec.Time("End")
			rec.Size("MaxRSS")
			rec.TRES("AllocTRES").AllocMemory()
			rec.TRES("TRESUsageInTot").UsageCPU()
		}
	}
	b.ReportMetric(float64(rows*b.N)/b.Elapsed().Seconds(), "rows/s")
}

func BenchmarkParseJobID(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseJobID("1234567_89.batch"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseTRES(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		ParseTRES("cpu=00:00:04,energy=0,fs/disk=7962,mem=248488K,pages=0,vmem=338344K").UsageMemory()
	}
}
