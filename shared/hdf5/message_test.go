package hdf5

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"testing"
)

// The versions of messages that neither Slurm nor h5py's default writes, byte by
// byte as the specification gives them.

func le(parts ...any) []byte {
	var b bytes.Buffer
	for _, p := range parts {
		if s, ok := p.(string); ok {
			b.WriteString(s)
			continue
		}
		if err := binary.Write(&b, binary.LittleEndian, p); err != nil {
			panic(err)
		}
	}
	return b.Bytes()
}

func u8s(v ...uint8) []byte { return v }

func TestDataspaceVersions(t *testing.T) {
	cases := map[string]struct {
		in   []byte
		n    uint64
		rank int
		err  error
	}{
		"1, one dimension with its maximum": {le(u8s(1, 1, 1, 0, 0, 0, 0, 0), uint64(7), ^uint64(0)), 7, 1, nil},
		"2, two dimensions":                 {le(u8s(2, 2, 0, 1), uint64(3), uint64(4)), 12, 2, nil},
		"2, scalar":                         {le(u8s(2, 0, 0, 0)), 1, 0, nil},
		"2, null":                           {le(u8s(2, 0, 0, 2)), 0, 0, nil},
		"9":                                 {le(u8s(9, 0, 0, 0)), 0, 0, ErrUnsupported},
		"200 dimensions":                    {le(u8s(2, 200, 0, 1), make([]byte, 1600)), 0, 0, ErrCorrupt},
		"cut":                               {le(u8s(2, 2, 0, 1), uint64(3)), 0, 0, ErrCorrupt},
	}
	for name, c := range cases {
		cur := newCursor(c.in, 100, "dataspace")
		d := readDataspace(cur)
		if !errors.Is(cur.err, c.err) {
			t.Errorf("%s: %v, want %v", name, cur.err, c.err)
		}
		if n, ok := d.elements(1000); c.err == nil && (n != c.n || !ok || d.rank != c.rank) {
			t.Errorf("%s: %d elements, rank %d", name, n, d.rank)
		}
	}
	huge := dataspace{dims: []uint64{1 << 40, 1 << 40}}
	if _, ok := huge.elements(math.MaxUint64); ok {
		t.Error("2^80 elements fit into nothing")
	}
}

func TestFillValueVersions(t *testing.T) {
	cases := map[string]struct {
		in   []byte
		kind messageType
		want []byte
		err  error
	}{
		"old":            {le(uint32(2), "ab"), msgFillOld, []byte("ab"), nil},
		"1":              {le(u8s(1, 2, 0, 1), uint32(2), "ab"), msgFill, []byte("ab"), nil},
		"2 undefined":    {le(u8s(2, 2, 0, 0)), msgFill, nil, nil},
		"2 defined":      {le(u8s(2, 2, 0, 1), uint32(2), "ab"), msgFill, []byte("ab"), nil},
		"3 undefined":    {le(u8s(3, 0x09)), msgFill, nil, nil},
		"3 defined":      {le(u8s(3, 0x29), uint32(2), "ab"), msgFill, []byte("ab"), nil},
		"3 of 4 GiB":     {le(u8s(3, 0x29), ^uint32(0), "ab"), msgFill, nil, ErrCorrupt},
		"7 is not known": {le(u8s(7, 0)), msgFill, nil, ErrUnsupported},
	}
	for name, c := range cases {
		cur := newCursor(c.in, 0, "fill value")
		if got := readFill(cur, c.kind); !bytes.Equal(got, c.want) || !errors.Is(cur.err, c.err) {
			t.Errorf("%s: %q, %v", name, got, cur.err)
		}
	}
}

