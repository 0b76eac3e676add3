package hdf5

import (
	"bytes"
	"compress/zlib"
	"errors"
	"runtime"
	"testing"

	"pgregory.net/rapid"
)

func deflate(tb testing.TB, data []byte, level int) []byte {
	tb.Helper()
	var b bytes.Buffer
	w, err := zlib.NewWriterLevel(&b, level)
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		tb.Fatal(err)
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

// shuffle is the filter as the specification describes it.
func shuffle(data []byte, elem int) []byte {
	count := len(data) / elem
	out := make([]byte, 0, len(data))
	for j := range elem {
		for i := range count {
			out = append(out, data[i*elem+j])
		}
	}
	return append(out, data[count*elem:]...)
}

func TestFiltersAreUndoneForAnyContentLevelAndMask(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		data := rapid.SliceOfN(rapid.Byte(), 1, 3000).Draw(rt, "data")
		level := rapid.IntRange(0, 9).Draw(rt, "level")
		elem := rapid.IntRange(1, 90).Draw(rt, "element")
		mask := rapid.Uint32Range(0, 3).Draw(rt, "mask")
		stored := data
		if mask&1 == 0 && elem <= len(data) {
			stored = shuffle(stored, elem)
		}
		if mask&2 == 0 {
			stored = deflate(t, stored, level)
		}
		p := pipeline{want: len(data), filters: []filter{{filterShuffle, []uint32{uint32(elem)}}, {filterDeflate, nil}}}
		for range 2 { // the second time with used buffers
			got, err := p.undo(stored, mask, 0)
			if err != nil || !bytes.Equal(got, data) {
				rt.Fatalf("%v: %x, want %x", err, got, data)
			}
		}
	})
}

func TestStreamThatExpandsBeyondItsChunkIsRefusedWithoutTheMemory(t *testing.T) {
	stored := deflate(t, make([]byte, 64<<20), 9)
	p := pipeline{want: 800, filters: []filter{{filterDeflate, nil}}}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := p.undo(stored, 0, 7)
	runtime.ReadMemStats(&after)
	if !errors.Is(err, ErrCorrupt) {
		t.Errorf("got %v", err)
	}
	if used := after.TotalAlloc - before.TotalAlloc; used > 256<<10 {
		t.Errorf("%d bytes of memory", used)
	}
}

func TestDamagedStreamsAreCorrupt(t *testing.T) {
	data := bytes.Repeat([]byte("ergon"), 40)
	for level := range 10 {
		good := deflate(t, data, level)
		for at := range good {
			bad := bytes.Clone(good)
			bad[at] ^= 0x40
			p := pipeline{want: len(data), filters: []filter{{filterDeflate, nil}}}
			got, err := p.undo(bad, 0, 0)
			if err != nil && !errors.Is(err, ErrCorrupt) {
				t.Fatalf("level %d byte %d: %v", level, at, err)
			}
			if err == nil && !bytes.Equal(got, data) {
				t.Fatalf("level %d byte %d: wrong rows without an error", level, at)
			}
		}
		for cut := range good {
			p := pipeline{want: len(data), filters: []filter{{filterDeflate, nil}}}
			if _, err := p.undo(good[:cut], 0, 0); !errors.Is(err, ErrCorrupt) {
				t.Fatalf("level %d cut at %d: %v", level, cut, err)
			}
		}
	}
}
