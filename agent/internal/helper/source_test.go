package helper

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
)

func TestAFileThatCannotBeReadIsNotTheStoresFault(t *testing.T) {
	t.Parallel()
	store := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			w.WriteHeader(http.StatusBadRequest)
		}
	}))
	t.Cleanup(store.Close)
	bad := errors.New("input/output error")
	cases := map[string]struct {
		body io.Reader
		want error
	}{
		"a bad sector":        {io.MultiReader(strings.NewReader("good"), iotest.ErrReader(bad)), bad},
		"a file that is good": {strings.NewReader("good bad"), nil},
		"a short file":        {strings.NewReader("go"), nil}, // its end is no fault of reading; the second look says that it changed
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			body := &source{from: c.body}
			_ = send(t.Context(), newHTTPClient(), put{URL: store.URL}, body, 8)
			if got := body.fault(); !errors.Is(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}
