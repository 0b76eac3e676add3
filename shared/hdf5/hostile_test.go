package hdf5

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"os"
	"runtime/metrics"
	"strings"
	"testing"

	"github.com/ergon-hpc/ergon/shared/hdf5/internal/h5py"
)

// readBytes reads everything of a file that may be nonsense and returns how many
// bytes of rows came out.
func readBytes(data []byte, whole int64) (rows int64, err error) {
	rows, _, err = readCounted(data, whole)
	return rows, err
}

// readCounted also counts what was read of the file.
func readCounted(data []byte, whole int64) (rows int64, c *countingReader, err error) {
	c = &countingReader{from: bytes.NewReader(data)}
	f, err := open(c, int64(len(data)), Options{}, whole)
	if err != nil {
		return 0, c, err
	}
	err = readEverything(f)
	return f.decodedMax - max(f.decodedLeft, 0), c, err
}

// countingReader counts calls and bytes: work that a test can bound without a clock.
type countingReader struct {
	from         *bytes.Reader
	calls, bytes int64
}

func (c *countingReader) ReadAt(p []byte, off int64) (int, error) {
	n, err := c.from.ReadAt(p, off)
	c.calls, c.bytes = c.calls+1, c.bytes+int64(n)
	return n, err
}

// allocated is how many bytes of heap the process has allocated so far, also those that
// were freed.
func allocated() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// bounded reads a file both ways and checks that its size alone bounds the work: the
// bytes read by the budget of package source, the memory by what may be decoded.
func bounded(t *testing.T, data []byte) error {
	t.Helper()
	size := int64(len(data))
	before := allocated()
	_, _, err := readCounted(data, wholeFileBytes)
	if used, limit := int64(allocated()-before), 4<<20+64*size; used > limit {
		t.Errorf("%d bytes allocated for a file of %d, at most %d are in order", used, size, limit)
	}
	_, c, _ := readCounted(data, -1)
	if budget := readBudget(size) + windowBytes; c.bytes > budget || c.calls > budget/readCost {
		t.Errorf("%d reads of %d bytes in all from a file of %d", c.calls, c.bytes, size)
	}
	return err
}

// typed says whether an error is one of this package's.
func typed(err error) bool {
	for _, kind := range []error{ErrTruncated, ErrUnsupported, ErrCorrupt, ErrLimit} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}

func TestEveryTruncationEndsWithATypedError(t *testing.T) {
	data := readFile(t, "testdata/20_0_n1.h5")
	for cut := range data {
		for _, whole := range []int64{wholeFileBytes, -1} {
			_, err := readBytes(data[:cut], whole)
			// The last structure of this file ends before its last byte.
			if err == nil && cut < len(data)-4096 || err != nil && !typed(err) {
				t.Fatalf("cut at %d: %v", cut, err)
			}
		}
	}
}

func TestSeededMutationsTakeBoundedWorkWithoutPanic(t *testing.T) {
	seeds := [][]byte{
		readFile(t, "testdata/20_0_n1.h5"),
		readFile(t, "testdata/23_batch_n1.h5"),
		readFile(t, "testdata/job_20.h5"),
	}
	const mutations = 30_000
	failed := 0
	for i := range mutations {
		data := mutate(rand.New(rand.NewPCG(uint64(i), 5)), seeds[i%len(seeds)])
		err := bounded(t, data)
		if err != nil {
			failed++
			if !typed(err) {
				t.Fatalf("mutation %d: not a typed error: %v", i, err)
			}
		}
		if t.Failed() {
			t.Fatalf("mutation %d", i)
		}
	}
	t.Logf("%d of %d refused", failed, mutations)
	if failed < mutations/20 {
		t.Errorf("only %d mutations were noticed: the test does not reach the structures", failed)
	}
}

// mutate damages 1 to 8 places: bits, bytes, whole fields, or copies of a piece.
func mutate(r *rand.Rand, seed []byte) []byte {
	data := bytes.Clone(seed)
	for range 1 + r.IntN(8) {
		at := r.IntN(len(data) - 8)
		switch r.IntN(5) {
		case 0:
			data[at] ^= 1 << r.IntN(8)
		case 1:
			data[at] = byte(r.Uint32())
		case 2:
			values := []uint64{0, 1, 0xff, 1 << 31, 1 << 62, ^uint64(0), uint64(len(data)), uint64(r.IntN(len(data)))}
			binary.LittleEndian.PutUint64(data[at&^7:], values[r.IntN(len(values))])
		case 3:
			binary.LittleEndian.PutUint16(data[at:], uint16(r.Uint32()))
		case 4:
			copy(data[at:], data[r.IntN(len(data)):][:8])
		}
	}
	return data
}

// find returns the place of the nth piece with the given bytes.
func find(t *testing.T, data []byte, piece string, nth int) int {
	t.Helper()
	at := -1
	for range nth + 1 {
		next := bytes.Index(data[at+1:], []byte(piece))
		if next < 0 {
			t.Fatalf("no %q", piece)
		}
		at += 1 + next
	}
	return at
}

