package main

import (
	"bytes"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// adminRows are the commands that docs/cli.md's table names.
func adminRows(t *testing.T) map[string]bool {
	t.Helper()
	text, err := os.ReadFile("../../../docs/cli.md")
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]bool{}
	for _, m := range regexp.MustCompile("(?m)^\\| `admin ([a-z]+) ?([a-z, -]*)` \\|").FindAllSubmatch(text, -1) {
		for _, word := range bytes.Split(m[2], []byte(", ")) {
			named[strings.TrimSpace(string(m[1])+" "+string(word))] = true
		}
	}
	return named
}

func TestTheDocumentNamesEveryAdminCommandAndNoOther(t *testing.T) {
	named := adminRows(t)
	admin, _, err := newRoot(process{executable: func() (string, error) { return "", nil }}).Find([]string{"admin"})
	if err != nil {
		t.Fatal(err)
	}
	var visit func(*cobra.Command)
	visit = func(c *cobra.Command) {
		for _, sub := range c.Commands() {
			visit(sub)
		}
		path := strings.TrimPrefix(c.CommandPath(), "ergon-server admin ")
		if c.Runnable() && !c.HasSubCommands() && !named[path] { // a group alone prints its help
			t.Errorf("docs/cli.md does not name admin %s", path)
		}
		delete(named, path)
	}
	visit(admin)
	for path := range named {
		t.Errorf("docs/cli.md names admin %s, which is no command", path)
	}
}
