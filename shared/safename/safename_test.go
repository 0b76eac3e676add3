package safename_test

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/ergon-hpc/ergon/shared/safename"
)

var alphabet = regexp.MustCompile(`^[A-Za-z0-9._-]*$`)

func TestSegmentEncodes(t *testing.T) {
	digest := strings.Repeat("0a", 20)
	cases := []struct{ name, want string }{
		{"result.h5", "result.h5"},
		{"my_file", "my_file"},
		{"a b", "a_20b"},
		{"a/b", "a_2Fb"},
		{"a_2Fb", "a_5F2Fb"},
		{"a_2fb", "a_2fb"},
		{"a|b\nc", "a_7Cb_0Ac"},
		{"ü", "_C3_BC"},
		{".", "_2E"},
		{"..", "._2E"},
		{"...", "._2E_2E"},
		{".hidden", ".hidden"},
		{"a..b", "a._2Eb"},
		{"a_", "a_5F"},
		{"my_House", "my_House"},
		{"x_H" + digest, "x_5FH" + digest},
		{"x_H" + digest + "0", "x_H" + digest + "0"},
		{"a_Vers 2", "a_Vers_202"},
		{"a_V2", "a_5FV2"},
		{"\x00", "_00"},
		{"", ""},
	}
	for _, c := range cases {
		if got := safename.Segment(c.name, safename.MaxSegment); got != c.want {
			t.Errorf("%q: got %q, want %q", c.name, got, c.want)
		}
	}
}

func TestLongNamesKeepTheirStartAndGetADigest(t *testing.T) {
	a := strings.Repeat("a", 256)
	got := safename.Segment(a, safename.MaxSegment)
	// printf 'a%.0s' $(seq 256) | sha256sum
	want := strings.Repeat("a", 180) + "_H" + "02d7160d77e18c6447be80c2e355c7ed4388545271702c50253b0914c65ce5fe"[:40]
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if fits := strings.Repeat("a", 255); safename.Segment(fits, safename.MaxSegment) != fits {
		t.Error("a name of 255 bytes was cut")
	}
	if _, err := safename.Decode(got); !errors.Is(err, safename.ErrShortened) {
		t.Errorf("decoding it: %v", err)
	}
	if short := safename.Segment(a, 100); len(short) > 100 || short == got {
		t.Errorf("limit 100 gives %d bytes", len(short))
	}
}

// names draws hostile ones: short alphabets of the marks, so that collisions would show.
func names() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.StringMatching(`[_HVAaf.0-9]{1,12}`),
		rapid.StringMatching(`(a|_H)_H[0-9a-f]{40}`),
		rapid.StringMatching(`[a_]{170,260}(_H[0-9a-f]{40})?`),
		rapid.Map(rapid.SliceOfN(rapid.Byte(), 1, 300), func(b []byte) string { return string(b) }),
	)
}

func TestThreat_T01_SegmentIsInjectiveAndSafe(t *testing.T) {
	seen := map[string]string{}
	rapid.Check(t, func(t *rapid.T) {
		name := names().Draw(t, "name")
		limit := safename.MaxSegment
		got := safename.Segment(name, limit)
		checkSafe(t, got, limit)
		if other, ok := seen[got]; ok && other != name {
			t.Fatalf("%q and %q both give %q", name, other, got)
		}
		seen[got] = name
		// What was encoded encodes to something else again, unless it held nothing to encode.
		if again := safename.Segment(got, limit); again == got && got != name && !isShort(got) {
			t.Fatalf("%q and %q both give %q", name, got, got)
		}
		checkDecode(t, name, got)
	})
}

func isShort(segment string) bool {
	_, err := safename.Decode(segment)
	return errors.Is(err, safename.ErrShortened)
}

type fataler interface {
	Fatalf(format string, args ...any)
}

func checkSafe(t fataler, segment string, limit int) {
	if len(segment) > limit || !alphabet.MatchString(segment) || strings.Contains(segment, "..") || segment == "." {
		t.Fatalf("unsafe segment %q (%d bytes)", segment, len(segment))
	}
}

func checkDecode(t fataler, name, segment string) {
	back, err := safename.Decode(segment)
	if errors.Is(err, safename.ErrShortened) && len(name) > 255/3 {
		return
	}
	if err != nil || back != name {
		t.Fatalf("%q → %q → %q, %v", name, segment, back, err)
	}
}

func TestDecodeRefusesWhatNoNameGives(t *testing.T) {
	for _, segment := range []string{"a b", "_41", "a..b", "_0a ", "a_", "ü", "/"} {
		if name, err := safename.Decode(segment); !errors.Is(err, safename.ErrMalformed) {
			t.Errorf("%q: got %q, %v", segment, name, err)
		}
	}
}

func FuzzSegment(f *testing.F) {
	for _, s := range []string{"", "a", "a/b", "_2F", "..", "x_H" + strings.Repeat("0", 40), strings.Repeat("é", 200), "a_", "_V1"} {
		f.Add(s, s+"x", 255)
	}
	f.Fuzz(func(t *testing.T, a, b string, limit int) {
		ea, eb := safename.Segment(a, limit), safename.Segment(b, limit)
		checkSafe(t, ea, min(max(limit, 43), 255))
		if a != b && ea == eb {
			t.Fatalf("%q and %q both give %q", a, b, ea)
		}
		if back, err := safename.Decode(ea); err == nil && back != a {
			t.Fatalf("%q comes back as %q", a, back)
		} else if errors.Is(err, safename.ErrMalformed) {
			t.Fatalf("%q is malformed", ea)
		}
	})
}
