package hdf5

import (
	"encoding/binary"
	"math"
	"strings"
)

// Attribute is a small named value of an object. Exactly one of the slices is
// set, unless the attribute has no elements or Err says why it cannot be read.
type Attribute struct {
	Name    string
	Ints    []int64
	Uints   []uint64
	Floats  []float64
	Strings []string
	Err     error // ErrUnsupported: the type is not read; the rest of the object is
}

// Int returns the first element of a whole number.
func (a Attribute) Int() (int64, bool) {
	switch {
	case len(a.Ints) > 0:
		return a.Ints[0], true
	case len(a.Uints) > 0 && a.Uints[0] <= math.MaxInt64:
		return int64(a.Uints[0]), true
	}
	return 0, false
}

// Text returns the first element of a string.
func (a Attribute) Text() (string, bool) {
	if len(a.Strings) == 0 {
		return "", false
	}
	return a.Strings[0], true
}

const (
	attributeWhat = "attribute"
	// maxAttributeBytes bounds one value; object headers hold less than 64 KiB.
	maxAttributeBytes = 64 << 10
)

// Attributes returns all attributes in the order of the file.
func (o *Object) Attributes() ([]Attribute, error) {
	var out []Attribute
	for _, m := range o.messages {
		switch m.kind {
		case msgAttribute:
			a, err := o.file.readAttribute(m)
			if err != nil {
				return nil, err
			}
			out = append(out, a)
		case msgAttrInfo:
			return nil, fail(ErrUnsupported, attributeWhat, m.off, "%s stores attributes densely", o.path)
		}
	}
	return out, nil
}

// readAttribute reads message versions 1 to 3, specification IV.A.2.m.
func (f *File) readAttribute(m message) (Attribute, error) {
	if m.shared() {
		return Attribute{}, fail(ErrUnsupported, attributeWhat, m.off, "shared message")
	}
	c := m.cursor(attributeWhat)
	version, flags := c.u8(), c.u8()
	nameSize, typeSize, spaceSize := int(c.u16()), int(c.u16()), int(c.u16())
	padded := func(n int) []byte { return c.bytes(n) }
	switch version {
	case 1:
		padded = func(n int) []byte { return c.bytes(pad8(n)) }
	case 2, 3:
		if flags&3 != 0 {
			return Attribute{}, fail(ErrUnsupported, attributeWhat, m.off, "shared type or space")
		}
		c.skip(int(version) - 2) // version 3 names the character set
	default:
		return Attribute{}, fail(ErrUnsupported, attributeWhat, m.off, "version %d", version)
	}
	a := Attribute{Name: upToNUL(padded(nameSize))}
	typeCursor := newCursor(padded(typeSize), m.off, "attribute datatype")
	spaceCursor := newCursor(padded(spaceSize), m.off, "attribute dataspace")
	if c.err != nil {
		return Attribute{}, c.err
	}
	v := attributeValue{file: f, kind: readDatatype(typeCursor, 0), space: readDataspace(spaceCursor), c: c}
	if typeCursor.err != nil {
		return Attribute{}, typeCursor.err
	}
	if spaceCursor.err != nil {
		return Attribute{}, spaceCursor.err
	}
	return v.fill(a)
}

type attributeValue struct {
	file  *File
	kind  Datatype
	space dataspace
	c     *cursor
}

func (v attributeValue) fill(a Attribute) (Attribute, error) {
	n, ok := v.space.elements(maxAttributeBytes / uint64(v.kind.Size))
	if !ok {
		return a, fail(ErrLimit, attributeWhat, v.c.off, "%q has more than %d bytes", a.Name, maxAttributeBytes)
	}
	raw := v.c.bytes(int(n) * v.kind.Size)
	if v.c.err != nil {
		return a, v.c.err
	}
	r := Rows{N: int(n), raw: raw, stride: v.kind.Size}
	m := Member{Type: v.kind}
	switch v.kind.Kind {
	case Int:
		a.Ints = r.AppendInt64(nil, m)
	case Uint:
		a.Uints = r.AppendUint64(nil, m)
	case Float:
		a.Floats = r.AppendFloat64(nil, m)
	case String:
		a.Strings = r.AppendString(nil, m)
	case VarString:
		return v.varStrings(a, raw)
	default:
		a.Err = fail(ErrUnsupported, attributeWhat, v.c.off, "the type of %q is not read", a.Name)
	}
	return a, nil
}

func (v attributeValue) varStrings(a Attribute, raw []byte) (Attribute, error) {
	for ; len(raw) >= 16; raw = raw[16:] {
		size := binary.LittleEndian.Uint32(raw)
		if size == 0 {
			a.Strings = append(a.Strings, "")
			continue
		}
		b, err := v.file.globalObject(binary.LittleEndian.Uint64(raw[4:]), binary.LittleEndian.Uint32(raw[12:]))
		if err != nil {
			return a, err
		}
		if uint64(size) > uint64(len(b)) {
			return a, fail(ErrCorrupt, attributeWhat, v.c.off, "%q has %d characters in an object of %d", a.Name, size, len(b))
		}
		a.Strings = append(a.Strings, upToNUL(b[:size]))
	}
	return a, nil
}

// fixedText reads a string of fixed length. Padding: see Datatype.
func fixedText(b []byte, padding uint8) string {
	s := upToNUL(b)
	if padding == 2 {
		s = strings.TrimRight(s, " ")
	}
	return s
}
