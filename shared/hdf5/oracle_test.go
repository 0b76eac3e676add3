package hdf5

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/ergon-hpc/ergon/shared/hdf5/internal/h5py"
)

// dumpScript prints everything that h5py sees in a file, one JSON object a line.
// Numbers travel as the base64 of 8-byte little-endian values, so that nothing is
// rounded on the way.
const dumpScript = `
import sys, json, base64, h5py, numpy as np

def wide(a):
    kind = {'u': '<u8', 'i': '<i8', 'f': '<f8'}[a.dtype.kind]
    return {'kind': a.dtype.kind, 'data': base64.b64encode(np.ascontiguousarray(a).astype(kind).tobytes()).decode()}

def text(v):
    return v.decode() if isinstance(v, bytes) else str(v)

def column(a):
    a = np.atleast_1d(a)
    if a.dtype.kind in 'SOU':
        return {'kind': 's', 'text': [text(v) for v in a]}
    return wide(a)

def show(name, o):
    out = {'path': '/' + name, 'attrs': {k: column(o.attrs[k]) for k in o.attrs}}
    if isinstance(o, h5py.Dataset):
        out['rows'] = len(o)
        names = o.dtype.names
        out['names'] = list(names or [''])
        data = o[...]
        out['columns'] = {n: column(data[n]) for n in names} if names else {'': column(data)}
    print(json.dumps(out))

for f in sys.argv[1:]:
    with h5py.File(f, 'r') as h:
        print(json.dumps({'file': f}))
        show('', h)
        h.visititems(show)
`

type oracleColumn struct {
	Kind string   `json:"kind"`
	Data string   `json:"data"`
	Text []string `json:"text"`
}

type oracleObject struct {
	File    string                  `json:"file"`
	Path    string                  `json:"path"`
	Attrs   map[string]oracleColumn `json:"attrs"`
	Rows    *int                    `json:"rows"`
	Names   []string                `json:"names"`
	Columns map[string]oracleColumn `json:"columns"`
}

// oracle returns for each file its objects by path, as h5py sees them.
func oracle(tb testing.TB, files ...string) map[string]map[string]oracleObject {
	tb.Helper()
	out := map[string]map[string]oracleObject{}
	var current map[string]oracleObject
	dec := json.NewDecoder(bytes.NewReader(h5py.Run(tb, dumpScript, files...)))
	for dec.More() {
		var o oracleObject
		if err := dec.Decode(&o); err != nil {
			tb.Fatal(err)
		}
		if o.File != "" {
			current = map[string]oracleObject{}
			out[o.File] = current
			continue
		}
		current[o.Path] = o
	}
	return out
}

func (c oracleColumn) words(tb testing.TB) []uint64 {
	tb.Helper()
	raw, err := base64.StdEncoding.DecodeString(c.Data)
	if err != nil {
		tb.Fatal(err)
	}
	out := make([]uint64, len(raw)/8)
	for i := range out {
		out[i] = binary.LittleEndian.Uint64(raw[8*i:])
	}
	return out
}

// column is one column as this package reads it, in the oracle's terms.
type column struct {
	kind  string
	words []uint64
	text  []string
}

func readColumns(tb testing.TB, d *Dataset) map[string]*column {
	tb.Helper()
	members := d.Type().Members
	if d.Type().Kind != Compound {
		members = []Member{d.Whole()}
	}
	out := map[string]*column{}
	for _, m := range members {
		out[m.Name] = &column{}
	}
	err := eachBatch(d, func(r Rows) {
		for _, m := range members {
			out[m.Name].add(tb, r, m)
		}
	})
	if err != nil {
		tb.Fatalf("%s: %v", d.Path(), err)
	}
	return out
}

func (c *column) add(tb testing.TB, r Rows, m Member) {
	switch m.Type.Kind {
	case Uint:
		c.kind, c.words = "u", r.AppendUint64(c.words, m)
	case Int:
		c.kind, c.words = "i", r.AppendUint64(c.words, m)
	case Float:
		c.kind = "f"
		for _, v := range r.AppendFloat64(nil, m) {
			c.words = append(c.words, math.Float64bits(v))
		}
	case String:
		c.kind, c.text = "s", r.AppendString(c.text, m)
	default:
		tb.Fatalf("member %q has kind %d", m.Name, m.Type.Kind)
	}
}

