package profile

import (
	"bytes"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ergon-hpc/ergon/shared/hdf5"
	"github.com/ergon-hpc/ergon/shared/hdf5/internal/h5py"
)

func openFile(t *testing.T, path string) *Profile {
	t.Helper()
	p, err := openPath(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func openPath(path string, opt Options) (*Profile, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return Open(bytes.NewReader(data), int64(len(data)), opt)
}

func TestNodeStepFileHasOneUnnamedStepWithTypedSeries(t *testing.T) {
	p := openFile(t, "../testdata/23_batch_n1.h5")
	if p.State != HasData || p.Merged || len(p.Steps) != 1 || p.Steps[0].Name != "" || len(p.Steps[0].Nodes) != 1 || p.Damage != nil {
		t.Fatalf("%+v", p)
	}
	n := p.Steps[0].Nodes[0]
	if n.Name != "n1" || n.StartTime != "Mon Nov 23 08:26:55 2026" || *n.CPUsPerTask != 4 || *n.TaskCount != 1 || *n.Index != 0 {
		t.Errorf("%+v", n)
	}
	if len(n.Tasks) != 1 || n.Tasks[0].ID != "0" || n.Tasks[0].Len() != 28 || n.Energy.Len() != 27 {
		t.Fatalf("series of unequal length are kept as they are: %d tasks, %d energy", n.Tasks[0].Len(), n.Energy.Len())
	}
	if !n.Network.SuspectSwapped || !n.Filesystem.SuspectCumulative {
		t.Errorf("swapped %v, cumulative %v", n.Network.SuspectSwapped, n.Filesystem.SuspectCumulative)
	}
	if n.Energy.EpochS[0] != 1795422415 || n.Energy.PowerW[1] != 121 {
		t.Errorf("energy %v", n.Energy.PowerW)
	}
	if got, want := n.Filesystem.ReadBytes[1], 175.0*(1<<20); got != want {
		t.Errorf("ReadMB in bytes: %v, want %v", got, want)
	}
	if n.Tasks[0].GPUMemBytes != nil {
		t.Errorf("a member that is not in the file must be nil")
	}
}

func TestTaskColumnsAgreeWithSh5util(t *testing.T) {
	p := openFile(t, "../testdata/23_0_n1.h5")
	task := p.Steps[0].Nodes[0].Tasks[0]
	// From `sh5util -E -s Tasks`, fixture ext_tasks.csv, step 0, node n1.
	if peak, _ := task.RSSBytes.Max(); peak != 83296*1024 {
		t.Errorf("Max_RSS %v", peak/1024)
	}
	if sum, _ := task.CPUTimeS.Sum(); math.Abs(sum-1.12) > 1e-9 {
		t.Errorf("Sum_CPUTime %v", sum)
	}
	if sum, _ := task.WriteBytes.Sum(); math.Abs(sum/(1<<20)-14) > 1e-6 {
		t.Errorf("Sum_WriteMB %v", sum/(1<<20))
	}
	if peak, _ := task.VMSizeBytes.Max(); peak != 366308*1024 {
		t.Errorf("Max_VMSize %v", peak/1024)
	}
}

func TestMergedFileHasTheSameSeriesAsItsParts(t *testing.T) {
	p := openFile(t, "../testdata/job_23.h5")
	if !p.Merged || len(p.Steps) != 3 {
		t.Fatalf("%+v", p)
	}
	var names []string
	for _, s := range p.Steps {
		names = append(names, s.Name)
		for _, n := range s.Nodes {
			part := openFile(t, "../testdata/23_"+s.Name+"_"+n.Name+".h5").Steps[0].Nodes[0]
			if !equalColumns(n.Tasks[0].members(), part.Tasks[0].members()) || !equalColumns(n.Energy.members(), part.Energy.members()) {
				t.Errorf("step %s node %s differs from its own file", s.Name, n.Name)
			}
		}
	}
	if strings.Join(names, " ") != "0 1 batch" {
		t.Errorf("steps %q", names)
	}
}

func equalColumns(a, b []member) bool {
	for i := range a {
		x, y := *a[i].col, *b[i].col
		if len(x) != len(y) {
			return false
		}
		for j := range x {
			if x[j] != y[j] {
				return false
			}
		}
	}
	return true
}

func TestStepsAndTasksAreInNumericOrder(t *testing.T) {
	p := openFile(t, h5py.Generate(t, "merged")["merged"])
	var names []string
	for _, s := range p.Steps {
		names = append(names, s.Name)
	}
	if strings.Join(names, " ") != "0 2 10 batch" || len(p.Steps[0].Nodes) != 2 {
		t.Errorf("steps %q", names)
	}
	many := openFile(t, h5py.Generate(t, "many_tasks")["many_tasks"]).Steps[0].Nodes[0].Tasks
	if len(many) != 1000 || many[2].ID != "2" || many[999].ID != "999" {
		t.Errorf("%d tasks", len(many))
	}
}

func TestJustOpenedFileIsEmptyAndNoError(t *testing.T) {
	path := h5py.Generate(t, "just_opened")["just_opened"]
	if info, err := os.Stat(path); err != nil || info.Size() != 2256 {
		t.Fatalf("the file is not what it should be: %v", err)
	}
	p := openFile(t, path)
	if p.State != Empty || len(p.Steps) != 1 || p.Steps[0].Nodes[0].StartTime == "" || p.State.String() != "empty" {
		t.Errorf("%+v", p)
	}
}

func TestUnknownChildrenOfANodeAreNamed(t *testing.T) {
	n := openFile(t, h5py.Generate(t, "unknown_child")["unknown_child"]).Steps[0].Nodes[0]
	if len(n.Unread) != 1 || n.Unread[0] != "Fans" || n.Energy.Len() != 5 {
		t.Errorf("%+v", n)
	}
}

func TestUnsetNumbersOfSlurmAreMissing(t *testing.T) {
	n := openFile(t, h5py.Generate(t, "cases")["cases"]).Steps[0].Nodes[0]
	if len(n.Tasks) != 2 || n.Tasks[0].ID != "9" || n.Tasks[1].ID != "10" {
		t.Fatalf("%d tasks", len(n.Tasks))
	}
	task := n.Tasks[1]
	nan := math.NaN()
	wants := map[string][2]Column{
		"GPUMemMB 17592186044415":    {task.GPUMemBytes, {nan, 0, 1 << 30, 1 << 30}},
		"GPUUtilization 1.84467e19":  {task.GPUUtilPercent, {nan, 0, 37.5, 37.5}},
		"RSS 2^64-1 and 2^64-2":      {task.RSSBytes, {nan, nan, 1024000, 1024000}},
		"VMSize 2^64 in KiB":         {task.VMSizeBytes, {nan, 5 << 10, 6 << 10, 6 << 10}},
		"ReadMB 2^64 in MiB":         {task.ReadBytes, {nan, 1 << 19, 1 << 20, 1 << 20}},
		"CPUFrequency 2^32-2":        {task.CPUFreqMHz, {nan, 2596, 2596, 2596}},
		"CPUTime below 0 or endless": {task.CPUTimeS, {nan, nan, nan, 2.5}},
		"Power 2^32-2":               {n.Energy.PowerW, {0, 0, 100, 0, 100, nan}},
	}
	for name, w := range wants {
		if !sameColumn(w[0], w[1]) {
			t.Errorf("%s: %v, want %v", name, w[0], w[1])
		}
	}
	if got := task.GPUUtilPercent.Valid(); got != 3 {
		t.Errorf("%d valid values", got)
	}
}

func sameColumn(a, b Column) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] && !(math.IsNaN(a[i]) && math.IsNaN(b[i])) {
			return false
		}
	}
	return true
}

