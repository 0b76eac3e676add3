package efficiency

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime/metrics"
	"testing"

	"github.com/ergon-hpc/ergon/shared/hdf5/profile"
)

// allocated is how many bytes of heap the process has allocated so far, also those that were freed: a measure of work
// that does not depend on how busy the machine is.
func allocated() int64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return int64(sample[0].Value.Uint64())
}

// costs checks that work allocates at most limit bytes.
func costs(t *testing.T, what string, limit int64, work func()) {
	t.Helper()
	before := allocated()
	work()
	if used := allocated() - before; used > limit {
		t.Errorf("%s: %d bytes allocated, at most %d are in order", what, used, limit)
	}
}

// damage changes 1 to 8 places of a file.
func damage(r *rand.Rand, data []byte) []byte {
	out := bytes.Clone(data)
	for range 1 + r.IntN(8) {
		at := r.IntN(len(out) - 8)
		switch r.IntN(3) {
		case 0:
			out[at] ^= 1 << r.IntN(8)
		case 1:
			out[at] = byte(r.Uint32())
		default:
			copy(out[at:], out[r.IntN(len(out)-8):][:8])
		}
	}
	return out
}

// TestDamagedProfilesMakeSoundReportsWithBoundedWork reads files that were damaged at random as the server does: whatever
// they say, the report is sound, can be stored, and costs what the file's size explains.
func TestDamagedProfilesMakeSoundReportsWithBoundedWork(t *testing.T) {
	var seeds [][]byte
	for _, name := range []string{"20_1_n2.h5", "23_0_n1.h5", "job_23.h5"} {
		data, err := os.ReadFile(filepath.Join("..", "hdf5", "testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		seeds = append(seeds, data)
	}
	rows := []*record{row("JobID=23", "State=COMPLETED", "AllocCPUS=4", "NNodes=2", "NodeList=n[1-2]", "ElapsedRaw=27", "AllocTRES=cpu=4,mem=1G,node=2")}
	const files = 1500
	read := 0
	for i := range files {
		data := damage(rand.New(rand.NewPCG(uint64(i), 9)), seeds[i%len(seeds)])
		limit := 8<<20 + 256*int64(len(data))
		costs(t, fmt.Sprintf("file %d of %d bytes", i, len(data)), limit, func() {
			p, err := profile.Open(bytes.NewReader(data), int64(len(data)), profile.Options{})
			if err != nil {
				return
			}
			read++
			r := Analyse(Input{Rows: rows, Profiles: []ProfileFile{{Step: "0", Node: "n1", Profile: p}}})
			sound(t, r)
			if _, err := json.Marshal(r); err != nil {
				t.Errorf("file %d: %v", i, err)
			}
		})
		if t.Failed() {
			t.FailNow()
		}
	}
	if read < files/10 {
		t.Errorf("only %d of %d files could be read at all: the test does not reach the report", read, files)
	}
}

// hostileColumn holds the most absurd values that profile.Open lets through (see profile.Column).
func hostileColumn(r *rand.Rand, n int) profile.Column {
	odd := []float64{math.NaN(), 0, math.SmallestNonzeroFloat64, 1 << 32, 1 << 62, 1.8446e19}
	c := make(profile.Column, n)
	for i := range c {
		if c[i] = float64(i) * 10; r.IntN(3) == 0 {
			c[i] = odd[r.IntN(len(odd))]
		}
	}
	return c
}

func TestAbsurdSeriesMakeSoundReportsWithBoundedWork(t *testing.T) {
	rows := []*record{row("JobID=8", "State=COMPLETED", "AllocCPUS=4", "NNodes=1", "NodeList=n1", "ElapsedRaw=900", "Start=0", "End=900", "AllocTRES=cpu=4,mem=1G,node=1")}
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 3))
		n := r.IntN(200)
		column := func() profile.Column { return hostileColumn(r, n) }
		clock := profile.Clock{EpochS: column(), ElapsedS: column()}
		node := profile.Node{
			Name:       "n1",
			Tasks:      []profile.TaskSeries{{ID: "0", Clock: clock, CPUTimeS: column(), RSSBytes: column(), GPUUtilPercent: column(), GPUMemBytes: column(), ReadBytes: column()}},
			Energy:     &profile.EnergySeries{Clock: profile.Clock{EpochS: column()}, PowerW: column()},
			Network:    &profile.NetworkSeries{Clock: clock, InBytes: column(), OutBytes: column(), PacketsIn: column(), SuspectSwapped: seed%2 == 0},
			Filesystem: &profile.FilesystemSeries{Clock: clock, ReadBytes: column(), WriteBytes: column(), SuspectCumulative: seed%2 == 1},
		}
		file := ProfileFile{Step: "0", Node: "n1", Profile: &profile.Profile{Steps: []profile.Step{{Name: "0", Nodes: []profile.Node{node}}}}}
		costs(t, fmt.Sprintf("seed %d", seed), 4<<20, func() {
			rep := Analyse(Input{Rows: rows, Profiles: []ProfileFile{file}})
			if _, err := json.Marshal(rep); err != nil {
				t.Errorf("seed %d: %v", seed, err)
			}
		})
	}
}