func compareColumn(tb testing.TB, where string, got column, want oracleColumn) int {
	tb.Helper()
	if got.kind != want.Kind && !(got.kind == "" && len(want.Text) == 0 && want.Data == "") {
		tb.Errorf("%s: kind %q, h5py has %q", where, got.kind, want.Kind)
		return 0
	}
	if want.Kind == "s" {
		if fmt.Sprintf("%q", got.text) != fmt.Sprintf("%q", want.Text) {
			tb.Errorf("%s: %q, h5py has %q", where, got.text, want.Text)
		}
		return len(want.Text)
	}
	words := want.words(tb)
	if len(words) != len(got.words) {
		tb.Errorf("%s: %d values, h5py has %d", where, len(got.words), len(words))
		return 0
	}
	for i := range words {
		if words[i] != got.words[i] {
			tb.Errorf("%s: value %d is %#x, h5py has %#x", where, i, got.words[i], words[i])
			break
		}
	}
	return len(words)
}

func attributeColumn(a Attribute) column {
	switch {
	case a.Ints != nil:
		c := column{kind: "i"}
		for _, v := range a.Ints {
			c.words = append(c.words, uint64(v))
		}
		return c
	case a.Uints != nil:
		return column{kind: "u", words: a.Uints}
	case a.Floats != nil:
		c := column{kind: "f"}
		for _, v := range a.Floats {
			c.words = append(c.words, math.Float64bits(v))
		}
		return c
	}
	return column{kind: "s", text: a.Strings}
}

