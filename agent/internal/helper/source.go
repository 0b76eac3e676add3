package helper

import (
	"errors"
	"io"
	"sync"
)

// source remembers why reading failed: the HTTP client reports it as a failed request, as if the store had hung up.
type source struct {
	from io.Reader
	mu   sync.Mutex // the transport may still read when it has given up
	err  error
}

// Read passes on.
func (s *source) Read(p []byte) (int, error) {
	n, err := s.from.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		s.mu.Lock()
		s.err = err
		s.mu.Unlock()
	}
	return n, err
}

func (s *source) fault() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}
