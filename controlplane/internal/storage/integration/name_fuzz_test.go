package integration

import (
	"bytes"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/ergon-hpc/ergon/shared/api"
)

// odd are runes that mean something to shells, URLs, headers, SQL, XML, stores, or to our own encoding of keys.
var odd = []rune("ab_.-/ \\%25F'\"`;&?#+*~<>|=:@$!{}[]()^,\n\r\t\x01\x7füß€語🙂\u00a0\u0301\u200b\u202e\ufeff")

// fuzzedName is any text, mostly of odd runes: a user's name for a file is no path, whatever it looks like.
func fuzzedName() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.StringOfN(rapid.SampledFrom(odd), 1, 40, 400),
		rapid.StringOfN(rapid.SampledFrom([]rune("._/a")), 1, 12, -1),
		rapid.StringOfN(rapid.Rune(), 1, 60, 400),
		rapid.StringOfN(rapid.SampledFrom([]rune("a語/")), 300, 1024, 1024), // beyond what a key holds
	)
}

// What a name goes through: JSON, the contract, the database, the key, the signature, the store, and back.
func TestFilesOfAnyNameComeBackUnderTheSameNameWithTheSameBytes(t *testing.T) {
	each(t, nil, func(t *testing.T, s *stack) {
		user, stranger := s.user(), s.user()
		n := 0
		rapid.Check(t, func(t *rapid.T) {
			name := fuzzedName().Draw(t, "name")
			content := rapid.SliceOfN(rapid.Byte(), 0, 64).Draw(t, "content")
			if strings.ContainsRune(name, 0) {
				s.wantCode(api.InvalidRequest, user, http.MethodPost, "/files/presign/upload", request(name, content))
				return
			}
			n++
			f := s.put(user, name, content)
			if f.Name != name {
				t.Fatalf("%q is called %q", name, f.Name)
			}
			if got := s.download(user, f); !bytes.Equal(got, content) {
				t.Fatalf("%q: %d bytes came back as %d", name, len(content), len(got))
			}
			s.wantListed(t, user, f)
		})
		if n < 50 {
			t.Errorf("only %d names were allowed: it shows little", n)
		}
		if left, err := s.store.List(t.Context(), stranger+"/", "", 10); err != nil || len(left) > 0 {
			t.Errorf("a stranger has %v, %v", left, err)
		}
	})
}

// wantListed looks for a file by its exact name: it is found, and nothing with another name is.
func (s *stack) wantListed(t *rapid.T, user string, f api.FileObject) {
	t.Helper()
	var page struct{ Files []api.FileObject }
	s.want(http.StatusOK, user, http.MethodGet, "/files/list?name="+url.QueryEscape(f.Name), nil, &page)
	found := false
	for _, o := range page.Files {
		found = found || o.Id == f.Id && o.Size == f.Size && o.Sha256 == f.Sha256
		if o.Name != f.Name {
			t.Fatalf("asked for %q the list has %q", f.Name, o.Name)
		}
	}
	if !found {
		t.Fatalf("%q is not listed", f.Name)
	}
}
