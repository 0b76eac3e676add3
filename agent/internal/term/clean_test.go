package term

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestCleanKeepsPlainTextAndRemovesControls(t *testing.T) {
	t.Parallel()
	cases := map[string]string{
		"plain ü 漢":         "plain ü 漢",
		"a\x1b[31mred":      "a\uFFFD[31mred",
		"two\nlines\tand\r": "two lines and ",
		"\u202Egnp.exe":     "\uFFFDgnp.exe",
		"bad \xff byte":     "bad \uFFFD byte",
		"c1 \u009b31m":      "c1 \uFFFD31m",
		"":                  "",
	}
	for in, want := range cases {
		if got := Clean(in); got != want {
			t.Errorf("Clean(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzCleanNeverLeavesAControlCharacter(f *testing.F) {
	f.Add("a\x1b]0;x\x07\n\u202e\xff")
	f.Fuzz(func(t *testing.T, in string) {
		got := Clean(in)
		if !utf8.ValidString(got) || strings.IndexFunc(got, unicode.IsControl) >= 0 {
			t.Fatalf("%q became %q", in, got)
		}
	})
}