// compareFile compares every object, attribute and value of an open file and
// returns how many values it compared.
func compareFile(t *testing.T, f *File, want map[string]oracleObject) int {
	t.Helper()
	values, seen := 0, 0
	err := f.Walk(func(o *Object) error {
		seen++
		w, ok := want[o.Path()]
		if !ok {
			t.Errorf("h5py has no %s", o.Path())
			return nil
		}
		values += compareAttributes(t, o, w)
		if o.IsDataset() != (w.Rows != nil) {
			t.Errorf("%s: dataset %v, h5py says %v", o.Path(), o.IsDataset(), w.Rows != nil)
		}
		if w.Rows != nil {
			values += compareDataset(t, o, w)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if seen != len(want) {
		t.Errorf("%d objects, h5py has %d", seen, len(want))
	}
	return values
}

func compareAttributes(t *testing.T, o *Object, want oracleObject) int {
	t.Helper()
	attrs, err := o.Attributes()
	if err != nil {
		t.Fatalf("%s: %v", o.Path(), err)
	}
	if len(attrs) != len(want.Attrs) {
		t.Errorf("%s: %d attributes, h5py has %d", o.Path(), len(attrs), len(want.Attrs))
	}
	values := 0
	for _, a := range attrs {
		if a.Err != nil {
			t.Errorf("%s: %v", o.Path(), a.Err)
		}
		values += compareColumn(t, o.Path()+"@"+a.Name, attributeColumn(a), want.Attrs[a.Name])
	}
	return values
}

func compareDataset(t *testing.T, o *Object, want oracleObject) int {
	t.Helper()
	d, err := o.Dataset()
	if err != nil {
		t.Fatalf("%s: %v", o.Path(), err)
	}
	if d.Len() != uint64(*want.Rows) {
		t.Errorf("%s: %d rows, h5py has %d", o.Path(), d.Len(), *want.Rows)
	}
	columns := readColumns(t, d)
	if len(columns) != len(want.Names) {
		t.Errorf("%s: %d members, h5py has %d", o.Path(), len(columns), len(want.Names))
	}
	values := 0
	for name, c := range columns {
		values += compareColumn(t, o.Path()+"."+name, *c, want.Columns[name])
	}
	return values
}

func fixtures(tb testing.TB) []string {
	tb.Helper()
	files, err := filepath.Glob("testdata/*.h5")
	if err != nil || len(files) < 11 {
		tb.Fatalf("only %d fixtures: %v", len(files), err)
	}
	return files
}

func TestEveryValueOfTheFixturesEqualsH5py(t *testing.T) {
	files := fixtures(t)
	want := oracle(t, files...)
	for _, name := range files {
		for mode, whole := range map[string]int64{"in memory": wholeFileBytes, "through windows": -1} {
			t.Run(filepath.Base(name)+" "+mode, func(t *testing.T) {
				data := readFile(t, name)
				f, err := open(bytes.NewReader(data), int64(len(data)), Options{}, whole)
				if err != nil {
					t.Fatal(err)
				}
				if n := compareFile(t, f, want[name]); n < 100 {
					t.Errorf("only %d values were compared", n)
				}
			})
		}
	}
}

func TestEveryDatasetOfAFixtureEqualsH5dump(t *testing.T) {
	if os.Getenv("ERGON_SKIP_H5PY") == "1" {
		t.Skip("ERGON_SKIP_H5PY=1: not compared with h5dump")
	}
	const file = "testdata/23_batch_n1.h5"
	data := readFile(t, file)
	paths := h5dumpDatasets(t, file)
	if len(paths) != 4 { // energy, file system, network and the one task
		t.Errorf("h5dump lists %q", paths)
	}
	for _, path := range paths {
		t.Run(path, func(t *testing.T) {
			d := dataset(t, data, path)
			want := h5dumpNumbers(h5dump(t, "-d", path, "-y", "-m", "%.17g", file))
			if n := len(d.Type().Members) * int(d.Len()); len(want) != n || n < 50 {
				t.Fatalf("h5dump prints %d numbers, %d were expected", len(want), n)
			}
			equalH5dump(t, d, want)
		})
	}
}

// equalH5dump compares row by row. What h5dump prints of a float is read back to the same bits.
func equalH5dump(t *testing.T, d *Dataset, want []string) {
	t.Helper()
	columns := readColumns(t, d)
	for row := range int(d.Len()) {
		for i, m := range d.Type().Members {
			text, c := want[row*len(d.Type().Members)+i], columns[m.Name]
			bits, err := strconv.ParseUint(text, 10, 64)
			if c.kind == "f" {
				var v float64
				v, err = strconv.ParseFloat(text, 64)
				bits = math.Float64bits(v)
			}
			if err != nil || bits != c.words[row] {
				t.Errorf("row %d, %s: %#x, h5dump prints %q (%v)", row, m.Name, c.words[row], text, err)
			}
		}
	}
}

func h5dump(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command("h5dump", args...).Output()
	if err != nil {
		t.Fatalf("h5dump: %v: apt-get install hdf5-tools, or ERGON_SKIP_H5PY=1 to do without the comparison", err)
	}
	return string(out)
}

func h5dumpDatasets(t *testing.T, file string) (paths []string) {
	t.Helper()
	for line := range strings.Lines(h5dump(t, "-n", file)) {
		if words := strings.Fields(line); len(words) == 2 && words[0] == "dataset" {
			paths = append(paths, words[1])
		}
	}
	return paths
}

// h5dumpNumbers keeps the numbers of the DATA part.
func h5dumpNumbers(out string) []string {
	_, data, _ := strings.Cut(out, "DATA {")
	return strings.FieldsFunc(data, func(r rune) bool { return strings.ContainsRune("{}, \n", r) })
}

func readFile(tb testing.TB, name string) []byte {
	tb.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

func openBytes(tb testing.TB, data []byte) *File {
	tb.Helper()
	f, err := Open(bytes.NewReader(data), int64(len(data)), Options{})
	if err != nil {
		tb.Fatal(err)
	}
	return f
}

func dataset(tb testing.TB, data []byte, path string) *Dataset {
	tb.Helper()
	o, err := openBytes(tb, data).Lookup(path)
	if err != nil {
		tb.Fatal(err)
	}
	d, err := o.Dataset()
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

// eachBatch reads a dataset to its end.
func eachBatch(d *Dataset, visit func(Rows)) error {
	r, err := d.Read()
	if err != nil {
		return err
	}
	for {
		rows, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		visit(rows)
	}
}
