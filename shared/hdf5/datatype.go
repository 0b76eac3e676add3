package hdf5

// Kind says what a value is.
type Kind int

// The kinds of values. Other is valid HDF5 that this package can step over but
// not read (enumerations, arrays, references, big-endian numbers …).
const (
	Other Kind = iota
	Int
	Uint
	Float
	String    // of fixed length
	VarString // in the global heap; attributes only
	Compound
)

// Datatype describes one value. All numbers are little-endian.
type Datatype struct {
	Kind    Kind
	Size    int      // bytes of one value
	Members []Member // of a Compound, in the order of the file
	padding uint8    // of a String: 0 ends with NUL, 1 filled with NUL, 2 filled with spaces
}

// Member is one field of a compound.
type Member struct {
	Name   string
	Offset int // bytes from the start of a row
	Type   Datatype
}

// Datatype classes, specification IV.A.2.d.
const (
	classFixed     = 0
	classFloat     = 1
	classTime      = 2
	classString    = 3
	classBitfield  = 4
	classOpaque    = 5
	classCompound  = 6
	classReference = 7
	classEnum      = 8
	classVarLength = 9
	classArray     = 10
)

// maxTypeDepth bounds types within types. Slurm's have two levels.
const maxTypeDepth = 8

// readDatatype reads a datatype message at the cursor. After an error of the
// cursor the result is meaningless.
func readDatatype(c *cursor, depth int) Datatype {
	if depth > maxTypeDepth {
		c.failAs(ErrLimit, "types nested deeper than %d", maxTypeDepth)
		return Datatype{}
	}
	classVersion := c.u8()
	bits := uint32(c.uintN(3))
	size := c.u32()
	version := classVersion >> 4
	if c.err == nil && (version < 1 || version > 3) {
		c.failAs(ErrUnsupported, "datatype version %d", version)
	}
	if size > 1<<24 || size == 0 {
		c.fail("datatype of %d bytes", size)
	}
	if c.err != nil {
		return Datatype{}
	}
	t := typeReader{c: c, version: version, bits: bits, depth: depth, out: Datatype{Size: int(size)}}
	t.properties(classVersion & 0x0f)
	return t.out
}

type typeReader struct {
	c       *cursor
	version uint8
	bits    uint32
	depth   int
	out     Datatype
}

func (t *typeReader) properties(class uint8) {
	switch class {
	case classFixed:
		t.fixed()
	case classFloat:
		t.float()
	case classString:
		t.out.Kind, t.out.padding = String, uint8(t.bits&0x0f)
	case classCompound:
		t.compound()
	case classVarLength:
		t.varLength()
	case classTime:
		t.c.skip(2)
	case classBitfield:
		t.c.skip(4)
	case classOpaque:
		t.c.skip(pad8(int(t.bits & 0xff)))
	case classReference:
	case classEnum:
		t.enum()
	case classArray:
		t.array()
	default:
		t.c.failAs(ErrUnsupported, "datatype class %d", class)
	}
}

func (t *typeReader) fixed() {
	offset, precision := t.c.u16(), int(t.c.u16())
	plain := t.bits&1 == 0 && offset == 0 && precision == 8*t.out.Size
	switch {
	case !plain || t.out.Size > 8 || t.out.Size&(t.out.Size-1) != 0:
	case t.bits&8 != 0:
		t.out.Kind = Int
	default:
		t.out.Kind = Uint
	}
}

// float accepts IEEE 754 single and double, little-endian.
func (t *typeReader) float() {
	layout := t.c.bytes(12)
	if layout == nil || t.bits&0x41 != 0 {
		return
	}
	single := [12]byte{0, 0, 32, 0, 23, 8, 0, 23, 127}
	double := [12]byte{0, 0, 64, 0, 52, 11, 0, 52, 0xff, 3}
	got := [12]byte(layout)
	if t.out.Size == 4 && got == single || t.out.Size == 8 && got == double {
		t.out.Kind = Float
	}
}

func (t *typeReader) compound() {
	t.out.Kind = Compound
	count := int(t.bits & 0xffff)
	for range count {
		m := t.member()
		if t.c.err != nil {
			return
		}
		if m.Offset < 0 || m.Offset > t.out.Size-m.Type.Size {
			t.c.fail("member %q at %d with %d bytes in a row of %d", m.Name, m.Offset, m.Type.Size, t.out.Size)
			return
		}
		t.out.Members = append(t.out.Members, m)
	}
}

func (t *typeReader) member() Member {
	m := Member{Name: t.c.name(t.version < 3)}
	if t.version < 3 {
		m.Offset = int(t.c.u32())
	} else {
		m.Offset = int(t.c.uintN(bytesFor(t.out.Size)))
	}
	dimensions := uint8(0)
	if t.version == 1 {
		dimensions = t.c.u8()
		t.c.skip(3 + 4 + 4 + 16)
	}
	m.Type = readDatatype(t.c, t.depth+1)
	if dimensions > 0 { // an array member of the oldest kind; its size is not that of the base type
		t.c.failAs(ErrUnsupported, "array member %q", m.Name)
	}
	return m
}

// bytesFor is the number of bytes that version 3 uses for offsets in a compound.
func bytesFor(size int) int {
	n := 1
	for size >>= 8; size > 0; size >>= 8 {
		n++
	}
	return n
}

func (t *typeReader) varLength() {
	readDatatype(t.c, t.depth+1) // of the base, always a single character
	if t.bits&0x0f == 1 && t.out.Size == 16 {
		t.out.Kind = VarString
	}
}

func (t *typeReader) enum() {
	base := readDatatype(t.c, t.depth+1)
	count := int(t.bits & 0xffff)
	for i := 0; i < count && t.c.err == nil; i++ {
		t.c.name(t.version < 3)
	}
	t.c.skip(count * base.Size)
}

func (t *typeReader) array() {
	rank := int(t.c.u8())
	if t.version < 3 {
		t.c.skip(3 + 4*rank + 4*rank) // with the permutation, which was never used
	} else {
		t.c.skip(4 * rank)
	}
	readDatatype(t.c, t.depth+1)
}

// Member finds a field of a compound by name.
func (d Datatype) Member(name string) (Member, bool) {
	for _, m := range d.Members {
		if m.Name == name {
			return m, true
		}
	}
	return Member{}, false
}