func TestFilterPipelineVersions(t *testing.T) {
	want := []uint16{filterShuffle, filterDeflate}
	cases := map[string]struct {
		in  []byte
		err error
	}{
		"1 with names": {le(u8s(1, 2, 0, 0, 0, 0, 0, 0),
			uint16(2), uint16(5), uint16(0), uint16(1), "shuf\x00\x00\x00\x00", uint32(8), uint32(0),
			uint16(1), uint16(0), uint16(1), uint16(2), uint32(6), uint32(0)), nil},
		"2":                  {le(u8s(2, 2), uint16(2), uint16(0), uint16(1), uint32(8), uint16(1), uint16(1), uint16(1), uint32(6)), nil},
		"2 with foreign one": {le(u8s(2, 1), uint16(32001), uint16(4), uint16(1), uint16(0), "blo\x00"), ErrUnsupported},
		"5":                  {le(u8s(5, 1), make([]byte, 40)), ErrUnsupported},
		"more than sense":    {le(u8s(2, 200), make([]byte, 2000)), ErrLimit},
		"values cut off":     {le(u8s(2, 1), uint16(1), uint16(1), uint16(9000), uint32(6)), ErrCorrupt},
	}
	for name, c := range cases {
		cur := newCursor(c.in, 0, "filter pipeline")
		filters := readFilters(cur)
		if !errors.Is(cur.err, c.err) {
			t.Errorf("%s: %v, want %v", name, cur.err, c.err)
		}
		var ids []uint16
		for _, f := range filters {
			ids = append(ids, f.id)
		}
		if c.err == nil && (!slices.Equal(ids, want) || filters[0].values[0] != 8) {
			t.Errorf("%s: %+v", name, filters)
		}
	}
}

// Types: class and version, three bytes of bits, size, properties.
var (
	typeU64 = le(u8s(0x10, 0, 0, 0), uint32(8), uint16(0), uint16(64))
	typeF64 = le(u8s(0x11, 0x20, 63, 0), uint32(8), uint16(0), uint16(64), u8s(52, 11, 0, 52), uint32(1023))
	typeF32 = le(u8s(0x11, 0x20, 31, 0), uint32(4), uint16(0), uint16(32), u8s(23, 8, 0, 23), uint32(127))
)

func TestCompoundVersionsDescribeTheSameMembers(t *testing.T) {
	v1 := func(name string, off int, body []byte) []byte {
		return le(name, uint32(off), u8s(0, 0, 0, 0), uint32(0), uint32(0), make([]byte, 16), body)
	}
	cases := map[string][]byte{
		"1": le(u8s(0x16, 2, 0, 0), uint32(16), v1("RSS\x00\x00\x00\x00\x00", 0, typeU64), v1("CPUTime\x00", 8, typeF64)),
		"2": le(u8s(0x26, 2, 0, 0), uint32(16), "RSS\x00\x00\x00\x00\x00", uint32(0), typeU64, "CPUTime\x00", uint32(8), typeF64),
		"3": le(u8s(0x36, 2, 0, 0), uint32(16), "RSS\x00", u8s(0), typeU64, "CPUTime\x00", u8s(8), typeF64),
	}
	for name, in := range cases {
		c := newCursor(in, 0, "datatype")
		d := readDatatype(c, 0)
		if c.err != nil || d.Kind != Compound || d.Size != 16 || len(d.Members) != 2 {
			t.Errorf("%s: %+v, %v", name, d, c.err)
			continue
		}
		rss, cpu := d.Members[0], d.Members[1]
		if rss.Name != "RSS" || rss.Type.Kind != Uint || cpu.Name != "CPUTime" || cpu.Offset != 8 || cpu.Type.Kind != Float {
			t.Errorf("%s: %+v", name, d.Members)
		}
	}
}

