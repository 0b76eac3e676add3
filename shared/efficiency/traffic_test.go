package efficiency

import (
	"math"
	"testing"

	"github.com/ergon-hpc/ergon/shared/hdf5/profile"
)

// trafficFile is a step's file of a node: each second it received in and sent out bytes, and its file system's
// counter grew by read bytes.
func trafficFile(step, node string, start float64, seconds int, in, out, read float64) ProfileFile {
	net := &profile.NetworkSeries{}
	fs := &profile.FilesystemSeries{SuspectCumulative: true}
	for i := range seconds + 1 {
		at := start + float64(i)
		net.EpochS, fs.EpochS = append(net.EpochS, at), append(fs.EpochS, at)
		net.InBytes, net.OutBytes = append(net.InBytes, in), append(net.OutBytes, out)
		fs.ReadBytes = append(fs.ReadBytes, 1e9+read*float64(i))
	}
	net.InBytes[0], net.OutBytes[0] = 0, 0
	node0 := profile.Node{Name: node, Network: net, Filesystem: fs}
	return ProfileFile{Step: step, Node: node, Profile: &profile.Profile{Steps: []profile.Step{{Name: step, Nodes: []profile.Node{node0}}}}}
}

// line finds a line; node is empty for the total.
func line(t *testing.T, r Report, name, node string) Line {
	t.Helper()
	if r.Series != nil {
		for _, l := range r.Series.Lines {
			if l.Name == name && l.Node == node {
				return l
			}
		}
	}
	t.Fatalf("no line %s of %q", name, node)
	return Line{}
}

// steady checks that all values there are are the same.
func steady(t *testing.T, l Line, rate float64) {
	t.Helper()
	n := 0
	for i, v := range l.Values {
		if v == nil {
			continue
		}
		n++
		if math.Abs(*v-rate) > 1e-9*rate {
			t.Errorf("%s of %q, bucket %d: %v, want %v", l.Name, l.Node, i, *v, rate)
		}
	}
	if n < len(l.Values)-2 || l.Unit != Byte || l.Reduced != "mean" {
		t.Errorf("%s of %q: %d of %d buckets, unit %s, reduced by %s", l.Name, l.Node, n, len(l.Values), l.Unit, l.Reduced)
	}
}

func TestNetworkAndFileSystemBecomeLinesOfBytesPerSecond(t *testing.T) {
	r := Analyse(Input{Profiles: []ProfileFile{trafficFile("0", "n1", 1000, 30, 700, 50, 3000), trafficFile("0", "n2", 1000, 30, 300, 150, 1000)}})
	steady(t, line(t, r, "network_in", "n1"), 700)
	steady(t, line(t, r, "network_in", ""), 1000)
	steady(t, line(t, r, "network_out", ""), 200)
	steady(t, line(t, r, "filesystem_read", "n2"), 1000)
	steady(t, line(t, r, "filesystem_read", ""), 4000)
	for _, l := range r.Series.Lines {
		if l.Name == "filesystem_write" {
			t.Error("nothing was recorded about writing, yet there is a line")
		}
	}
}

func TestTrafficOfANodeIsCountedOnceHoweverManyStepsRecordedIt(t *testing.T) {
	batch, step := trafficFile("batch", "n1", 1000, 40, 700, 50, 3000), trafficFile("0", "n1", 1005, 20, 700, 50, 3000)
	one := Analyse(Input{Profiles: []ProfileFile{batch}})
	for _, files := range [][]ProfileFile{{batch, step}, {step, batch}, {batch, batch, step}} {
		r := Analyse(Input{Profiles: files})
		for _, name := range []string{"network_in", "network_out", "filesystem_read"} {
			a, b := line(t, one, name, ""), line(t, r, name, "")
			for i := range a.Values {
				if (a.Values[i] == nil) != (b.Values[i] == nil) || a.Values[i] != nil && math.Abs(*a.Values[i]-*b.Values[i]) > 1e-6 {
					t.Fatalf("%s, bucket %d: %v and %v", name, i, a.Values[i], b.Values[i])
				}
			}
		}
	}
}

func TestTrafficOfAnotherAttemptIsLeftOut(t *testing.T) {
	rows := []*record{row("JobID=8", "State=COMPLETED", "AllocCPUS=4", "NNodes=1", "ElapsedRaw=100", "Start=9000", "End=9100", "NodeList=n1")}
	r := Analyse(Input{Rows: rows, Profiles: []ProfileFile{trafficFile("0", "n1", 1000, 30, 700, 50, 3000)}})
	if r.Series != nil || len(r.Nodes) != 0 {
		t.Errorf("series %+v of a file that was written hours before", r.Series)
	}
}

func TestRealTrafficHasLinesWithTheFieldsPutRight(t *testing.T) {
	r := Analyse(Input{Profiles: profileFiles(t, "23_batch_n1.h5", "23_0_n1.h5", "23_0_n2.h5")})
	// acct_gather_interconnect/sysfs wrote bytes into the packets' members: read as they stand the traffic would be
	// some hundred bytes. The feeder reads 5 MB/s and writes 2.5 MB/s on each node.
	for name, bounds := range map[string][2]float64{"network_in": {1e3, 1e9}, "filesystem_read": {4e6, 12e6}, "filesystem_write": {2e6, 6e6}} {
		l := line(t, r, name, "")
		var sum, n float64
		for _, v := range l.Values {
			if v != nil {
				sum, n = sum+*v, n+1
			}
		}
		if mean := sum / n; n < 15 || mean < bounds[0] || mean > bounds[1] {
			t.Errorf("%s: mean %v over %v buckets, want %v", name, mean, n, bounds)
		}
	}
}
