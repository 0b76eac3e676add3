package hdf5

import (
	"bytes"
	"errors"
	"testing"

	"github.com/ergon-hpc/ergon/shared/hdf5/internal/h5py"
)

func TestEveryValueOfGeneratedShapesEqualsH5py(t *testing.T) {
	shapes := []string{
		"just_opened", "deflate_shuffle", "many_tasks", "long_task", "merged",
		"small_types", "layouts", "attributes", "userblock", "cases", "interleaved",
	}
	paths := h5py.Generate(t, shapes...)
	files := make([]string, 0, len(paths))
	for _, p := range paths {
		files = append(files, p)
	}
	want := oracle(t, files...)
	for shape, p := range paths {
		for mode, whole := range map[string]int64{"in memory": wholeFileBytes, "through windows": -1} {
			t.Run(shape+" "+mode, func(t *testing.T) {
				data := readFile(t, p)
				f, err := open(bytes.NewReader(data), int64(len(data)), Options{}, whole)
				if err != nil {
					t.Fatal(err)
				}
				t.Logf("%d values compared", compareFile(t, f, want[p]))
				if int64(f.DeclaredSize()) > f.Size() {
					t.Errorf("declared size %d of %d", f.DeclaredSize(), f.Size())
				}
				if spent := readBudget(f.Size()) - f.src.readLeft; spent > readBudget(f.Size())/2 {
					t.Errorf("one pass spends %d of the budget of %d", spent, readBudget(f.Size()))
				}
			})
		}
	}
}

func TestMembersOfUnreadTypesDoNotHideTheOthers(t *testing.T) {
	data := readFile(t, h5py.Generate(t, "odd_members")["odd_members"])
	d := dataset(t, data, "/n1/Tasks/2")
	for _, name := range []string{"Mood", "Vector", "Big"} {
		if m, ok := d.Type().Member(name); !ok || m.Type.Kind != Other {
			t.Errorf("%s: %v %+v", name, ok, m)
		}
	}
	m, ok := d.Type().Member("RSS")
	if !ok {
		t.Fatal("RSS is not there")
	}
	var rss []uint64
	if err := eachBatch(d, func(r Rows) { rss = r.AppendUint64(rss, m) }); err != nil {
		t.Fatal(err)
	}
	for i, v := range rss {
		if v != uint64(4*i) {
			t.Fatalf("row %d is %d", i, v)
		}
	}
	if len(rss) != 25 {
		t.Errorf("%d rows", len(rss))
	}
}

func TestWhatSlurmDoesNotWriteIsUnsupportedAndSaysWhy(t *testing.T) {
	shapes := []string{"latest", "rank_two", "fletcher", "lzf", "soft_link"}
	for shape, p := range h5py.Generate(t, shapes...) {
		t.Run(shape, func(t *testing.T) {
			err := readEverything(openBytes(t, readFile(t, p)))
			if !errors.Is(err, ErrUnsupported) {
				t.Fatalf("got %v, want ErrUnsupported", err)
			}
			var format *FormatError
			if !errors.As(err, &format) || format.Structure == "" || format.Detail == "" {
				t.Errorf("does not name the structure: %v", err)
			}
			t.Log(err)
		})
	}
}

func TestBigEndianNumbersAreMarkedNotMisread(t *testing.T) {
	d := dataset(t, readFile(t, h5py.Generate(t, "big_endian")["big_endian"]), "/x")
	if d.Type().Kind != Other {
		t.Errorf("kind %d", d.Type().Kind)
	}
	if err := eachBatch(d, func(r Rows) {
		if got := r.AppendUint64(nil, d.Whole()); got != nil {
			t.Errorf("read as %v", got)
		}
	}); err != nil {
		t.Fatal(err)
	}
}

func TestWalkEndsWhenAGroupContainsItsParent(t *testing.T) {
	f := openBytes(t, readFile(t, h5py.Generate(t, "loop")["loop"]))
	var paths []string
	if err := f.Walk(func(o *Object) error { paths = append(paths, o.Path()); return nil }); err != nil {
		t.Fatal(err)
	}
	if len(paths) != 4 {
		t.Errorf("visited %q", paths)
	}
}

func TestAbsentNamesAreNotFound(t *testing.T) {
	f := openBytes(t, readFile(t, "testdata/20_0_n1.h5"))
	if _, err := f.Lookup("/n1/Energy"); !errors.Is(err, ErrNotFound) {
		t.Errorf("got %v", err)
	}
	if _, err := f.Lookup("/n1/Tasks/0/deeper"); !errors.Is(err, ErrNotFound) {
		t.Errorf("below a dataset: got %v", err)
	}
	if o, err := f.Lookup("n1/Tasks/0"); err != nil || o.Path() != "/n1/Tasks/0" {
		t.Errorf("got %v, %v", o, err)
	}
}

// readEverything is what a careless caller does to a file.
func readEverything(f *File) error {
	return f.Walk(func(o *Object) error {
		if _, err := o.Attributes(); err != nil {
			return err
		}
		if !o.IsDataset() {
			return nil
		}
		d, err := o.Dataset()
		if err != nil {
			return err
		}
		return eachBatch(d, func(Rows) {})
	})
}