// message returns the place of the data of the first message of a kind in the
// object header at addr.
func messageAt(t *testing.T, data []byte, path string, kind messageType) int {
	t.Helper()
	o, err := openBytes(t, data).Lookup(path)
	if err != nil {
		t.Fatal(err)
	}
	m, ok := o.find(kind)
	if !ok {
		t.Fatalf("%s has no message %d", path, kind)
	}
	return int(m.off)
}

func put64(data []byte, at int, v uint64) { binary.LittleEndian.PutUint64(data[at:], v) }

func TestHostileFilesAreRefusedWithBoundedWork(t *testing.T) {
	clean := readFile(t, "testdata/23_batch_n1.h5")
	chunkTreeAt := func(t *testing.T, d []byte) int {
		return int(binary.LittleEndian.Uint64(d[messageAt(t, d, "/n1/Tasks/0", msgLayout)+3:]))
	}
	cases := map[string]struct {
		damage func(t *testing.T, d []byte)
		want   error
	}{
		"group tree that is its own child": {func(t *testing.T, d []byte) {
			at := find(t, d, "TREE\x00", 0)
			d[at+5] = 1
			put64(d, at+32, uint64(at))
		}, ErrCorrupt},
		"group tree with the same leaf twice": {func(t *testing.T, d []byte) {
			at := find(t, d, "TREE\x00", 0)
			d[at+6] = 2
			copy(d[at+48:], d[at+32:at+40])
		}, ErrCorrupt},
		"group tree with too many entries": {func(t *testing.T, d []byte) {
			at := find(t, d, "TREE\x00", 0)
			d[at+6], d[at+7] = 0xff, 0xff
		}, ErrTruncated},
		"chunk tree that is its own child": {func(t *testing.T, d []byte) {
			at := chunkTreeAt(t, d)
			d[at+5] = 7
			put64(d, at+24+24, uint64(at))
		}, ErrCorrupt},
		"chunk tree with one chunk again and again": {func(t *testing.T, d []byte) {
			at := chunkTreeAt(t, d)
			copy(d[at+24+32:at+24+64], d[at+24:])
		}, ErrCorrupt},
		"chunk tree of the wrong type": {func(t *testing.T, d []byte) { d[chunkTreeAt(t, d)+4] = 0 }, ErrCorrupt},
		"chunk far beyond the file": {func(t *testing.T, d []byte) {
			put64(d, chunkTreeAt(t, d)+24+24, 1<<60)
		}, ErrTruncated},
		"chunk whose address overflows": {func(t *testing.T, d []byte) {
			put64(d, chunkTreeAt(t, d)+24+24, ^uint64(0)-5)
		}, ErrTruncated},
		"chunk of 4 GiB in the file": {func(t *testing.T, d []byte) {
			binary.LittleEndian.PutUint32(d[chunkTreeAt(t, d)+24:], ^uint32(0))
		}, ErrTruncated},
		"2^60 rows": {func(t *testing.T, d []byte) {
			put64(d, messageAt(t, d, "/n1/Tasks/0", msgDataspace)+8, 1<<60)
		}, ErrLimit},
		"2^64-1 rows": {func(t *testing.T, d []byte) {
			put64(d, messageAt(t, d, "/n1/Tasks/0", msgDataspace)+8, ^uint64(0))
		}, ErrLimit},
		"chunks of 2^32-1 rows": {func(t *testing.T, d []byte) {
			binary.LittleEndian.PutUint32(d[messageAt(t, d, "/n1/Tasks/0", msgLayout)+11:], ^uint32(0))
		}, ErrLimit},
		"chunks of no rows": {func(t *testing.T, d []byte) {
			binary.LittleEndian.PutUint32(d[messageAt(t, d, "/n1/Tasks/0", msgLayout)+11:], 0)
		}, ErrCorrupt},
		"local heap whose names are its own header": {func(t *testing.T, d []byte) {
			at := find(t, d, "HEAP", 1)
			put64(d, at+24, uint64(at))
			for i := range 8 { // no name ends in the header
				d[at+8+i] = 0
			}
			put64(d, at+8, 16)
			copy(d[at+4:at+8], "\x00abc")
			put64(d, find(t, d, "SNOD", 1)+8, 15)
		}, ErrCorrupt},
		"local heap of 2^63 bytes": {func(t *testing.T, d []byte) {
			put64(d, find(t, d, "HEAP", 0)+8, 1<<63)
		}, ErrTruncated},
		"name beyond the heap": {func(t *testing.T, d []byte) {
			put64(d, find(t, d, "SNOD", 0)+8, 1<<40)
		}, ErrCorrupt},
		"continuation that leads to itself": {func(t *testing.T, d []byte) {
			root := int(binary.LittleEndian.Uint64(d[64:]))
			o, err := openBytes(t, d).Lookup("/n1")
			if err != nil {
				t.Fatal(err)
			}
			at := int(o.addr) + 16 // its first message is the continuation
			if root == 0 || d[at] != 0x10 {
				t.Fatalf("no continuation at %d", at)
			}
			put64(d, at+8, uint64(at))
			put64(d, at+16, 24)
			d[o.addr+2] = 0xff
		}, ErrCorrupt},
		"header with more messages than bytes": {func(t *testing.T, d []byte) {
			o, _ := openBytes(t, d).Lookup("/n1/Energy")
			binary.LittleEndian.PutUint32(d[o.addr+8:], 1<<31)
		}, ErrTruncated},
		"group whose child is itself": {func(t *testing.T, d []byte) {
			o, _ := openBytes(t, d).Lookup("/n1")
			put64(d, find(t, d, "SNOD", 0)+16, o.addr)
		}, nil},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			data := bytes.Clone(clean)
			c.damage(t, data)
			err := bounded(t, data)
			if !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			if err != nil && !strings.Contains(err.Error(), "hdf5: ") {
				t.Errorf("message %q", err)
			}
		})
	}
}