func TestDatatypesThatAreRefusedOrOnlySteppedOver(t *testing.T) {
	nested := typeU64
	for range 20 {
		nested = le(u8s(0x3a, 0, 0, 0), uint32(8), u8s(1), uint32(1), nested)
	}
	cases := map[string]struct {
		in   []byte
		kind Kind
		err  error
	}{
		"float":                    {typeF32, Float, nil},
		"time":                     {le(u8s(0x12, 0, 0, 0), uint32(4), uint16(32)), Other, nil},
		"bit field":                {le(u8s(0x14, 0, 0, 0), uint32(4), uint32(0)), Other, nil},
		"opaque":                   {le(u8s(0x15, 3, 0, 0), uint32(4), "tag\x00\x00\x00\x00\x00"), Other, nil},
		"reference":                {le(u8s(0x17, 0, 0, 0), uint32(8)), Other, nil},
		"array version 2":          {le(u8s(0x2a, 0, 0, 0), uint32(16), u8s(1, 0, 0, 0), uint32(2), uint32(0), typeU64), Other, nil},
		"whole number of 3 bytes":  {le(u8s(0x10, 0, 0, 0), uint32(3), uint16(0), uint16(24)), Other, nil},
		"number with unused bits":  {le(u8s(0x10, 0, 0, 0), uint32(8), uint16(4), uint16(60)), Other, nil},
		"float of another layout":  {le(u8s(0x11, 0x20, 63, 0), uint32(8), uint16(0), uint16(64), u8s(53, 10, 0, 53), uint32(511)), Other, nil},
		"class 13":                 {le(u8s(0x1d, 0, 0, 0), uint32(8)), Other, ErrUnsupported},
		"version 5":                {le(u8s(0x50, 0, 0, 0), uint32(8), uint32(0)), Other, ErrUnsupported},
		"no size":                  {le(u8s(0x10, 0, 0, 0), uint32(0), uint32(0)), Other, ErrCorrupt},
		"a size of 4 GiB":          {le(u8s(0x13, 0, 0, 0), ^uint32(0)), Other, ErrCorrupt},
		"types without end":        {nested, Other, ErrLimit},
		"member beyond the row":    {le(u8s(0x36, 1, 0, 0), uint32(8), "a\x00", u8s(4), typeU64), Other, ErrCorrupt},
		"member name without end":  {le(u8s(0x36, 1, 0, 0), uint32(8), "aaaa"), Other, ErrCorrupt},
		"65535 members in nothing": {le(u8s(0x36, 0xff, 0xff, 0), uint32(8)), Other, ErrCorrupt},
	}
	for name, c := range cases {
		cur := newCursor(c.in, 0, "datatype")
		d := readDatatype(cur, 0)
		if !errors.Is(cur.err, c.err) || c.err == nil && (cur.err != nil || d.Kind != c.kind || cur.pos != len(c.in)) {
			t.Errorf("%s: kind %d, %v, stopped at %d of %d", name, d.Kind, cur.err, cur.pos, len(c.in))
		}
	}
}

func TestAttributeVersions(t *testing.T) {
	f := openBytes(t, continuationChain(1))
	space := le(u8s(2, 0, 0, 0))
	value := uint64(42)
	cases := map[string]struct {
		in  []byte
		err error
	}{
		"1 padded":       {le(u8s(1, 0), uint16(2), uint16(len(typeU64)), uint16(4), "n\x00\x00\x00\x00\x00\x00\x00", typeU64, u8s(0, 0, 0, 0), space, u8s(0, 0, 0, 0), value), nil},
		"2":              {le(u8s(2, 0), uint16(2), uint16(len(typeU64)), uint16(4), "n\x00", typeU64, space, value), nil},
		"3":              {le(u8s(3, 0), uint16(2), uint16(len(typeU64)), uint16(4), u8s(1), "n\x00", typeU64, space, value), nil},
		"3 with shared":  {le(u8s(3, 1), uint16(2), uint16(len(typeU64)), uint16(4), u8s(1), "n\x00", typeU64, space, value), ErrUnsupported},
		"4":              {le(u8s(4, 0), uint16(2), uint16(0), uint16(0)), ErrUnsupported},
		"value cut off":  {le(u8s(2, 0), uint16(2), uint16(len(typeU64)), uint16(4), "n\x00", typeU64, space, uint32(1)), ErrCorrupt},
		"2^40 values":    {le(u8s(2, 0), uint16(2), uint16(len(typeU64)), uint16(12), "n\x00", typeU64, u8s(2, 1, 0, 1), uint64(1)<<40, value), ErrLimit},
		"name beyond it": {le(u8s(2, 0), uint16(900), uint16(len(typeU64)), uint16(4), "n\x00", typeU64, space, value), ErrCorrupt},
	}
	for name, c := range cases {
		a, err := f.readAttribute(message{kind: msgAttribute, data: c.in})
		if !errors.Is(err, c.err) {
			t.Errorf("%s: %v, want %v", name, err, c.err)
		}
		if v, ok := a.Int(); c.err == nil && (a.Name != "n" || v != 42 || !ok) {
			t.Errorf("%s: %+v", name, a)
		}
	}
	if _, err := f.readAttribute(message{flags: 2}); !errors.Is(err, ErrUnsupported) {
		t.Errorf("shared message: %v", err)
	}
}

