package socket

import (
	"bufio"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestAnswersAreReadStrictly(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		text string
		want header
		body string
		err  error
	}{
		"with a length":        {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}more", header{200, 2, true}, "{}", nil},
		"kept":                 {"HTTP/1.0 404 Not Found\r\nConnection: keep-alive\r\ncontent-length:0\r\n\r\n", header{404, 0, true}, "", nil},
		"not kept":             {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}", header{200, 2, false}, "{}", nil},
		"up to the end":        {"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\n\r\n{...}", header{200, -1, false}, "{...}", nil},
		"cut in the head":      {"HTTP/1.1 200 OK\r\nContent-Le", header{}, "", io.ErrUnexpectedEOF},
		"cut in the body":      {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}", header{}, "", io.ErrUnexpectedEOF},
		"chunks":               {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", header{}, "", errAnswer},
		"two lengths":          {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n{}", header{}, "", errAnswer},
		"a length below zero":  {"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\n", header{}, "", errAnswer},
		"a length beyond all":  {"HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n", header{}, "", errAnswer},
		"another protocol":     {"SSH-2.0-OpenSSH\r\n\r\n", header{}, "", errAnswer},
		"a status of letters":  {"HTTP/1.1 abc OK\r\n\r\n", header{}, "", errAnswer},
		"a line without colon": {"HTTP/1.1 200 OK\r\nnonsense\r\n\r\n", header{}, "", errAnswer},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := bufio.NewReader(strings.NewReader(c.text))
			got, err := readHeader(in)
			var body []byte
			if err == nil {
				body, err = got.readBody(in)
			}
			if !errors.Is(err, c.err) || err == nil && (got != c.want || string(body) != c.body) {
				t.Fatalf("got %+v, %q, %v; want %+v, %q, %v", got, body, err, c.want, c.body, c.err)
			}
		})
	}
}

func FuzzAnswersNeverPanic(f *testing.F) {
	f.Add("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
	f.Fuzz(func(t *testing.T, text string) {
		in := bufio.NewReader(io.LimitReader(strings.NewReader(text), maxHeader))
		if h, err := readHeader(in); err == nil && (h.status < 0 || h.length > maxAnswer) {
			t.Fatalf("got %+v", h)
		}
	})
}