// A header of n continuation blocks, each with one message that leads to the
// next.
func continuationChain(n int) []byte {
	data := bytes.Repeat([]byte{0}, 96+16+24*n+64)
	copy(data, signature)
	data[13], data[14] = 8, 8
	put64(data, 40, uint64(len(data)))
	put64(data, 64, 96)
	data[96] = 1
	binary.LittleEndian.PutUint16(data[98:], 0xffff)
	binary.LittleEndian.PutUint32(data[104:], 24)
	for i := range n {
		at := 112 + 24*i
		data[at], data[at+2] = byte(msgContinuation), 16
		put64(data, at+8, uint64(at+24))
		put64(data, at+16, 24)
	}
	return data
}

func TestDeepContinuationChainIsALimit(t *testing.T) {
	if err := bounded(t, continuationChain(60_000)); !errors.Is(err, ErrLimit) {
		t.Errorf("got %v", err)
	}
	if _, err := readBytes(continuationChain(20), wholeFileBytes); err != nil {
		t.Errorf("20 blocks are allowed: %v", err)
	}
}

func TestDeflateBombIsALimitWithoutTheMemory(t *testing.T) {
	data := readFile(t, h5py.Generate(t, "bomb")["bomb"])
	before := allocated()
	_, err := readBytes(data, wholeFileBytes)
	if !errors.Is(err, ErrLimit) {
		t.Errorf("got %v", err)
	}
	if used := allocated() - before; used > 1<<20 {
		t.Errorf("%d bytes of memory for a file of %d", used, len(data))
	}
	f, err := Open(bytes.NewReader(data), int64(len(data)), Options{MaxDecodedBytes: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	if err := readEverything(f); err != nil {
		t.Errorf("who raises the limit can read it: %v", err)
	}
}

func TestReadingAgainAndAgainReachesTheLimit(t *testing.T) {
	f := openBytes(t, readFile(t, "testdata/20_0_n1.h5"))
	for range 100_000 {
		if err := readEverything(f); err != nil {
			if !errors.Is(err, ErrLimit) {
				t.Errorf("got %v", err)
			}
			return
		}
	}
	t.Error("the work of a file has no limit")
}

// failingReader fails like a disk, not like a file's end.
type failingReader struct{}

func (failingReader) ReadAt([]byte, int64) (int, error) { return 0, os.ErrPermission }

func TestErrorsOfTheReaderAreKept(t *testing.T) {
	_, err := Open(failingReader{}, 4096, Options{})
	if !errors.Is(err, os.ErrPermission) || typed(err) {
		t.Errorf("got %v", err)
	}
	if _, err := Open(bytes.NewReader(nil), 4096, Options{}); !errors.Is(err, ErrTruncated) {
		t.Errorf("a file shorter than its size: %v", err)
	}
	if _, err := Open(bytes.NewReader(nil), -1, Options{}); !errors.Is(err, ErrLimit) {
		t.Errorf("a negative size: %v", err)
	}
}

func FuzzOpen(f *testing.F) {
	for _, name := range fixtures(f) {
		f.Add(readFile(f, name))
	}
	f.Add(continuationChain(3))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 256<<10 {
			t.Skip("longer than what a mutation of a seed can need")
		}
		inMemory, err := readBytes(data, wholeFileBytes)
		if err != nil && !typed(err) {
			t.Fatalf("not a typed error: %v", err)
		}
		// Both ways of access see the same file. Their budgets differ.
		windowed, again := readBytes(data, -1)
		if errors.Is(err, ErrLimit) || errors.Is(again, ErrLimit) {
			return
		}
		if (err == nil) != (again == nil) || inMemory != windowed {
			t.Fatalf("in memory %d bytes, %v; through windows %d bytes, %v", inMemory, err, windowed, again)
		}
	})
}