func TestAttributeOfUnreadTypeSaysSoAndIsNoValue(t *testing.T) {
	f := openBytes(t, continuationChain(1))
	reference := le(u8s(0x17, 0, 0, 0), uint32(8))
	a, err := f.readAttribute(message{data: le(u8s(2, 0), uint16(2), uint16(8), uint16(4), "n\x00", reference, u8s(2, 0, 0, 0), uint64(1))})
	if err != nil || !errors.Is(a.Err, ErrUnsupported) {
		t.Fatalf("%+v, %v", a, err)
	}
	if _, ok := a.Int(); ok {
		t.Error("it has a number")
	}
	if _, ok := a.Text(); ok {
		t.Error("it has a text")
	}
}

func TestSuperblockVersions(t *testing.T) {
	root := le(u8s(1, 0), uint16(0), uint32(1), uint32(0), uint32(0)) // no messages
	eof := uint64(500)
	cases := map[string]struct {
		in  []byte
		err error
	}{
		"1":             {le(signature, u8s(1, 0, 0, 0, 0, 8, 8, 0), make([]byte, 12), uint64(0), ^uint64(0), eof, ^uint64(0), uint64(0), uint64(100), make([]byte, 24), root), nil},
		"2":             {le(signature, u8s(2, 8, 8, 0), uint64(0), ^uint64(0), eof, uint64(48), uint32(0), root), nil},
		"3":             {le(signature, u8s(3, 8, 8, 0), uint64(0), ^uint64(0), eof, uint64(48), uint32(0), root), nil},
		"9":             {le(signature, u8s(9, 8, 8, 0), make([]byte, 100)), ErrUnsupported},
		"0, 32-bit":     {le(signature, u8s(0, 0, 0, 0, 0, 4, 4, 0), make([]byte, 100)), ErrUnsupported},
		"2, 32-bit":     {le(signature, u8s(2, 4, 4, 0), make([]byte, 100)), ErrUnsupported},
		"0, cut":        {le(signature, u8s(0, 0, 0, 0, 0, 8, 8, 0), make([]byte, 20)), ErrTruncated},
		"2, cut":        {le(signature, u8s(2, 8, 8, 0), make([]byte, 20)), ErrTruncated},
		"signature cut": {[]byte(signature[:5]), ErrTruncated},
		"other file":    {make([]byte, 5000), ErrCorrupt},
	}
	for name, c := range cases {
		f, err := Open(bytes.NewReader(c.in), int64(len(c.in)), Options{})
		if !errors.Is(err, c.err) {
			t.Errorf("%s: %v, want %v", name, err, c.err)
		}
		if c.err != nil || err != nil {
			continue
		}
		if o, err := f.Root(); err != nil || o.Path() != "/" || f.DeclaredSize() != eof {
			t.Errorf("%s: declared %d, root %v", name, f.DeclaredSize(), err)
		}
	}
}

func TestNumbersOfEverySizeBecomeFloats(t *testing.T) {
	raw := le(int8(-3), int16(-300), int32(-70000), int64(-1)<<40, uint8(200), uint16(60000), uint32(4e9), uint64(1)<<60, float32(1.5), 2.5)
	want := []float64{-3, -300, -70000, -(1 << 40), 200, 60000, 4e9, 1 << 60, 1.5, 2.5}
	at := 0
	for i, d := range []Datatype{{Kind: Int, Size: 1}, {Kind: Int, Size: 2}, {Kind: Int, Size: 4}, {Kind: Int, Size: 8}, {Kind: Uint, Size: 1}, {Kind: Uint, Size: 2}, {Kind: Uint, Size: 4}, {Kind: Uint, Size: 8}, {Kind: Float, Size: 4}, {Kind: Float, Size: 8}} {
		r := Rows{N: 1, raw: raw, stride: len(raw)}
		got := r.AppendFloat64(nil, Member{Offset: at, Type: d})
		if len(got) != 1 || got[0] != want[i] {
			t.Errorf("%+v: %v, want %v", d, got, want[i])
		}
		at += d.Size
	}
	text := Member{Type: Datatype{Kind: String, Size: 4, padding: 2}}
	r := Rows{N: 2, raw: []byte("ab  c d "), stride: 4}
	if got := r.AppendString(nil, text); !slices.Equal(got, []string{"ab", "c d"}) {
		t.Errorf("%q", got)
	}
	if r.AppendFloat64(nil, text) != nil || r.AppendUint64(nil, text) != nil || r.AppendInt64(nil, text) != nil || r.AppendString(nil, Member{}) != nil {
		t.Error("a kind that does not fit must give nothing")
	}
}
