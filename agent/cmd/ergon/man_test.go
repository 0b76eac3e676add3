package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

//go:generate go test -count=1 -run TestManPagesAreCurrent . -update

var update = flag.Bool("update", false, "write golden files and man pages")

const manDir = "../../../docs/man"

// manPages renders a page for each command.
func manPages(t *testing.T) map[string][]byte {
	t.Helper()
	root := (&app{Env: func(string) string { return "" }}).newRoot()
	root.DisableAutoGenTag = true
	date := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	pages := map[string][]byte{}
	var visit func(*cobra.Command)
	visit = func(c *cobra.Command) {
		for _, sub := range c.Commands() {
			if sub.IsAvailableCommand() {
				visit(sub)
			}
		}
		name := strings.ReplaceAll(c.CommandPath(), " ", "-")
		var b bytes.Buffer
		header := &doc.GenManHeader{Title: strings.ToUpper(name), Section: "1", Date: &date, Source: "Ergon", Manual: "Ergon"}
		if err := doc.GenMan(c, header, &b); err != nil {
			t.Fatal(err)
		}
		pages[name+".1"] = b.Bytes()
	}
	visit(root)
	return pages
}

func TestManPagesAreCurrent(t *testing.T) {
	pages := manPages(t)
	if *update {
		writePages(t, pages)
	}
	have, err := filepath.Glob(filepath.Join(manDir, "*.1"))
	if err != nil {
		t.Fatal(err)
	}
	if len(have) != len(pages) {
		t.Errorf("%d pages in %s, want %d; run dev/generate.sh", len(have), manDir, len(pages))
	}
	for name, want := range pages {
		got, err := os.ReadFile(filepath.Join(manDir, name))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not what the commands say (%v); run dev/generate.sh", name, err)
		}
	}
}

func writePages(t *testing.T, pages map[string][]byte) {
	t.Helper()
	if err := os.RemoveAll(manDir); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(manDir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range pages {
		if err := os.WriteFile(filepath.Join(manDir, name), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestEveryCommandExplainsItselfWithAnExample(t *testing.T) {
	t.Parallel()
	root := (&app{Env: func(string) string { return "" }}).newRoot()
	ours := map[string]bool{
		"explain": true, "seff": true, "job": true, "jobs": true, "watch": true, "report": true, "quota": true, "usage": true, "findings": true, "advise": true,
		"ls": true, "get": true, "put": true, "rm": true, "share": true,
	}
	seen := 0
	var visit func(*cobra.Command)
	visit = func(c *cobra.Command) {
		if ours[c.Name()] {
			seen++
			if c.Example == "" || c.Short == "" {
				t.Errorf("%s has no example or no short text", c.CommandPath())
			}
		}
		for _, sub := range c.Commands() {
			visit(sub)
		}
	}
	visit(root)
	if seen != len(ours) {
		t.Errorf("%d commands seen, want %d", seen, len(ours))
	}
}