func TestMembersAreFoundByNameInAnyOrder(t *testing.T) {
	tasks := openFile(t, h5py.Generate(t, "odd_members")["odd_members"]).Steps[0].Nodes[0].Tasks
	if len(tasks) != 3 {
		t.Fatalf("%d tasks", len(tasks))
	}
	few, turned, extra := tasks[0], tasks[1], tasks[2]
	if few.CPUTimeS != nil || few.ElapsedS != nil || len(few.RSSBytes) != 25 || few.Len() != 25 {
		t.Errorf("missing members: %+v", few)
	}
	if turned.EpochS[3] != 1795422418 || turned.ElapsedS[3] != 3 {
		t.Errorf("turned order: %v", turned.EpochS)
	}
	if extra.RSSBytes[24] != 96*1024 || extra.EpochS[24] != 1795422439 {
		t.Errorf("extra members: %v", extra.RSSBytes)
	}
}

func TestMoreRowsThanAllowedIsALimit(t *testing.T) {
	if _, err := openPath("../testdata/23_batch_n1.h5", Options{MaxRows: 50}); !errors.Is(err, hdf5.ErrLimit) {
		t.Errorf("got %v", err)
	}
}

func TestOneDatasetUnderManyNamesIsALimit(t *testing.T) {
	path := h5py.Generate(t, "hard_links")["hard_links"]
	if _, err := openPath(path, Options{}); !errors.Is(err, hdf5.ErrLimit) {
		t.Errorf("got %v", err)
	}
}

func TestWhatIsNotAProfileIsAnError(t *testing.T) {
	for name, data := range map[string]string{"empty": "", "text": strings.Repeat("text ", 1000)} {
		if p, err := Open(strings.NewReader(data), int64(len(data)), Options{}); err == nil {
			t.Errorf("%s: %+v", name, p)
		}
	}
	for shape, path := range h5py.Generate(t, "layouts", "loop", "rank_two") {
		if p, err := openPath(path, Options{}); !errors.Is(err, hdf5.ErrUnsupported) {
			t.Errorf("a file of other data, %s: %+v, %v", shape, p, err)
		}
	}
	if _, err := openPath(h5py.Generate(t, "latest")["latest"], Options{}); !errors.Is(err, hdf5.ErrUnsupported) {
		t.Errorf("written for the latest library: %v", err)
	}
}

// A cut file never looks whole: either Open fails, or Damage says so and what
// was read is the beginning of the truth.
func TestTruncationAnywhereIsAnErrorOrAMarkedPrefix(t *testing.T) {
	for _, name := range []string{"20_0_n1.h5", "23_0_n1.h5"} {
		data, err := os.ReadFile(filepath.Join("../testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		whole := openFile(t, filepath.Join("../testdata", name)).Steps[0].Nodes[0]
		partial := 0
		for cut := range data {
			p, err := Open(bytes.NewReader(data[:cut]), int64(cut), Options{})
			if err != nil {
				continue
			}
			if len(p.Damage) == 0 || p.State == Empty {
				t.Fatalf("%s cut at %d looks whole", name, cut)
			}
			partial++
			for _, n := range p.Steps[0].Nodes {
				for i := range n.Tasks {
					checkPrefix(t, cut, n.Tasks[i].members(), whole.Tasks[i].members())
				}
			}
		}
		if partial == 0 {
			t.Errorf("%s: no cut left anything to read", name)
		}
	}
}

func checkPrefix(t *testing.T, cut int, got, want []member) {
	t.Helper()
	for i := range got {
		g, w := *got[i].col, *want[i].col
		if len(g) > len(w) || !sameColumn(g, w[:len(g)]) {
			t.Fatalf("cut at %d: %v is not a beginning of %v", cut, g, w)
		}
	}
}
