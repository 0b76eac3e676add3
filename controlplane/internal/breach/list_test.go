package breach

import (
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func hashOf(text string) string {
	sum := sha1.Sum([]byte(text))
	return strings.ToUpper(hex.EncodeToString(sum[:]))
}

func listOf(t testing.TB, text string) *List {
	t.Helper()
	path := filepath.Join(t.TempDir(), "list")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func has(t testing.TB, l *List, password string, want bool) {
	t.Helper()
	got, err := l.Contains(password)
	if err != nil || got != want {
		t.Errorf("%q: %v %v, want %v", password, got, err, want)
	}
}

func TestEveryHashOfASortedListIsFoundAndNoOther(t *testing.T) {
	for _, n := range []int{1, 2, 3, 1000} {
		for _, end := range []string{"\n", "\r\n", ":12\n", ":3730471\r\n"} {
			t.Run(fmt.Sprintf("%d lines ending %q", n, end), func(t *testing.T) {
				var lines []string
				for i := range n {
					lines = append(lines, hashOf(fmt.Sprint("password ", i)))
				}
				slices.Sort(lines)
				l := listOf(t, strings.Join(lines, end)+end)
				for i := range n {
					has(t, l, fmt.Sprint("password ", i), true)
					has(t, l, fmt.Sprint("another ", i), false)
				}
			})
		}
	}
}

func TestASortedListOfAnyLengthsIsSearchedRightly(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		words := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-f]{1,3}`), 1, 40, rapid.ID).Draw(rt, "words")
		lines := make([]string, len(words))
		for i, w := range words {
			lines[i] = hashOf(w)
			if rapid.Bool().Draw(rt, "counted") {
				lines[i] += fmt.Sprint(":", rapid.IntRange(1, 1<<40).Draw(rt, "count"))
			}
		}
		slices.Sort(lines)
		l := listOf(t, strings.Join(lines, "\n"))
		for _, w := range words {
			has(t, l, w, true)
		}
		has(t, l, "not in it", false)
	})
}

func TestAPlainListIsReadWhole(t *testing.T) {
	l := listOf(t, "correct horse battery staple\r\n\npass phrase\nletmeinletmein")
	for _, p := range []string{"correct horse battery staple", "pass phrase", "letmeinletmein"} {
		has(t, l, p, true)
	}
	has(t, l, "", false)
	has(t, l, "pass", false)
}

func TestListsThatWouldHidePasswordsAreRefused(t *testing.T) {
	var shuffled []string
	for i := range 5000 {
		shuffled = append(shuffled, hashOf(fmt.Sprint(i)))
	}
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	few := []string{hashOf("a"), hashOf("b"), hashOf("c")}
	slices.Sort(few)
	slices.Reverse(few)
	for name, text := range map[string]string{
		"three of them backwards": strings.Join(few, "\n"),
		"empty":                   "", "sorted by count": strings.Join(shuffled, "\n"), "a line of a megabyte": strings.Repeat("a", 1<<20),
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "list")
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := Open(path); err == nil || strings.Contains(err.Error(), "aaaa") {
				t.Errorf("got %v", err)
			}
		})
	}
	if _, err := Open(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a file that is not there was opened")
	}
}

func TestADamagedLineIsAnErrorAndNoAnswer(t *testing.T) {
	lines := []string{hashOf("a"), hashOf("b"), hashOf("c")}
	slices.Sort(lines)
	path := filepath.Join(t.TempDir(), "list")
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(strings.Repeat("x\n", 61)), 0o600); err != nil {
		t.Fatal(err)
	}
	if found, err := l.Contains("a"); err == nil || found {
		t.Errorf("got %v %v from a file that was overwritten", found, err)
	}
}
