package helper

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"sync"
)

// maxFrame bounds one message: a manifest of 10 000 entries with long names fits.
const maxFrame = 32 << 20

// frames is a stream of JSON messages, each behind its length (4 bytes, big endian). Both ends distrust each other:
// a frame over the bound ends the conversation.
type frames struct {
	conn    io.ReadWriteCloser
	writing sync.Mutex
}

func (f *frames) read(v any) error {
	var head [4]byte
	if _, err := io.ReadFull(f.conn, head[:]); err != nil {
		return err
	}
	size := binary.BigEndian.Uint32(head[:])
	if size > maxFrame {
		return fmt.Errorf("a message of %d bytes is over the limit of %d", size, maxFrame)
	}
	// Grown while it arrives, so that a length alone allocates nothing.
	decoder := json.NewDecoder(io.LimitReader(f.conn, int64(size)))
	if err := decoder.Decode(v); err != nil {
		return fmt.Errorf("reading a message: %w", err)
	}
	if decoder.InputOffset() != int64(size) {
		return fmt.Errorf("reading a message: %d bytes follow its end", int64(size)-decoder.InputOffset())
	}
	return nil
}

func (f *frames) write(v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("writing a message: %w", err)
	}
	if len(body) > maxFrame {
		return fmt.Errorf("a message of %d bytes is over the limit of %d", len(body), maxFrame)
	}
	f.writing.Lock()
	defer f.writing.Unlock()
	_, err = f.conn.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...))
	return err
}
