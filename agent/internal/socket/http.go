package socket

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Limits of what an agent may answer, in bytes.
const (
	maxHeader = 8 << 10
	maxAnswer = 16 << 20
)

// errAnswer says that what came is no answer of an agent.
var errAnswer = errors.New("the answer is not one of an ergon agent")

// request is one question in HTTP/1.0, which has no chunks: an answer has a length, or ends with the connection. net/http
// is not for a program that every submission starts: it costs more to load than all that is asked (docs/benchmarks.md).
func request(method, route string, body []byte) []byte {
	head := fmt.Appendf(nil, "%s %s HTTP/1.0\r\nHost: agent\r\nConnection: keep-alive\r\nContent-Length: %d\r\n\r\n", method, route, len(body))
	return append(head, body...)
}

// header is what counts of an answer's head.
type header struct {
	status int
	length int // −1: until the end of the connection
	again  bool
}

// readHeader reads up to the empty line.
func readHeader(in *bufio.Reader) (h header, err error) {
	line, err := readLine(in)
	if err != nil {
		return h, err
	}
	version, rest, _ := strings.Cut(line, " ")
	code, _, _ := strings.Cut(rest, " ")
	if h.status, err = strconv.Atoi(code); err != nil || len(code) != 3 || !strings.HasPrefix(version, "HTTP/1.") {
		return h, errAnswer
	}
	h.length, h.again = -1, version != "HTTP/1.0"
	for {
		if line, err = readLine(in); err != nil || line == "" {
			h.again = h.again && h.length >= 0
			return h, err
		}
		if err = h.take(line); err != nil {
			return h, err
		}
	}
}

func (h *header) take(line string) error {
	name, value, ok := strings.Cut(line, ":")
	value = strings.TrimSpace(value)
	switch name = strings.ToLower(name); {
	case !ok, name == "transfer-encoding":
		return errAnswer
	case name == "connection":
		h.again = strings.EqualFold(value, "keep-alive")
	case name == "content-length":
		n, err := strconv.ParseUint(value, 10, 31)
		if err != nil || n > maxAnswer || h.length >= 0 {
			return errAnswer
		}
		h.length = int(n)
	}
	return nil
}

func readLine(in *bufio.Reader) (string, error) {
	line, err := in.ReadSlice('\n')
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return strings.TrimSuffix(strings.TrimSuffix(string(line), "\n"), "\r"), err
}

// readBody reads what the header has promised.
func (h header) readBody(in io.Reader) ([]byte, error) {
	if h.length < 0 {
		return io.ReadAll(in)
	}
	body := make([]byte, h.length)
	_, err := io.ReadFull(in, body)
	return body, err
}
