// Command gen writes Ergon's dashboards as JSON: go run ./cmd/gen DIRECTORY. Files of dashboards that are gone are removed.
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/ergon-hpc/ergon/grafana/board"
	"github.com/ergon-hpc/ergon/grafana/dashboard"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 1 {
		return errors.New("name one directory: gen DIRECTORY")
	}
	return write(args[0], board.All())
}

// write renders everything before it touches a file.
func write(dir string, all []dashboard.Dashboard) error {
	files := map[string][]byte{}
	for _, d := range all {
		text, err := dashboard.JSON(d)
		if err != nil {
			return err
		}
		name := filepath.Join(dir, d.UID+".json")
		if files[name] != nil {
			return fmt.Errorf("two dashboards have the uid %q", d.UID)
		}
		files[name] = text
	}
	old, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return err
	}
	for _, name := range old {
		if files[name] == nil {
			if err := os.Remove(name); err != nil {
				return err
			}
		}
	}
	for name, text := range files {
		if err := os.WriteFile(name, text, 0o644); err != nil { //nolint:gosec // nothing secret, Grafana reads it
			return err
		}
	}
	return nil
}
