package hdf5

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ergon-hpc/ergon/shared/hdf5/internal/h5py"
)

// Both benchmarks read every column of the same file of 500 000 task rows and
// report rows/s. The file is written by h5py as Slurm writes it: chunks of ten
// rows, deflate level 0.
const benchRows = 500_000

func benchFile(b *testing.B, shape string) string {
	b.Helper()
	return h5py.Generate(b, shape)[shape]
}

func BenchmarkReadTasks(b *testing.B) {
	for _, shape := range []string{"bench_tasks", "bench_deflated"} {
		data := readFile(b, benchFile(b, shape))
		for mode, whole := range map[string]int64{"memory": wholeFileBytes, "windows": -1} {
			b.Run(shape+"/"+mode, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if rows := readAllColumns(b, data, whole); rows != benchRows {
						b.Fatalf("%d rows", rows)
					}
				}
				b.ReportMetric(benchRows*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
			})
		}
	}
}

func readAllColumns(b *testing.B, data []byte, whole int64) int {
	b.Helper()
	f, err := open(bytes.NewReader(data), int64(len(data)), Options{}, whole)
	if err != nil {
		b.Fatal(err)
	}
	o, err := f.Lookup("/n1/Tasks/0")
	if err != nil {
		b.Fatal(err)
	}
	d, err := o.Dataset()
	if err != nil {
		b.Fatal(err)
	}
	columns := make([][]float64, len(d.Type().Members))
	for i := range columns {
		columns[i] = make([]float64, 0, d.LikelyLen())
	}
	err = eachBatch(d, func(r Rows) {
		for i, m := range d.Type().Members {
			columns[i] = r.AppendFloat64(columns[i], m)
		}
	})
	if err != nil {
		b.Fatal(err)
	}
	return len(columns[0])
}

// timeScript reads all columns as float64, as BenchmarkReadTasks does, and prints
// the seconds of each repetition.
const timeScript = `
import sys, time, h5py
for _ in range(int(sys.argv[2])):
    t = time.perf_counter()
    with h5py.File(sys.argv[1], 'r') as f:
        data = f['/n1/Tasks/0'][...]
        columns = [data[n].astype('f8') for n in data.dtype.names]
    print(time.perf_counter() - t)
    assert len(columns[0]) == 500000
`

// BenchmarkH5py times the same work in h5py, without the start of Python.
func BenchmarkH5py(b *testing.B) {
	for _, shape := range []string{"bench_tasks", "bench_deflated"} {
		path := benchFile(b, shape)
		b.Run(shape, func(b *testing.B) {
			out := h5py.Run(b, timeScript, path, strconv.Itoa(b.N))
			seconds := 0.0
			for _, line := range strings.Fields(string(out)) {
				var s float64
				if _, err := fmt.Sscan(line, &s); err != nil {
					b.Fatal(err)
				}
				seconds += s
			}
			perRead := time.Duration(seconds / float64(b.N) * float64(time.Second))
			b.ReportMetric(float64(perRead.Nanoseconds()), "ns/op")
			b.ReportMetric(benchRows/perRead.Seconds(), "rows/s")
		})
	}
}
