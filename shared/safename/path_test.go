package safename_test

import (
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/ergon-hpc/ergon/shared/safename"
)

func TestThreat_T01_ParseRefusesTraversalAndNonsense(t *testing.T) {
	deep := strings.Repeat("d/", 32) + "f"
	bad := []string{
		"", "/", "/etc/passwd", "..", "../x", "a/../b", "a/..", ".", "./a", "a/./b", "a//b", "a/", "a\x00b", "\xff",
		deep, strings.Repeat("x", 256), strings.Repeat("abc/", 1100) + "f",
	}
	for _, path := range bad {
		if p, err := safename.Parse(path); !errors.Is(err, safename.ErrName) {
			t.Errorf("%.40q was accepted as %.40q: %v", path, p, err)
		}
	}
	good := []string{"a", "a/b", "...", "a..b/c", "-rf", "~", "a\nb|c", strings.Repeat("x", 255), deep[2:]}
	for _, path := range good {
		if _, err := safename.Parse(path); err != nil {
			t.Errorf("%.40q: %v", path, err)
		}
	}
}

func TestPathsEncode(t *testing.T) {
	cases := []struct{ path, version, want string }{
		{"a", "", "a"},
		{"a/b", "", "a_/b"},
		{"a_b", "", "a_b"},
		{"a_/b", "", "a_5F_/b"},
		{"res 1/x.h5", "", "res_201_/x.h5"},
		{"a", "01ab", "a_V01ab"},
		{"a_V01ab", "", "a_5FV01ab"},
	}
	for _, c := range cases {
		if got := mustParse(t, c.path).Encode(c.version); got != c.want {
			t.Errorf("%q version %q: got %q, want %q", c.path, c.version, got, c.want)
		}
	}
	if got := mustParse(t, "a/b/c.txt").Base(); got != "c.txt" {
		t.Errorf("base %q", got)
	}
}

func mustParse(t testing.TB, path string) safename.RelPath {
	t.Helper()
	p, err := safename.Parse(path)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func paths() *rapid.Generator[string] {
	segment := rapid.StringMatching(`[a_.H V]{1,4}|[é]{1,127}|[_a]{200,255}`).Filter(func(s string) bool { return s != "." && s != ".." })
	return rapid.Map(rapid.SliceOfN(segment, 1, 8), func(s []string) string { return strings.Join(s, "/") })
}

func TestThreat_T01_EncodedPathsAreInjectiveAndNoneIsADirectoryOfAnother(t *testing.T) {
	seen := map[string]string{}
	dirs := map[string]string{}
	rapid.Check(t, func(t *rapid.T) {
		raw := paths().Draw(t, "path")
		version := rapid.StringMatching(`([a-z0-9]{1,12})?`).Draw(t, "version")
		p, err := safename.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		got, id := p.Encode(version), raw+"\x00"+version
		if len(got) > safename.MaxEncodedBytes {
			t.Fatalf("%d bytes", len(got))
		}
		for s := range strings.SplitSeq(got, "/") {
			checkSafe(t, s, safename.MaxSegment)
		}
		if other, ok := seen[got]; ok && other != id {
			t.Fatalf("%q and %q both give %q", id, other, got)
		}
		seen[got] = id
		for i := range got {
			if got[i] == '/' {
				dirs[got[:i]] = id
			}
		}
		if other, ok := dirs[got]; ok {
			t.Fatalf("%q is a directory of %q", got, other)
		}
		back, v, err := safename.DecodePath(got)
		if !errors.Is(err, safename.ErrShortened) && (err != nil || back != raw || v != version) {
			t.Fatalf("%q comes back as %q %q: %v", id, back, v, err)
		}
	})
}

func FuzzPath(f *testing.F) {
	for _, s := range []string{"a/b", "../x", "a_/b", "a\nb", strings.Repeat("é/", 30), "x_Vab"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		p, err := safename.Parse(raw)
		if err != nil {
			return
		}
		got := p.Encode("")
		for s := range strings.SplitSeq(got, "/") {
			checkSafe(t, s, safename.MaxSegment)
			if s == "" {
				t.Fatalf("%q has an empty segment", got)
			}
		}
		if back, v, err := safename.DecodePath(got); err == nil && (back != raw || v != "") {
			t.Fatalf("%q comes back as %q, version %q", raw, back, v)
		} else if errors.Is(err, safename.ErrMalformed) {
			t.Fatalf("%q is malformed", got)
		}
	})
}
