package submit

import (
	"context"
	"io"
	"strings"
)

// feed reads a script that comes on a pipe and hands every byte of it to sbatch, in order, however much of it was
// looked at.
type feed struct {
	chunks chan []byte   // closed at the end of input
	prefix []byte        // taken from chunks so far
	looked chan struct{} // closed when the head was looked at
}

const feedChunk = 32 << 10

// newFeed begins to read; its goroutine ends with the input, or with the process.
func newFeed(r io.Reader) *feed {
	f := &feed{chunks: make(chan []byte, 1), looked: make(chan struct{})}
	go func() {
		defer close(f.chunks)
		for {
			buf := make([]byte, feedChunk)
			n, err := r.Read(buf)
			if n > 0 {
				f.chunks <- buf[:n]
			}
			if err != nil {
				return
			}
		}
	}()
	return f
}

// head reads until the script's head is complete. When time runs out the rest is not known, and that is an error. It is
// called once.
func (f *feed) head(ctx context.Context) (directives, error) {
	defer close(f.looked)
	for {
		select {
		case <-ctx.Done():
			return directives{}, ctx.Err()
		case chunk, more := <-f.chunks:
			f.prefix = append(f.prefix, chunk...)
			d, complete := readDirectives(string(f.prefix), !more)
			if complete {
				return d, nil
			}
			if len(f.prefix) > maxScript {
				return directives{}, errStdin
			}
		}
	}
}

// WriteTo gives all of the input to w, when head has ended.
func (f *feed) WriteTo(w io.Writer) (int64, error) {
	<-f.looked
	n, err := io.Copy(w, strings.NewReader(string(f.prefix)))
	for chunk := range f.chunks {
		if err != nil {
			continue // sbatch hung up; the writer before us must not block for ever
		}
		var k int
		k, err = w.Write(chunk)
		n += int64(k)
	}
	return n, err
}
